// Replication slots: create, look, drop.
// Source: PostgreSQL documentation, "pg_replication_slots" and "Streaming Replication Protocol".
#ifndef WALLABY_POSTGRES_SLOT_H_
#define WALLABY_POSTGRES_SLOT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/lsn.h"
#include "postgres/connection.h"

namespace wallaby {

struct SlotInfo {
  std::string name;
  std::string plugin;
  std::string database;
  bool logical = true;
  bool temporary = false;
  bool active = false;
  int active_pid = 0;
  Lsn confirmed_flush;  // 0/0: see being_made()
  Lsn restart;
  int64_t retained_bytes = 0;       // current WAL position minus restart
  int64_t behind_bytes = 0;         // current WAL position minus confirmed_flush
  std::string wal_status;           // reserved, extended, unreserved, lost
  std::string invalidation_reason;  // 17+: rows_removed, wal_level_insufficient, ...; "" when valid
  bool failover = false;            // 17+
  bool synced = false;              // 17+: the standby's copy of a slot of its primary
  // WAL that may still be written before the slot is in danger; nullopt without max_slot_wal_keep_size.
  std::optional<int64_t> safe_wal_bytes;
  int64_t catalog_xmin_age = 0;                // in transactions; 0: the slot holds none
  std::optional<absl::Duration> inactive_for;  // 17+: since when nobody reads it

  // Somebody's CREATE_REPLICATION_SLOT waits for transactions that are open at the source: the slot has no position
  // yet, and goes with the one who makes it.
  bool being_made() const { return logical && !confirmed_flush.valid(); }
};

absl::StatusOr<std::optional<SlotInfo>> GetSlot(PgConnection& sql, const std::string& name);
absl::StatusOr<std::vector<SlotInfo>> ListSlots(PgConnection& sql);
// FAILED_PRECONDITION naming the pid while the slot is active; NOT_FOUND when there is none.
absl::Status DropSlot(PgConnection& sql, const std::string& name);
// Moves a slot that nobody reads, so that the server may forget what is before `upto`. Never back.
absl::Status AdvanceSlot(PgConnection& sql, const std::string& name, Lsn upto);

// FAILED_PRECONDITION with the remedy when the slot cannot serve this flow: lost, wrong plugin, other database,
// physical. Says nothing about `active`.
absl::Status CheckSlotUsable(const SlotInfo& slot, const std::string& database);
// Of an active slot: who reads it, and how to end that.
std::string SlotInUse(const SlotInfo& slot);

// A slot made on a replication connection together with a snapshot that shows the database exactly at `consistent`:
// transactions whose commit LSN is below are in the snapshot, all others are streamed. The snapshot can be used by
// other connections (SET TRANSACTION SNAPSHOT) while this object lives.
class SlotSnapshot {
 public:
  // `temporary` slots vanish with the object. `failover` needs PG17. Makes its own replication connection.
  static absl::StatusOr<std::unique_ptr<SlotSnapshot>> Create(const std::string& dsn, const std::string& slot,
                                                              bool temporary, bool failover);
  const std::string& snapshot() const { return snapshot_; }
  Lsn consistent() const { return consistent_; }

 private:
  std::unique_ptr<PgConnection> connection_;
  std::string snapshot_;
  Lsn consistent_;
};

// What the server is: for checks and messages.
struct ServerInfo {
  int version = 0;
  std::string wal_level;
  std::string system_identifier;
  int timeline = 0;
  std::string database;
  int max_replication_slots = 0;
  int used_replication_slots = 0;
  int max_wal_senders = 0;
  int used_wal_senders = 0;
  bool in_recovery = false;
  bool role_can_replicate = false;  // superuser, REPLICATION or rds_replication
  Lsn current_lsn;
};
absl::StatusOr<ServerInfo> GetServerInfo(PgConnection& sql);
// ServerInfo::current_lsn alone.
absl::StatusOr<Lsn> GetCurrentLsn(PgConnection& sql);

// Where the timeline `timeline` ended in the history of the server, which was promoted since: what comes behind it
// there was never on this server. nullopt when it has not ended, or is not known here.
absl::StatusOr<std::optional<Lsn>> EndOfTimeline(const std::string& dsn, int timeline);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SLOT_H_
