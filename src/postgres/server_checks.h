// Checks of the server that only the doctor makes: what its settings and its other users will do to a slot.
// Each adds what it finds; an error means that the check could not be made.
#ifndef WALLABY_POSTGRES_SERVER_CHECKS_H_
#define WALLABY_POSTGRES_SERVER_CHECKS_H_

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "postgres/catalog.h"
#include "postgres/slot.h"

namespace wallaby {

// max_replication_slots and max_wal_senders. `slots`: those in question, which have their place already.
void CheckPlacesLeft(const ServerInfo& server, const std::vector<SlotInfo>& slots, std::vector<Finding>* findings);
// The connection leads to another process than it says.
absl::Status CheckPooler(PgConnection& sql, std::vector<Finding>* findings);
// output_plugin_libraries, which 16.15, 17.11 and 18.6 brought.
absl::Status CheckOutputPlugins(PgConnection& sql, std::vector<Finding>* findings);
// Whether such a setting's value names pgoutput.
bool NamesPgoutput(std::string_view libraries);
// max_slot_wal_keep_size.
absl::Status CheckWalLimit(PgConnection& sql, std::vector<Finding>* findings);
// idle_replication_slot_timeout (18+).
absl::Status CheckIdleTimeout(PgConnection& sql, std::vector<Finding>* findings);
// Whether the slots outlive a failover (17+).
absl::Status CheckFailover(PgConnection& sql, const ServerInfo& server, const std::vector<SlotInfo>& slots,
                           std::vector<Finding>* findings);
// Transactions that are open for `limit` or longer.
absl::Status CheckHolders(PgConnection& sql, absl::Duration limit, std::vector<Finding>* findings);
// Whether DDL can be captured. `wanted`: the flow asks for it.
absl::Status CheckCapture(PgConnection& sql, const SourceOptions& options, bool wanted, std::vector<Finding>* findings);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SERVER_CHECKS_H_
