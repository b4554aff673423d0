// What is to come of a slot: its limits, who reads it and how far, and what holds it.
#ifndef WALLABY_POSTGRES_SLOT_OUTLOOK_H_
#define WALLABY_POSTGRES_SLOT_OUTLOOK_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/lsn.h"
#include "postgres/connection.h"
#include "postgres/slot.h"
#include "postgres/slot_holders.h"

namespace wallaby {

// The server process that sends a slot's changes (pg_stat_replication).
struct WalSender {
  int pid = 0;
  std::string state;  // startup, catchup, streaming
  Lsn sent;
  Lsn received;                  // as the worker said last
  int64_t unsent_bytes = 0;      // WAL that it has not decoded yet
  int64_t unreceived_bytes = 0;  // sent, and not received yet
};

struct SlotOutlook {
  std::optional<int64_t> keep_limit_bytes;             // max_slot_wal_keep_size
  absl::Duration idle_timeout = absl::ZeroDuration();  // idle_replication_slot_timeout (18+); zero: none
  std::optional<WalSender> sender;                     // nullopt: none, or the role may not see it
  std::vector<SlotHolder> holders;                     // the oldest first
  std::optional<int64_t> wal_bytes;                    // in pg_wal; members of pg_monitor see it
};

absl::StatusOr<SlotOutlook> LookAhead(PgConnection& sql, const SlotInfo& slot);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SLOT_OUTLOOK_H_
