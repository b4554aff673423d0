// Tuple: a view of one row in the wire form of the logical replication protocol.
//
// Source: PostgreSQL documentation, "Logical Replication Message Formats", TupleData (protocol-logicalrep-message-
// formats): Int16 number of columns; per column Byte1 'n' (null), 'u' (unchanged TOASTed value, not sent),
// 't' (text) or 'b' (binary), the last two followed by Int32 length and the bytes. All integers big-endian.
// Rows of a snapshot are put in the same form, so that writers know one form only.
#ifndef WALLABY_CHANGE_TUPLE_H_
#define WALLABY_CHANGE_TUPLE_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace wallaby {

enum class FieldKind : char { kNull = 'n', kUnchanged = 'u', kText = 't', kBinary = 'b' };

struct Field {
  FieldKind kind = FieldKind::kNull;
  std::string_view bytes;  // empty unless kText or kBinary

  bool is_null() const { return kind == FieldKind::kNull; }
  bool is_absent() const { return kind == FieldKind::kUnchanged; }
};

inline uint16_t ReadBigEndian16(const char* p) {
  uint16_t v;
  std::memcpy(&v, p, sizeof(v));
  return __builtin_bswap16(v);
}
inline uint32_t ReadBigEndian32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, sizeof(v));
  return __builtin_bswap32(v);
}
inline uint64_t ReadBigEndian64(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, sizeof(v));
  return __builtin_bswap64(v);
}

// Walks the columns of well-formed bytes (the decoder has checked them). Does not own them.
//   for (TupleCursor c(bytes); !c.done(); c.Next()) use(c.index(), c.field());
class TupleCursor {
 public:
  explicit TupleCursor(const char* tuple) : count_(ReadBigEndian16(tuple)), p_(tuple + 2) {
    if (count_ > 0) Load();
  }
  bool done() const { return index_ == count_; }
  int index() const { return index_; }
  int count() const { return count_; }
  const Field& field() const { return field_; }
  void Next() {
    if (++index_ < count_) Load();
  }

 private:
  void Load() {
    field_.kind = static_cast<FieldKind>(*p_++);
    if (field_.kind == FieldKind::kText || field_.kind == FieldKind::kBinary) {
      const uint32_t length = ReadBigEndian32(p_);
      field_.bytes = std::string_view(p_ + 4, length);
      p_ += 4 + length;
    } else {
      field_.bytes = {};
    }
  }

  int count_;
  int index_ = 0;
  const char* p_;
  Field field_;
};

// Builds a tuple in the wire form at the end of a buffer. Used by the snapshot reader, the decoder where it fills an
// absent value, and tests.
class TupleBuilder {
 public:
  explicit TupleBuilder(std::string* out, int columns);
  void Null() { out_->push_back('n'); }
  void Unchanged() { out_->push_back('u'); }
  void Text(std::string_view bytes) { Value('t', bytes); }
  void Binary(std::string_view bytes) { Value('b', bytes); }
  void Add(const Field& field);

 private:
  void Value(char kind, std::string_view bytes);
  std::string* out_;
};

}  // namespace wallaby

#endif  // WALLABY_CHANGE_TUPLE_H_
