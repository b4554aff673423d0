// The store's tables and how they come to be: numbered steps, written once for both databases.
#ifndef WALLABY_STORE_MIGRATIONS_H_
#define WALLABY_STORE_MIGRATIONS_H_

#include "absl/status/status.h"
#include "store/sql_database.h"

namespace wallaby {

// What this program needs.
int LatestSchemaVersion();

// Brings the store to LatestSchemaVersion(); writes nothing when it is there. One process migrates, others wait for it.
// FAILED_PRECONDITION when the store is of a newer version, which this program could only damage.
absl::Status Migrate(SqlDatabase& database);

}  // namespace wallaby

#endif  // WALLABY_STORE_MIGRATIONS_H_
