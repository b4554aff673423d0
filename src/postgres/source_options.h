// SourceOptions: the options of a flow's `postgres` source, parsed and checked.
#ifndef WALLABY_POSTGRES_SOURCE_OPTIONS_H_
#define WALLABY_POSTGRES_SOURCE_OPTIONS_H_

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace wallaby {

enum class ToastFetch { kOff, kSource, kFull, kCache };
enum class PublicationMode { kAdd, kSync };
enum class SnapshotMode { kInitial, kNever };
// What happens when the spool may grow no further: the slot is not read on, or the flow that holds most of it fails.
enum class SpoolPolicy { kHold, kFail };

struct SourceOptions {
  std::string dsn;
  std::string slot;
  std::string publication;
  bool create_slot = true;
  bool ensure_publication = true;
  std::vector<std::string> publication_tables;  // "schema.table"; a bare name means schema public
  std::vector<std::string> publication_schemas;
  std::vector<std::string> tables;   // ours: of the published tables only these,
  std::vector<std::string> schemas;  // and those in these schemas; both empty: all
  bool sync_publication = false;
  PublicationMode sync_publication_mode = PublicationMode::kAdd;
  bool validate_replication = true;
  int64_t batch_size = 50000;                              // changes in a batch at most
  absl::Duration batch_timeout = absl::Milliseconds(200);  // how long changes may gather under load
  absl::Duration status_interval = absl::Seconds(10);
  bool emit_empty = false;
  bool resolve_types = true;
  bool ensure_state = true;
  std::string state_schema = "wallaby";
  std::string state_table = "source_state";
  std::optional<bool> capture_ddl;  // unset: where the flow's gate is on and the role may install an event trigger
  std::string ddl_trigger_schema = "wallaby";
  std::string ddl_trigger_name = "wallaby_ddl_capture";
  std::string ddl_message_prefix = "wallaby_ddl";
  std::string flow_id;
  std::string format;
  ToastFetch toast_fetch = ToastFetch::kOff;
  int64_t toast_cache_size = 64 << 20;             // bytes
  SnapshotMode snapshot = SnapshotMode::kInitial;  // ours: what to do when the slot is made by this flow
  int snapshot_workers = 2;
  bool failover = false;  // ours: PG17+: make the slot a failover slot
  bool binary = true;     // ours: false forces text transfer
  // ours: from this much WAL behind on, changes are read through SQL (postgres/catch_up_stream.h); 0: never
  int64_t catch_up = 32 << 20;
  // ours: what the flow may hold of the spool (pipeline/spooler.h); 0: as much as there is
  int64_t spool_limit = 0;
  std::optional<SpoolPolicy> spool_policy;  // ours; unset: as WALLABY_SPOOL_POLICY says
};

// Whether a flow with these options carries the table.
bool CarriesTable(const SourceOptions& options, std::string_view schema, std::string_view name);

struct SourceOptionSpec {
  std::string_view name;
  bool required = false;
  std::string_view allowed;
  bool secret = false;
};
// Every option that a postgres source may have.
std::span<const SourceOptionSpec> SourceOptionSpecs();

// 1 to 63 lower case letters, digits and _: what PostgreSQL takes for the name of a slot.
bool IsSlotName(std::string_view name);

// INVALID_ARGUMENT: "option slot of source 'shop': got 'My-Slot'; allowed: lower case letters, digits and _".
// Options of the contract that this build cannot honour yet (aws_rds_iam and its companions) are
// refused with UNIMPLEMENTED, not ignored.
absl::StatusOr<SourceOptions> ParseSourceOptions(std::string_view source_name,
                                                 const std::map<std::string, std::string>& options);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SOURCE_OPTIONS_H_
