// Messages of the pgoutput plugin, protocol version 1, parsed without copying.
//
// Source: PostgreSQL documentation, "Logical Replication Message Formats" (protocol-logicalrep-message-formats).
// Parsing checks every length against the input; bytes that do not follow the format are DATA_LOSS with the message's
// type and the offset. Views point into the input. No I/O, no state.
#ifndef WALLABY_PGOUTPUT_MESSAGES_H_
#define WALLABY_PGOUTPUT_MESSAGES_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/lsn.h"

namespace wallaby::pgoutput {

enum class MessageType : char {
  kBegin = 'B',
  kCommit = 'C',
  kOrigin = 'O',
  kRelation = 'R',
  kType = 'Y',
  kInsert = 'I',
  kUpdate = 'U',
  kDelete = 'D',
  kTruncate = 'T',
  kLogicalMessage = 'M',
};

// Microseconds between PostgreSQL's epoch (2000-01-01) and Unix's.
inline constexpr int64_t kPostgresEpochMicros = 946684800000000;

struct Begin {
  Lsn commit;                      // of the commit record that will follow
  int64_t commit_time_micros = 0;  // Unix epoch
  uint32_t xid = 0;
};

struct Commit {
  Lsn commit;
  Lsn end;
  int64_t commit_time_micros = 0;  // Unix epoch
};

struct RelationColumn {
  bool key = false;
  std::string_view name;
  uint32_t type_oid = 0;
  int32_t typmod = -1;
};

struct RelationMessage {
  uint32_t oid = 0;
  std::string_view schema;  // "" stands for pg_catalog
  std::string_view name;
  char identity = 'd';
  std::vector<RelationColumn> columns;
};

// A checked tuple: safe for TupleCursor.
struct TupleView {
  std::string_view bytes;
  bool has_absent = false;  // some column is an unchanged TOASTed value
  int columns = 0;
};

struct RowChange {  // insert, update, delete
  uint32_t oid = 0;
  bool has_old = false;
  bool old_is_key = false;
  bool has_new = false;
  TupleView old_row;
  TupleView new_row;
};

struct Truncate {
  bool cascade = false;
  bool restart_identity = false;
  std::vector<uint32_t> oids;
};

struct LogicalMessage {
  bool transactional = false;
  Lsn lsn;
  std::string_view prefix;
  std::string_view content;
};

absl::Status ParseBegin(std::string_view message, Begin* out);
absl::Status ParseCommit(std::string_view message, Commit* out);
absl::Status ParseRelation(std::string_view message, RelationMessage* out);
absl::Status ParseInsert(std::string_view message, RowChange* out);
absl::Status ParseUpdate(std::string_view message, RowChange* out);
absl::Status ParseDelete(std::string_view message, RowChange* out);
absl::Status ParseTruncate(std::string_view message, Truncate* out);
absl::Status ParseLogicalMessage(std::string_view message, LogicalMessage* out);

}  // namespace wallaby::pgoutput

#endif  // WALLABY_PGOUTPUT_MESSAGES_H_
