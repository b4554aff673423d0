#include "service/source_access.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "flow/secret_reference.h"

namespace wallaby {

absl::StatusOr<SourceOptions> OptionsOfSource(const Flow& flow) {
  ASSIGN_OR_RETURN(const Options options, ResolvedOptions(flow.source, EndpointKind::kSource));
  return ParseSourceOptions(flow.source.name, options);
}

absl::StatusOr<std::unique_ptr<PgConnection>> ConnectToSource(const std::string& dsn, absl::Duration limit) {
  ConnectOptions options;
  options.connect_timeout = limit;
  options.application_name = "wallaby control plane";
  options.settings["statement_timeout"] = absl::StrCat(absl::ToInt64Milliseconds(limit));
  return PgConnection::Connect(dsn, options);
}

v1::SlotStatus SlotToProto(const SlotInfo& slot) {
  v1::SlotStatus proto;
  proto.set_name(slot.name);
  proto.set_exists(true);
  proto.set_active(slot.active);
  proto.set_active_pid(slot.active_pid);
  proto.set_confirmed_flush_lsn(slot.confirmed_flush.ToString());
  proto.set_restart_lsn(slot.restart.ToString());
  proto.set_retained_bytes(slot.retained_bytes);
  proto.set_wal_status(slot.wal_status);
  proto.set_invalidation_reason(slot.invalidation_reason);
  proto.set_plugin(slot.plugin);
  proto.set_database(slot.database);
  return proto;
}

v1::SlotStatus LookAtSlot(const Flow& flow, absl::Duration limit, int64_t* behind_bytes) {
  v1::SlotStatus proto;
  *behind_bytes = -1;
  const auto look = [&]() -> absl::Status {
    // Its name is shown also when its server cannot be asked.
    if (const auto slot = flow.source.options.find("slot"); slot != flow.source.options.end()) {
      proto.set_name(slot->second);
    }
    ASSIGN_OR_RETURN(const SourceOptions source, OptionsOfSource(flow));
    ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> sql, ConnectToSource(source.dsn, limit));
    ASSIGN_OR_RETURN(const std::optional<SlotInfo> slot, GetSlot(*sql, source.slot));
    if (!slot) return absl::OkStatus();
    proto = SlotToProto(*slot);
    *behind_bytes = slot->behind_bytes;
    return absl::OkStatus();
  };
  const absl::Status status = look();
  if (!status.ok()) proto.set_error(std::string(status.message()));
  return proto;
}

}  // namespace wallaby
