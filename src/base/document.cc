#include "base/document.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;

// What people write by hand is a page or two; YAML aliases could make a small text grow.
constexpr size_t kMaxText = 1 << 20;
constexpr int kMaxDepth = 16;
constexpr int kMaxNodes = 20000;

// ---- JSON ----

absl::StatusOr<Document> ReadJson(std::string_view text, std::string title) {
  std::vector<std::set<std::string>> open;  // keys of the objects that are open
  std::string problem;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth && problem.empty()) problem = "it is nested too deeply";
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end && !open.empty()) open.pop_back();
    if (event == Json::parse_event_t::key && !open.empty()) {
      const std::string key = parsed.get<std::string>();
      if (!open.back().insert(key).second && problem.empty()) {
        problem = absl::StrCat("key '", key, "' stands twice in one object");
      }
    }
    return true;
  };
  Document document{.title = std::move(title), .root = {}, .lines = {}};
  try {
    document.root = Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::parse_error& error) {
    const size_t end = std::min(error.byte == 0 ? 0 : error.byte - 1, text.size());
    const std::string_view before = text.substr(0, end);
    const size_t line_start = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
    // The parser's own text quotes the input, which may hold a password.
    return absl::InvalidArgumentError(absl::StrCat(
        document.title, ": not valid JSON at line ", std::count(before.begin(), before.end(), '\n') + 1, ", column ",
        end - line_start + 1, ": a quote, comma, colon or bracket is missing or too much there or just before"));
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError(document.title + ": not valid JSON");
  }
  if (!problem.empty()) return absl::InvalidArgumentError(absl::StrCat(document.title, ": ", problem));
  return document;
}

// ---- YAML ----

class YamlReader {
 public:
  explicit YamlReader(Document* out) : out_(out) {}

  absl::StatusOr<Json> Convert(const YAML::Node& node, const std::string& path, int depth) {
    if (depth > kMaxDepth) return out_->Error(path, "nested too deeply");
    if (++nodes_ > kMaxNodes) return out_->Error(path, "too many values");
    if (node.Mark().line >= 0) out_->lines.emplace(path, node.Mark().line + 1);
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return Json(node.Scalar());
      case YAML::NodeType::Sequence:
        return Sequence(node, path, depth);
      case YAML::NodeType::Map:
        return Map(node, path, depth);
      default:
        return Json(nullptr);
    }
  }

 private:
  absl::StatusOr<Json> Sequence(const YAML::Node& node, const std::string& path, int depth) {
    Json list = Json::array();
    for (size_t i = 0; i < node.size(); ++i) {
      ASSIGN_OR_RETURN(Json item, Convert(node[i], absl::StrCat(path, "[", i, "]"), depth + 1));
      list.push_back(std::move(item));
    }
    return list;
  }

  absl::StatusOr<Json> Map(const YAML::Node& node, const std::string& path, int depth) {
    Json map = Json::object();
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return out_->Error(path, "a key must be plain text");
      const std::string& key = entry.first.Scalar();
      const std::string below = JoinPath(path, key);
      if (entry.first.Mark().line >= 0) out_->lines[below] = entry.first.Mark().line + 1;
      if (map.contains(key)) return out_->Error(below, "the key stands twice");
      ASSIGN_OR_RETURN(map[key], Convert(entry.second, below, depth + 1));
    }
    return map;
  }

  Document* out_;
  int nodes_ = 0;
};

class IgnoreEvents final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Load() reads the first document and leaves what follows unseen; LoadAll() never ends on some damaged texts.
bool HasSecondDocument(const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  IgnoreEvents ignore;
  return parser.HandleNextDocument(ignore) && parser.HandleNextDocument(ignore);
}

// YAML's parser takes any bytes as text; the store and the wire take UTF-8, and would change the rest in silence.
bool IsUtf8(const Json& tree) {
  try {
    (void)tree.dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

absl::StatusOr<Document> ReadYaml(const std::string& text, std::string title) {
  Document document{.title = std::move(title), .root = {}, .lines = {}};
  try {
    if (HasSecondDocument(text)) {
      return absl::InvalidArgumentError(document.title +
                                        ": something follows the first YAML document; there must be one");
    }
    ASSIGN_OR_RETURN(document.root, YamlReader(&document).Convert(YAML::Load(text), "", 0));
  } catch (const YAML::Exception& error) {
    const std::string at =
        error.mark.is_null() ? "" : absl::StrCat(" at line ", error.mark.line + 1, ", column ", error.mark.column + 1);
    return absl::InvalidArgumentError(absl::StrCat(document.title, ": not valid YAML", at, ": ", error.msg));
  }
  if (!IsUtf8(document.root))
    return absl::InvalidArgumentError(document.title + ": it is not UTF-8; save it in that encoding");
  return document;
}

}  // namespace

std::string JoinPath(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", key);
}

absl::Status Document::Error(const std::string& path, std::string_view what) const {
  const auto found = lines.find(path);
  return absl::InvalidArgumentError(absl::StrCat(title, ": ",
                                                 found == lines.end() ? "" : absl::StrCat("line ", found->second, ": "),
                                                 path.empty() ? "" : absl::StrCat(path, ": "), what));
}

absl::Status Document::CheckKeys(const Json& map, const std::string& path,
                                 const std::vector<std::string_view>& known) const {
  if (!map.is_object()) return Error(path, "must be a map of keys and values");
  for (const auto& [key, unused] : map.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return Error(JoinPath(path, key),
                   absl::StrCat("unknown key '", key, "'; known here: ", absl::StrJoin(known, ", ")));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Document::Text(const Json& value, const std::string& path) const {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number()) return value.dump();
  if (value.is_null()) return Error(path, "has no value; write \"\" for an empty one or leave the key out");
  return Error(path, "must be a single value, not a list or a map");
}

absl::Status Document::ReadText(const Json& map, const std::string& path, const char* key, std::string* out) const {
  if (!map.contains(key)) return absl::OkStatus();
  ASSIGN_OR_RETURN(*out, Text(map[key], JoinPath(path, key)));
  return absl::OkStatus();
}

absl::StatusOr<Document> ReadDocument(std::string_view text, std::string title) {
  if (text.size() > kMaxText) return absl::InvalidArgumentError(title + ": larger than 1 MiB");
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  const std::string_view start = absl::StripLeadingAsciiWhitespace(text);
  if (start.empty()) return absl::InvalidArgumentError(title + ": it is empty");
  // YAML's flow style begins with a brace too, but what begins so is nearly always meant as JSON.
  return start[0] == '{' ? ReadJson(text, std::move(title)) : ReadYaml(std::string(text), std::move(title));
}

}  // namespace wallaby
