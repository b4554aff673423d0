// How the control plane reaches a flow's source: for moments, and never for long.
#ifndef WALLABY_SERVICE_SOURCE_ACCESS_H_
#define WALLABY_SERVICE_SOURCE_ACCESS_H_

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "flow/flow.h"
#include "postgres/connection.h"
#include "postgres/slot.h"
#include "postgres/source_options.h"
#include "wallaby/v1/types.pb.h"

namespace wallaby {

// The options of a flow's source, references followed: never to be shown or stored.
absl::StatusOr<SourceOptions> OptionsOfSource(const Flow& flow);

// Connecting and each statement end after `limit`.
absl::StatusOr<std::unique_ptr<PgConnection>> ConnectToSource(const std::string& dsn, absl::Duration limit);

// The flow's slot as the source sees it now. What cannot be found out is said in SlotStatus.error. `behind_bytes` is
// the WAL that the flow has not confirmed, -1 when unknown. Without growth, which takes two looks (slot_watch.h).
v1::SlotStatus LookAtSlot(const Flow& flow, absl::Duration limit, int64_t* behind_bytes);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SOURCE_ACCESS_H_
