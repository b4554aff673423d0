// What a slot would send again: for the proof that the server has the history that was read from it.
//
// Source: PostgreSQL documentation, "Replication Management Functions" (functions-replication):
// pg_logical_slot_peek_binary_changes.
#ifndef WALLABY_POSTGRES_SLOT_HISTORY_H_
#define WALLABY_POSTGRES_SLOT_HISTORY_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "change/change_batch.h"
#include "postgres/connection.h"

namespace wallaby {

enum class Sent {
  kRows,      // transactions of which the publication has rows
  kAnything,  // and those with logical messages, or empty ones where the server sends them
};

// The last transaction that commits at or behind the slot's confirmed position and before `upto`; nullopt: there is
// none. Its `end` is not told. The server decodes what lies between and the slot stays where it is. UNAVAILABLE while
// somebody reads the slot; NOT_FOUND: slot or publication were not there.
absl::StatusOr<std::optional<Transaction>> LastSent(PgConnection& sql, const std::string& slot,
                                                    const std::string& publication, Lsn upto, Sent sent);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SLOT_HISTORY_H_
