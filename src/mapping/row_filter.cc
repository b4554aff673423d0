#include "mapping/row_filter.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {
namespace {

// Far above what people write, and well within the stack.
constexpr int kMaxDepth = 100;
constexpr size_t kMaxNodes = 1000;

// ---- words ----

struct Token {
  enum class Kind : uint8_t { kEnd, kName, kQuotedName, kText, kNumber, kSymbol };
  Kind kind = Kind::kEnd;
  std::string text;  // of a name without quotes: folded to lower case
  size_t at = 0;
};

bool BeginsName(char c) {
  return absl::ascii_isalpha(c) || c == '_' || (c & 0x80) != 0;
}
bool GoesOnName(char c) {
  return BeginsName(c) || absl::ascii_isdigit(c) || c == '$';
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  absl::StatusOr<Token> Next() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
    Token token{.at = at_};
    if (at_ == text_.size()) return token;
    const char c = text_[at_];
    if (c == '\'') return Quoted('\'', Token::Kind::kText);
    if (c == '"') return Quoted('"', Token::Kind::kQuotedName);
    if (absl::ascii_isdigit(c) || (c == '.' && at_ + 1 < text_.size() && absl::ascii_isdigit(text_[at_ + 1]))) {
      return Number();
    }
    if (BeginsName(c)) {
      while (at_ < text_.size() && GoesOnName(text_[at_])) ++at_;
      token.kind = Token::Kind::kName;
      token.text = absl::AsciiStrToLower(text_.substr(token.at, at_ - token.at));
      return token;
    }
    return Symbol();
  }

  absl::Status Error(size_t at, std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("at character ", at + 1, ": ", what));
  }

 private:
  absl::StatusOr<Token> Quoted(char quote, Token::Kind kind) {
    Token token{.kind = kind, .at = at_++};
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '\0') return Error(at_ - 1, "a zero byte");
      if (c == quote) {
        if (at_ == text_.size() || text_[at_] != quote) {
          if (kind == Token::Kind::kQuotedName && token.text.empty()) return Error(token.at, "a name of no characters");
          return token;
        }
        ++at_;
      }
      token.text += c;
    }
    return Error(token.at, absl::StrCat("the ", std::string(1, quote), " is not closed"));
  }

  absl::StatusOr<Token> Number() {
    Token token{.kind = Token::Kind::kNumber, .at = at_};
    const auto digits = [this] {
      while (at_ < text_.size() && absl::ascii_isdigit(text_[at_])) ++at_;
    };
    digits();
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      digits();
    }
    token.text = std::string(text_.substr(token.at, at_ - token.at));
    if (at_ < text_.size() && GoesOnName(text_[at_])) {
      return Error(token.at, "not a number: write it with digits and a decimal point only");
    }
    return token;
  }

  absl::StatusOr<Token> Symbol() {
    static constexpr std::array<std::string_view, 11> kSymbols = {"<=", ">=", "<>", "!=", "=", "<",
                                                                  ">",  "(",  ")",  ",",  "-"};
    for (const std::string_view symbol : kSymbols) {
      if (text_.substr(at_, symbol.size()) != symbol) continue;
      Token token{.kind = Token::Kind::kSymbol, .text = std::string(symbol), .at = at_};
      at_ += symbol.size();
      return token;
    }
    return Error(at_,
                 "a character that has no meaning here; allowed: names, 'text', numbers, comparisons, AND, OR, "
                 "NOT, IN, BETWEEN, LIKE, IS NULL, parentheses");
  }

  const std::string_view text_;
  size_t at_ = 0;
};

