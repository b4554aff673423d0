// Compares a runtime trace (telemetry/trace_events.h) with the delivery model.
//
// For each flow:
//   1. a checkpoint never passes what is durable: all that was read at or before it is delivered at every destination;
//   2. an acknowledgement never passes the checkpoint;
//   3. between a gate (ReadDDL) and the Resume after it, nothing beyond the gate is delivered or checkpointed;
//   4. positions never go back within a generation: reads within an attempt, deliveries of each destination,
//      checkpoints, acknowledgements; and generations never go back;
//   5. what an attempt finds (CrashRestore) is not less than what was durable or acknowledged before it, unless it is a
//      backfill.
//
// A worker that was taken over may still write lines; of those with an older generation only rule 2 is checked.
#ifndef WALLABY_TELEMETRY_TRACE_CHECK_H_
#define WALLABY_TELEMETRY_TRACE_CHECK_H_

#include <cstdint>
#include <istream>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace wallaby {

class TraceChecker {
 public:
  TraceChecker();
  ~TraceChecker();

  // One line of the trace, in order. INVALID_ARGUMENT for a line that is no event, FAILED_PRECONDITION for one that
  // breaks the model: the text says which rule. Nothing is checked after an error.
  absl::Status Add(std::string_view line);

  // By action, of all flows.
  const std::map<std::string, int64_t>& counts() const { return counts_; }
  size_t flows() const { return flows_.size(); }

 private:
  struct Event;
  struct FlowModel;
  absl::Status Check(const Event& event, FlowModel* flow);

  std::map<std::string, std::unique_ptr<FlowModel>> flows_;
  std::map<std::string, int64_t> counts_;
};

struct TraceSummary {
  int64_t events = 0;
  size_t flows = 0;
  std::map<std::string, int64_t> counts;  // by action
};

// All of a trace. The error begins with "line N: ".
absl::StatusOr<TraceSummary> CheckTrace(std::istream& in);

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_TRACE_CHECK_H_
