// The bytes of COPY TO STDOUT, text and binary: fed whole and in pieces they give the same rows or both fail.
// First byte: bit 0 binary, bits 1 to 3 columns; second byte: size of a piece.
#include <memory>
#include <string>
#include <vector>

#include "change/tuple.h"
#include "fuzz.h"
#include "postgres/copy_rows.h"

namespace wallaby {
namespace {

struct Rows {
  std::string arena;
  std::vector<uint64_t> at;
  bool good = true;
};

Rows Feed(bool binary, int columns, std::string_view bytes, size_t piece) {
  Rows rows;
  CopyRows parser(binary, columns);
  while (!bytes.empty() && rows.good) {
    const fuzz::Exact now(bytes.substr(0, piece));
    rows.good = parser.Feed(now.view(), &rows.arena, &rows.at).ok();
    bytes.remove_prefix(now.view().size());
  }
  rows.good = rows.good && parser.Finish().ok();
  return rows;
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  const uint8_t form = in.Byte();
  const bool binary = (form & 1) != 0;
  const int columns = form >> 1 & 7;
  const size_t piece = size_t{1} + in.Byte();
  const std::string_view bytes = in.Rest();
  const Rows whole = Feed(binary, columns, bytes, bytes.size() + 1);
  const Rows pieces = Feed(binary, columns, bytes, piece);
  REQUIRE(whole.good == pieces.good, "whole and in pieces, the end differs");
  if (!whole.good) return 0;
  REQUIRE(whole.arena == pieces.arena && whole.at == pieces.at, "whole and in pieces, the rows differ");
  size_t end = 0;
  for (const uint64_t at : whole.at) {
    REQUIRE(at == end, "rows do not stand one behind the other");
    TupleCursor cursor(whole.arena.data() + at);
    REQUIRE(cursor.count() == columns, "a row of another width");
    end += 2;
    for (; !cursor.done(); cursor.Next()) {
      const Field& field = cursor.field();
      REQUIRE(field.kind == FieldKind::kNull || field.kind == (binary ? FieldKind::kBinary : FieldKind::kText), "kind");
      end += field.is_null() ? 1 : 5 + field.bytes.size();
    }
  }
  REQUIRE(end == whole.arena.size(), "bytes that belong to no row");
  return 0;
}
