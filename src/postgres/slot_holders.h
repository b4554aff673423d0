// What keeps a slot from letting go of old WAL and old catalog rows though its reader is up to date: transactions that
// are open. Decoding needs all that was written since the oldest of them began.
// Source: PostgreSQL documentation, "pg_stat_activity", "pg_prepared_xacts".
#ifndef WALLABY_POSTGRES_SLOT_HOLDERS_H_
#define WALLABY_POSTGRES_SLOT_HOLDERS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "postgres/connection.h"

namespace wallaby {

// A transaction that has written: a session's, or a prepared one.
struct SlotHolder {
  int pid = 0;      // of a session; 0: prepared
  std::string gid;  // of a prepared transaction
  std::string role;
  std::string database;
  std::string state;                  // of a session: "active", "idle in transaction"; "" where the role may not see it
  std::optional<absl::Duration> age;  // nullopt where the role may not see it (pg_read_all_stats shows it)
  int64_t transactions = 0;           // that began since

  // "pid 4711 (idle in transaction, 2h) of role app in database shop", "prepared transaction 'x' (3d) of role ..."
  std::string Describe() const;
  // The statement that ends it, and who may run it.
  std::string EndSql() const;
  std::string EndAs() const;
};

// All of them, the oldest first, whatever their database.
absl::StatusOr<std::vector<SlotHolder>> FindSlotHolders(PgConnection& sql);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SLOT_HOLDERS_H_
