// DDL capture at the source: an event trigger that tells of each change of a published table by a logical message in
// the transaction that made it.
//
// The message holds the table's shape before and after, so that its meaning does not depend on who reads it or when.
// The shape before comes from a table of ours (state_schema.state_table), which the trigger keeps up in the same
// transaction. One trigger serves all flows of a database that use the same names.
//
// Source: PostgreSQL documentation, "Event Triggers" and "Event Trigger Functions" (pg_event_trigger_ddl_commands,
// pg_event_trigger_dropped_objects), "Replication Management Functions" (pg_logical_emit_message).
#ifndef WALLABY_POSTGRES_DDL_CAPTURE_H_
#define WALLABY_POSTGRES_DDL_CAPTURE_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "change/schema_change.h"
#include "postgres/catalog.h"
#include "postgres/connection.h"
#include "postgres/source_options.h"

namespace wallaby {

// Installs the capture where it is missing or of an older version. PERMISSION_DENIED with the remedy where the role may
// not; nothing is left behind then. FAILED_PRECONDITION where the option ensure_state forbids what is missing.
absl::Status EnsureDdlCapture(PgConnection& sql, const SourceOptions& options);

// What a message says of one table, as the publication shows it. Neither shape: the table is not in it.
struct DdlMessage {
  std::string tag;  // "ALTER TABLE"
  std::string sql;  // the command as somebody sent it; may hold several
  std::optional<TableShape> before;
  std::optional<TableShape> after;
  // The shape before is not known: the table came into being by this command, or is new to the capture.
  bool first_seen = false;
};

// DATA_LOSS for content that the capture did not write.
absl::StatusOr<DdlMessage> ParseDdlMessage(std::string_view content, const std::string& publication,
                                           TypeCatalog& types);

// A shape for a relation that the stream announced, with what the catalog knows of columns of these names now.
absl::StatusOr<TableShape> ShapeFromCatalog(PgConnection& sql, const Relation& announced);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_DDL_CAPTURE_H_
