#include "change/tuple.h"

#include "base/check.h"

namespace wallaby {
namespace {

void AppendBigEndian32(uint32_t value, std::string* out) {
  const uint32_t swapped = __builtin_bswap32(value);
  out->append(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}

}  // namespace

TupleBuilder::TupleBuilder(std::string* out, int columns) : out_(out) {
  WALLABY_CHECK(columns >= 0 && columns <= 1664, "PostgreSQL tables have at most 1,600 columns");
  const uint16_t swapped = __builtin_bswap16(static_cast<uint16_t>(columns));
  out_->append(reinterpret_cast<const char*>(&swapped), sizeof(swapped));
}

void TupleBuilder::Value(char kind, std::string_view bytes) {
  out_->push_back(kind);
  AppendBigEndian32(static_cast<uint32_t>(bytes.size()), out_);
  out_->append(bytes);
}

void TupleBuilder::Add(const Field& field) {
  switch (field.kind) {
    case FieldKind::kNull:
      return Null();
    case FieldKind::kUnchanged:
      return Unchanged();
    case FieldKind::kText:
      return Text(field.bytes);
    case FieldKind::kBinary:
      return Binary(field.bytes);
  }
}

}  // namespace wallaby
