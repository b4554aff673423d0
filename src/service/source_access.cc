#include "service/source_access.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "flow/secret_reference.h"
#include "service/slot_convert.h"

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
    // What is to come is worth no error: the slot itself is known.
    if (const auto outlook = LookAhead(*sql, *slot); outlook.ok()) AddOutlook(*outlook, &proto);
    return absl::OkStatus();
  };
  const absl::Status status = look();
  if (!status.ok()) proto.set_error(std::string(status.message()));
  return proto;
}

}  // namespace wallaby