bool IsReserved(std::string_view word) {
  static constexpr std::string_view kWords[] = {"and",  "or",    "not",     "in",      "is",   "null",  "like",
                                                "true", "false", "between", "collate", "case", "ilike", "similar"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
}

// ---- grammar ----

class Parser {
 public:
  Parser(std::string_view text, std::vector<FilterNode>* nodes) : lexer_(text), nodes_(nodes) {}

  absl::Status Run() {
    RETURN_IF_ERROR(Advance());
    if (token_.kind == Token::Kind::kEnd) return lexer_.Error(0, "there is no condition");
    RETURN_IF_ERROR(Or().status());
    if (nodes_->size() > kMaxNodes) return lexer_.Error(0, "more than 1,000 conditions; use IN");
    return token_.kind == Token::Kind::kEnd ? absl::OkStatus() : Unexpected("AND, OR or the end");
  }

 private:
  using NodeIndex = absl::StatusOr<int>;

  absl::Status Advance() {
    ASSIGN_OR_RETURN(token_, lexer_.Next());
    return absl::OkStatus();
  }
  bool IsWord(std::string_view word) const { return token_.kind == Token::Kind::kName && token_.text == word; }
  bool IsSymbol(std::string_view symbol) const { return token_.kind == Token::Kind::kSymbol && token_.text == symbol; }

  absl::Status Unexpected(std::string_view wanted) const {
    return lexer_.Error(token_.at,
                        absl::StrCat(token_.kind == Token::Kind::kEnd ? "the text ends" : "got something else",
                                     " where there must be ", wanted));
  }
  absl::Status Expect(std::string_view symbol) {
    if (!IsSymbol(symbol)) return Unexpected(absl::StrCat("a ", symbol));
    return Advance();
  }
  absl::Status ExpectWord(std::string_view word) {
    if (!IsWord(word)) return Unexpected(absl::AsciiStrToUpper(word));
    return Advance();
  }

  int Add(FilterNode node) {
    nodes_->push_back(std::move(node));
    return static_cast<int>(nodes_->size()) - 1;
  }
  int Join(FilterNode::Kind kind, int left, int right = -1) {
    return Add({.kind = kind, .left = left, .right = right, .value = {}, .other = {}});
  }
  int Compare(FilterValue value, Comparison comparison, FilterValue other) {
    return Add({.kind = FilterNode::Kind::kCompare,
                .comparison = comparison,
                .value = std::move(value),
                .other = {std::move(other)}});
  }

  // Counts how deep the parser is for as long as it lives.
  struct Level {
    explicit Level(int* depth) : depth(depth) { ++*depth; }
    ~Level() { --*depth; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    int* const depth;
  };

  NodeIndex Or() {
    const Level level(&depth_);
    if (depth_ > kMaxDepth) return lexer_.Error(token_.at, "nested too deeply");
    ASSIGN_OR_RETURN(int left, And());
    while (IsWord("or")) {
      RETURN_IF_ERROR(Advance());
      ASSIGN_OR_RETURN(const int right, And());
      left = Join(FilterNode::Kind::kOr, left, right);
    }
    return left;
  }

  NodeIndex And() {
    ASSIGN_OR_RETURN(int left, Not());
    while (IsWord("and")) {
      RETURN_IF_ERROR(Advance());
      ASSIGN_OR_RETURN(const int right, Not());
      left = Join(FilterNode::Kind::kAnd, left, right);
    }
    return left;
  }

  NodeIndex Not() {
    bool negated = false;
    while (IsWord("not")) {
      negated = !negated;
      RETURN_IF_ERROR(Advance());
    }
    ASSIGN_OR_RETURN(const int node, Predicate());
    return negated ? Join(FilterNode::Kind::kNot, node) : node;
  }

  NodeIndex Predicate() {
    if (IsSymbol("(")) {
      RETURN_IF_ERROR(Advance());
      ASSIGN_OR_RETURN(const int node, Or());
      RETURN_IF_ERROR(Expect(")"));
      return node;
    }
    ASSIGN_OR_RETURN(FilterValue value, Value());
    if (const std::optional<Comparison> comparison = ComparisonHere()) {
      RETURN_IF_ERROR(Advance());
      ASSIGN_OR_RETURN(FilterValue other, Value());
      if (ComparisonHere()) return Unexpected("AND, OR or the end: comparisons cannot be chained");
      return CompareValues(std::move(value), *comparison, std::move(other));
    }
    if (value.kind == FilterValue::Kind::kBool) {
      return Add({.kind = FilterNode::Kind::kConstant, .constant = value.text == "t", .value = {}, .other = {}});
    }
    if (value.kind != FilterValue::Kind::kColumn) return Unexpected("a comparison: a literal alone is no condition");
    if (IsWord("is")) return Is(std::move(value));
    const bool negated = IsWord("not");
    if (negated) RETURN_IF_ERROR(Advance());
    NodeIndex node = -1;
    if (IsWord("in")) {
      node = In(std::move(value));
    } else if (IsWord("between")) {
      node = Between(std::move(value));
    } else if (IsWord("like")) {
      node = Like(std::move(value));
    } else if (negated) {
      return Unexpected("IN, BETWEEN or LIKE");
    } else if (IsSymbol("(")) {
      return Unexpected("a comparison: there are no functions here");
    } else {
      return Compare(std::move(value), Comparison::kEqual, {.kind = FilterValue::Kind::kBool, .text = "t"});
    }
    if (!node.ok() || !negated) return node;
    return Join(FilterNode::Kind::kNot, *node);
  }

  // The column to the left.
  NodeIndex CompareValues(FilterValue value, Comparison comparison, FilterValue other) {
    if (value.kind == FilterValue::Kind::kColumn) return Compare(std::move(value), comparison, std::move(other));
    if (other.kind != FilterValue::Kind::kColumn) return Unexpected("a column on one side of the comparison");
    switch (comparison) {
      case Comparison::kLess:
        comparison = Comparison::kGreater;
        break;
      case Comparison::kLessOrEqual:
        comparison = Comparison::kGreaterOrEqual;
        break;
      case Comparison::kGreater:
        comparison = Comparison::kLess;
        break;
      case Comparison::kGreaterOrEqual:
        comparison = Comparison::kLessOrEqual;
        break;
      default:
        break;
    }
    return Compare(std::move(other), comparison, std::move(value));
  }

  std::optional<Comparison> ComparisonHere() const {
    static constexpr std::pair<std::string_view, Comparison> kComparisons[] = {
        {"=", Comparison::kEqual},          {"<>", Comparison::kNotEqual},    {"!=", Comparison::kNotEqual},
        {"<", Comparison::kLess},           {"<=", Comparison::kLessOrEqual}, {">", Comparison::kGreater},
        {">=", Comparison::kGreaterOrEqual}};
    if (token_.kind != Token::Kind::kSymbol) return std::nullopt;
    for (const auto& [symbol, comparison] : kComparisons) {
      if (token_.text == symbol) return comparison;
    }
    return std::nullopt;
  }

  // `column IS TRUE` is true or false, never null.
  NodeIndex Is(FilterValue value) {
    RETURN_IF_ERROR(Advance());
    const bool negated = IsWord("not");
    if (negated) RETURN_IF_ERROR(Advance());
    int node = -1;
    if (IsWord("null")) {
      node = Add({.kind = FilterNode::Kind::kIsNull, .value = std::move(value), .other = {}});
    } else if (IsWord("true") || IsWord("false")) {
      const int null = Add({.kind = FilterNode::Kind::kIsNull, .value = value, .other = {}});
      const int known = Join(FilterNode::Kind::kNot, null);
      const int equal = Compare(std::move(value), Comparison::kEqual,
                                {.kind = FilterValue::Kind::kBool, .text = IsWord("true") ? "t" : "f"});
      node = Join(FilterNode::Kind::kAnd, known, equal);
    } else {
      return Unexpected("NULL, TRUE or FALSE, or NOT before one of them");
    }
    RETURN_IF_ERROR(Advance());
    return negated ? Join(FilterNode::Kind::kNot, node) : node;
  }

  NodeIndex In(FilterValue value) {
    RETURN_IF_ERROR(Advance());
    RETURN_IF_ERROR(Expect("("));
    FilterNode node{.kind = FilterNode::Kind::kIn, .value = std::move(value), .other = {}};
    while (true) {
      ASSIGN_OR_RETURN(FilterValue item, Literal());
      node.other.push_back(std::move(item));
      if (!IsSymbol(",")) break;
      RETURN_IF_ERROR(Advance());
    }
    RETURN_IF_ERROR(Expect(")"));
    return Add(std::move(node));
  }

  NodeIndex Between(FilterValue value) {
    RETURN_IF_ERROR(Advance());
    ASSIGN_OR_RETURN(FilterValue low, Literal());
    RETURN_IF_ERROR(ExpectWord("and"));
    ASSIGN_OR_RETURN(FilterValue high, Literal());
    const int from = Compare(value, Comparison::kGreaterOrEqual, std::move(low));
    const int to = Compare(std::move(value), Comparison::kLessOrEqual, std::move(high));
    return Join(FilterNode::Kind::kAnd, from, to);
  }

  NodeIndex Like(FilterValue value) {
    RETURN_IF_ERROR(Advance());
    ASSIGN_OR_RETURN(FilterValue pattern, Literal());
    if (pattern.kind != FilterValue::Kind::kText) return Unexpected("a pattern in quotes before this");
    return Add({.kind = FilterNode::Kind::kLike, .value = std::move(value), .other = {std::move(pattern)}});
  }

  absl::StatusOr<FilterValue> Literal() {
    ASSIGN_OR_RETURN(FilterValue value, Value());
    if (value.kind == FilterValue::Kind::kColumn) return Unexpected("a literal before this, not a column");
    return value;
  }

  absl::StatusOr<FilterValue> Value() {
    FilterValue value;
    const bool minus = IsSymbol("-");
    if (minus) RETURN_IF_ERROR(Advance());
    switch (token_.kind) {
      case Token::Kind::kNumber:
        value.kind = FilterValue::Kind::kNumber;
        value.text = absl::StrCat(minus ? "-" : "", token_.text);
        break;
      case Token::Kind::kText:
        value.kind = FilterValue::Kind::kText;
        value.text = token_.text;
        break;
      case Token::Kind::kName:
        if (token_.text == "true" || token_.text == "false") {
          value.kind = FilterValue::Kind::kBool;
          value.text = token_.text == "true" ? "t" : "f";
          break;
        }
        if (token_.text == "null") {
          return lexer_.Error(token_.at, "a comparison with NULL is never true; write IS NULL or IS NOT NULL");
        }
        if (IsReserved(token_.text))
          return Unexpected("a column or a literal; write \"quotes\" around a column of that name");
        value.text = token_.text;
        break;
      case Token::Kind::kQuotedName:
        value.text = token_.text;
        break;
      default:
        return Unexpected("a column or a literal");
    }
    if (minus && value.kind != FilterValue::Kind::kNumber) return Unexpected("a number behind the minus sign");
    RETURN_IF_ERROR(Advance());
    if (value.kind == FilterValue::Kind::kColumn && IsWord("collate")) RETURN_IF_ERROR(Collate(&value));
    return value;
  }

  absl::Status Collate(FilterValue* value) {
    RETURN_IF_ERROR(Advance());
    if (token_.kind != Token::Kind::kQuotedName || token_.text != "C")
      return Unexpected("\"C\", the only order known here");
    value->bytewise = true;
    return Advance();
  }

  Lexer lexer_;
  Token token_;
  int depth_ = 0;
  std::vector<FilterNode>* const nodes_;
};

}  // namespace

absl::StatusOr<RowFilter> RowFilter::Parse(std::string_view text) {
  RowFilter filter;
  filter.text_ = std::string(text);
  RETURN_IF_ERROR(Parser(text, &filter.nodes_).Run());
  return filter;
}

}  // namespace wallaby
