// The tables of the DBOS system database, schema `dbos`. They are shared with every other DBOS application in that
// database, so only an absent schema is made; one that is there is used when its version is the known one, and left
// alone otherwise.
#ifndef WALLABY_DISPATCH_DBOS_SCHEMA_H_
#define WALLABY_DISPATCH_DBOS_SCHEMA_H_

#include <string_view>

#include "absl/status/status.h"
#include "postgres/connection.h"

namespace wallaby {

// The version of the DBOS migrations that this program knows.
inline constexpr int64_t kDbosSchemaVersion = 125;

// Makes the schema when it is absent, in one transaction under an advisory lock. FAILED_PRECONDITION, without a write,
// when it is older or newer than kDbosSchemaVersion.
absl::Status PrepareDbosSchema(PgConnection& sql);

// What makes an absent schema, and does nothing to one that is complete.
std::string_view DbosSchemaSql();

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_SCHEMA_H_
