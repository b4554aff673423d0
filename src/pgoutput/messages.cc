#include "pgoutput/messages.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "change/tuple.h"

namespace wallaby::pgoutput {
namespace {

// Takes values off the front of a message. After a value that is not there, ok() is false and all that follow are zero.
class Taker {
 public:
  explicit Taker(std::string_view message) : begin_(message.data()), p_(begin_), end_(begin_ + message.size()) {}

  bool ok() const { return ok_; }
  bool at_end() const { return p_ == end_; }
  const char* position() const { return p_; }

  uint8_t Byte() { return Have(1) ? static_cast<uint8_t>(*p_++) : 0; }
  uint16_t Int16() {
    if (!Have(2)) return 0;
    p_ += 2;
    return ReadBigEndian16(p_ - 2);
  }
  uint32_t Int32() {
    if (!Have(4)) return 0;
    p_ += 4;
    return ReadBigEndian32(p_ - 4);
  }
  uint64_t Int64() {
    if (!Have(8)) return 0;
    p_ += 8;
    return ReadBigEndian64(p_ - 8);
  }
  std::string_view String() {
    if (!ok_) return {};
    const void* zero = std::memchr(p_, 0, end_ - p_);
    if (zero == nullptr) {
      ok_ = false;
      return {};
    }
    std::string_view text(p_, static_cast<const char*>(zero) - p_);
    p_ += text.size() + 1;
    return text;
  }
  std::string_view Bytes(size_t count) {
    if (!Have(count)) return {};
    p_ += count;
    return {p_ - count, count};
  }
  // Fills it where it is to stand: building it elsewhere and copying it costs as much as the parse.
  void Tuple(TupleView* view);

  absl::Status Finish() const {
    if (ok_ && at_end()) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("pgoutput message '", std::string_view(begin_, end_ > begin_ ? 1 : 0),
                                            "' of ", end_ - begin_, " bytes is malformed at byte ", p_ - begin_,
                                            "; the server or the connection is at fault"));
  }

 private:
  bool Have(size_t count) {
    if (ok_ && static_cast<size_t>(end_ - p_) >= count) return true;
    ok_ = false;
    return false;
  }

  const char* begin_;
  const char* p_;
  const char* end_;
  bool ok_ = true;
};

// The hot path: one pass over kinds and lengths.
void Taker::Tuple(TupleView* view) {
  const char* start = p_;
  const int columns = Int16();
  view->columns = columns;
  if (!ok_) return;
  const char* p = p_;
  for (int i = 0; i < columns; ++i) {
    if (p == end_) {
      ok_ = false;
      return;
    }
    const char kind = *p++;
    if (kind == 't' || kind == 'b') {
      if (end_ - p < 4) {
        ok_ = false;
        return;
      }
      const uint32_t length = ReadBigEndian32(p);
      p += 4;
      if (static_cast<size_t>(end_ - p) < length) {
        ok_ = false;
        return;
      }
      p += length;
    } else if (kind == 'u') {
      view->has_absent = true;
    } else if (kind != 'n') {
      ok_ = false;
      p_ = p - 1;
      return;
    }
  }
  p_ = p;
  view->bytes = std::string_view(start, p - start);
}

// A server whose clock is 292,000 years ahead is one that sends nonsense: the sum may turn around, but not be
// undefined.
int64_t UnixMicros(uint64_t postgres_micros) {
  return static_cast<int64_t>(postgres_micros + static_cast<uint64_t>(kPostgresEpochMicros));
}

}  // namespace

absl::Status ParseBegin(std::string_view message, Begin* out) {
  Taker in(message);
  in.Byte();
  out->commit = Lsn{in.Int64()};
  out->commit_time_micros = UnixMicros(in.Int64());
  out->xid = in.Int32();
  return in.Finish();
}

absl::Status ParseCommit(std::string_view message, Commit* out) {
  Taker in(message);
  in.Byte();
  in.Byte();  // flags, unused
  out->commit = Lsn{in.Int64()};
  out->end = Lsn{in.Int64()};
  out->commit_time_micros = UnixMicros(in.Int64());
  return in.Finish();
}

absl::Status ParseRelation(std::string_view message, RelationMessage* out) {
  Taker in(message);
  in.Byte();
  out->oid = in.Int32();
  out->schema = in.String();
  out->name = in.String();
  out->identity = static_cast<char>(in.Byte());
  const int columns = in.Int16();
  out->columns.clear();
  for (int i = 0; i < columns && in.ok(); ++i) {
    RelationColumn column;
    column.key = (in.Byte() & 1) != 0;
    column.name = in.String();
    column.type_oid = in.Int32();
    column.typmod = static_cast<int32_t>(in.Int32());
    out->columns.push_back(column);
  }
  return in.Finish();
}

absl::Status ParseInsert(std::string_view message, RowChange* out) {
  *out = RowChange{};
  Taker in(message);
  in.Byte();
  out->oid = in.Int32();
  if (in.Byte() == 'N') {
    out->has_new = true;
    in.Tuple(&out->new_row);
    return in.Finish();
  }
  return absl::DataLossError("pgoutput insert without a new row; the server or the connection is at fault");
}

absl::Status ParseUpdate(std::string_view message, RowChange* out) {
  *out = RowChange{};
  Taker in(message);
  in.Byte();
  out->oid = in.Int32();
  char part = static_cast<char>(in.Byte());
  if (part == 'K' || part == 'O') {
    out->has_old = true;
    out->old_is_key = part == 'K';
    in.Tuple(&out->old_row);
    part = static_cast<char>(in.Byte());
  }
  if (part != 'N') {
    return absl::DataLossError("pgoutput update without a new row; the server or the connection is at fault");
  }
  out->has_new = true;
  in.Tuple(&out->new_row);
  return in.Finish();
}

absl::Status ParseDelete(std::string_view message, RowChange* out) {
  *out = RowChange{};
  Taker in(message);
  in.Byte();
  out->oid = in.Int32();
  const char part = static_cast<char>(in.Byte());
  if (part != 'K' && part != 'O') {
    return absl::DataLossError("pgoutput delete without an old row; the server or the connection is at fault");
  }
  out->has_old = true;
  out->old_is_key = part == 'K';
  in.Tuple(&out->old_row);
  return in.Finish();
}

absl::Status ParseTruncate(std::string_view message, Truncate* out) {
  Taker in(message);
  in.Byte();
  const uint32_t count = in.Int32();
  const uint8_t flags = in.Byte();
  out->cascade = (flags & 1) != 0;
  out->restart_identity = (flags & 2) != 0;
  out->oids.clear();
  for (uint32_t i = 0; i < count && in.ok(); ++i) out->oids.push_back(in.Int32());
  return in.Finish();
}

absl::Status ParseLogicalMessage(std::string_view message, LogicalMessage* out) {
  Taker in(message);
  in.Byte();
  out->transactional = (in.Byte() & 1) != 0;
  out->lsn = Lsn{in.Int64()};
  out->prefix = in.String();
  const uint32_t length = in.Int32();
  out->content = in.Bytes(length);
  return in.Finish();
}

}  // namespace wallaby::pgoutput
