// The runtime trace: what the delivery model of WALlaby says happens, as it happens, one JSON object a line in the file
// that WALLABY_TRACE_PATH names. `wallaby-admin trace check` compares such a file with the model
// (telemetry/trace_check.h). docs/metrics.md lists the fields of each action.
//
// Each line is one write(2) in append mode, so that several processes may share a file. Off, an event costs an atomic
// load. Safe from any thread. An event is also added to the thread's span (telemetry/trace.h), if it has one.
#ifndef WALLABY_TELEMETRY_TRACE_EVENTS_H_
#define WALLABY_TELEMETRY_TRACE_EVENTS_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/lsn.h"
#include "telemetry/log.h"

namespace wallaby {

// Names of the model's actions.
namespace spec {
inline constexpr std::string_view kStart = "Start";                // a worker began; its generation is new
inline constexpr std::string_view kCrashRestore = "CrashRestore";  // an attempt begins: what is durable, and where
inline constexpr std::string_view kReadBatch = "ReadBatch";        // on its way to every destination
inline constexpr std::string_view kDeliver = "Deliver";            // durable at one destination
inline constexpr std::string_view kCheckpoint = "Checkpoint";      // stored
inline constexpr std::string_view kAcknowledge = "Acknowledge";    // told to the source
inline constexpr std::string_view kReadDdl = "ReadDDL";            // a schema change that holds the flow
inline constexpr std::string_view kPause = "Pause";
inline constexpr std::string_view kResume = "Resume";
inline constexpr std::string_view kStop = "Stop";  // a worker ended
}  // namespace spec

namespace trace_internal {
inline std::atomic<int> events_file{-1};
}

// Opens the file, which is made when missing (mode 0640), for the rest of the process. "" does nothing. An error names
// the setting. From main(), before threads start.
absl::Status OpenTraceFile(const std::string& path);
// Whose events those without a flow are, in a process that serves one.
void SetTraceFlow(std::string flow_id, int64_t generation);

// In the place of the process's flow for what this thread does while the object lives: a destination that goes at its
// own pace is a flow of its own to the model. `flow_id` "" changes nothing.
class TraceFlowScope {
 public:
  TraceFlowScope(const std::string& flow_id, int64_t generation);
  ~TraceFlowScope();
  TraceFlowScope(const TraceFlowScope&) = delete;
  TraceFlowScope& operator=(const TraceFlowScope&) = delete;

 private:
  const bool set_;
};

bool IsTracingEvents();

// An event of the process's flow. `flow_state` is as operators read it: "Running", "Paused". An invalid `lsn` is left
// out. Guard by IsTracingEvents() when making the fields costs.
void TraceEvent(std::string_view spec_action, std::string_view flow_state, Lsn lsn, LogFields fields = {});
// CrashRestore of the process's flow: an attempt begins with this checkpoint (0/0: none) and these ends of what the
// destinations hold. After a `backfill` they may be less than before.
void TraceRestore(Lsn checkpoint, const std::map<std::string, Lsn>& destinations, bool backfill);
// An event of any flow; generation 0: by no worker.
void TraceFlowEvent(const std::string& flow_id, int64_t generation, std::string_view spec_action,
                    std::string_view flow_state, Lsn lsn, LogFields fields = {});

// A schema change that pauses the flow until it is approved: action ReadDDL, and the event "ddl.gated" in the thread's
// span, both with spec_action=ReadDDL and flow_state=Paused. `lsn`: transactions that end beyond it must not be
// delivered before the flow is resumed. Once for each gate, before the flow's state changes.
void TraceDdlGate(std::string_view flow_id, int64_t generation, Lsn lsn, std::string_view ddl);

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_TRACE_EVENTS_H_
