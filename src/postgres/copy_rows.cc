#include "postgres/copy_rows.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "change/tuple.h"

namespace wallaby {
namespace {

constexpr std::string_view kSignature("PGCOPY\n\xff\r\n\0", 11);
constexpr size_t kHeaderSize = kSignature.size() + 8;  // flags, length of the extension

absl::Status Malformed(std::string_view why) {
  return absl::DataLossError(absl::StrCat("rows that the server sent by COPY cannot be read: ", why));
}

void AppendBigEndian32(uint32_t value, std::string* out) {
  const uint32_t swapped = __builtin_bswap32(value);
  out->append(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}

void StoreBigEndian32(uint32_t value, char* at) {
  value = __builtin_bswap32(value);
  std::memcpy(at, &value, sizeof(value));
}

char Unescape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return c;
  }
}

void AppendUnescaped(std::string_view field, std::string* out) {
  while (true) {
    const size_t slash = field.find('\\');
    out->append(field.substr(0, slash));
    if (slash == std::string_view::npos || slash + 1 == field.size()) return;
    out->push_back(Unescape(field[slash + 1]));
    field.remove_prefix(slash + 2);
  }
}

}  // namespace

absl::Status CopyRows::Feed(std::string_view bytes, std::string* arena, std::vector<uint64_t>* rows) {
  // The server sends whole rows in practice, so that nothing is carried.
  if (carry_.empty()) {
    RETURN_IF_ERROR(FeedWhole(&bytes, arena, rows));
    carry_.assign(bytes);
    return absl::OkStatus();
  }
  carry_.append(bytes);
  std::string_view rest = carry_;
  RETURN_IF_ERROR(FeedWhole(&rest, arena, rows));
  carry_.erase(0, carry_.size() - rest.size());
  return absl::OkStatus();
}

absl::Status CopyRows::FeedWhole(std::string_view* bytes, std::string* arena, std::vector<uint64_t>* rows) {
  while (!bytes->empty()) {
    if (ended_) return Malformed("bytes after the end");
    const size_t before = arena->size();
    Parsed parsed = Parsed::kNeedMore;
    RETURN_IF_ERROR(binary_ ? ParseBinary(bytes, arena, &parsed) : ParseText(bytes, arena, &parsed));
    if (parsed == Parsed::kRow) {
      rows->push_back(before);
    } else {
      arena->resize(before);
      if (parsed == Parsed::kNeedMore) return absl::OkStatus();
      ended_ = true;
    }
  }
  return absl::OkStatus();
}

absl::Status CopyRows::Finish() const {
  if (!carry_.empty() || (binary_ && !ended_)) return Malformed("they end within a row");
  return absl::OkStatus();
}

absl::Status CopyRows::ParseHeader(std::string_view* bytes, Parsed* parsed) {
  if (bytes->size() < kHeaderSize) return absl::OkStatus();
  if (!bytes->starts_with(kSignature)) return Malformed("no signature");
  const uint32_t extension = ReadBigEndian32(bytes->data() + kSignature.size() + 4);
  if (bytes->size() - kHeaderSize < extension) return absl::OkStatus();
  bytes->remove_prefix(kHeaderSize + extension);
  header_seen_ = true;
  *parsed = Parsed::kRow;
  return absl::OkStatus();
}

absl::Status CopyRows::ParseBinary(std::string_view* bytes, std::string* arena, Parsed* parsed) {
  if (!header_seen_) {
    Parsed header = Parsed::kNeedMore;
    RETURN_IF_ERROR(ParseHeader(bytes, &header));
    if (header == Parsed::kNeedMore) return absl::OkStatus();
  }
  std::string_view in = *bytes;
  if (in.size() < 2) return absl::OkStatus();
  const uint16_t count = ReadBigEndian16(in.data());
  if (count == 0xffff) {
    bytes->remove_prefix(2);
    *parsed = Parsed::kEnd;
    return absl::OkStatus();
  }
  if (count != columns_) return Malformed(absl::StrCat("a row has ", count, " columns, not ", columns_));
  arena->append(in.data(), 2);
  in.remove_prefix(2);
  for (int i = 0; i < columns_; ++i) {
    if (in.size() < 4) return absl::OkStatus();
    const uint32_t length = ReadBigEndian32(in.data());
    if (length == 0xffffffff) {
      arena->push_back('n');
      in.remove_prefix(4);
      continue;
    }
    if (length > 0x7fffffff) return Malformed("a negative length");
    if (in.size() - 4 < length) return absl::OkStatus();
    arena->push_back('b');
    arena->append(in.data(), 4 + size_t{length});
    in.remove_prefix(4 + size_t{length});
  }
  *bytes = in;
  *parsed = Parsed::kRow;
  return absl::OkStatus();
}

absl::Status CopyRows::ParseText(std::string_view* bytes, std::string* arena, Parsed* parsed) {
  // A newline within a value is escaped, so that this one ends the row.
  const size_t end = bytes->find('\n');
  if (end == std::string_view::npos) return absl::OkStatus();
  const std::string_view line = bytes->substr(0, end);
  bytes->remove_prefix(end + 1);
  if (line == "\\.") {
    *parsed = Parsed::kEnd;
    return absl::OkStatus();
  }
  *parsed = Parsed::kRow;
  return TextRow(line, arena);
}

absl::Status CopyRows::TextRow(std::string_view line, std::string* arena) const {
  TupleBuilder row(arena, columns_);
  if (columns_ == 0) return line.empty() ? absl::OkStatus() : Malformed("a row of a table without columns has a value");
  int seen = 0;
  while (true) {
    const size_t tab = line.find('\t');
    const std::string_view field = line.substr(0, tab);
    if (++seen > columns_) break;
    if (field == "\\N") {
      row.Null();
    } else {
      arena->push_back('t');
      const size_t length_at = arena->size();
      AppendBigEndian32(0, arena);
      AppendUnescaped(field, arena);
      StoreBigEndian32(static_cast<uint32_t>(arena->size() - length_at - 4), arena->data() + length_at);
    }
    if (tab == std::string_view::npos) break;
    line.remove_prefix(tab + 1);
  }
  return seen == columns_ ? absl::OkStatus() : Malformed(absl::StrCat("a row has not ", columns_, " columns"));
}

}  // namespace wallaby
