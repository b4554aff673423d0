#include "telemetry/trace_events.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "telemetry/json_text.h"
#include "telemetry/trace.h"

namespace wallaby {
namespace {

struct FlowOfProcess {
  std::string id;
  int64_t generation = 0;
};
// Never freed, like that of the log: an event may be on its way while the process ends.
std::atomic<const FlowOfProcess*> flow_of_process{nullptr};
thread_local std::optional<FlowOfProcess> flow_of_thread;

FlowOfProcess CurrentFlow() {
  if (flow_of_thread) return *flow_of_thread;
  const FlowOfProcess* flow = flow_of_process.load(std::memory_order_acquire);
  return flow == nullptr ? FlowOfProcess{} : *flow;
}

using TraceFields = std::span<const std::pair<std::string_view, std::string>>;

void WriteLine(int file, const std::string& line) {
  ssize_t written;
  do {
    written = write(file, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(line.size())) return;
  static std::atomic<bool> told{false};
  if (!told.exchange(true)) {
    Log(LogLevel::kError, "the runtime trace has a gap: its file cannot be written",
        {{"error", std::string(absl::ErrnoToStatus(errno, "WALLABY_TRACE_PATH").message())}});
  }
}

void WriteEvent(std::string_view flow_id, int64_t generation, std::string_view spec_action, std::string_view flow_state,
                Lsn lsn, TraceFields fields) {
  const int file = trace_internal::events_file.load(std::memory_order_acquire);
  if (file < 0) return;
  std::string line = "{";
  AppendJsonMember("ts", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone()), &line);
  AppendJsonMember("flow_id", flow_id, &line);
  absl::StrAppend(&line, ",\"generation\":", generation);
  AppendJsonMember("spec_action", spec_action, &line);
  AppendJsonMember("flow_state", flow_state, &line);
  if (lsn.valid()) AppendJsonMember("lsn", lsn.ToString(), &line);
  for (const auto& [key, value] : fields) AppendJsonMember(key, value, &line);
  line += "}\n";
  WriteLine(file, line);
}

void AddToSpan(std::string_view name, std::string_view spec_action, std::string_view flow_state,
               std::string_view flow_id, Lsn lsn) {
  Span* const span = SpanScope::Current();
  if (span == nullptr) return;
  span->AddEvent(name, {{"spec_action", std::string(spec_action)},
                        {"flow_state", std::string(flow_state)},
                        {"flow_id", std::string(flow_id)},
                        {"lsn", lsn.ToString()}});
}

}  // namespace

absl::Status OpenTraceFile(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  const int file = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (file < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("the runtime trace ", path,
                                                   " cannot be opened; set "
                                                   "WALLABY_TRACE_PATH"));
  }
  const int before = trace_internal::events_file.exchange(file, std::memory_order_acq_rel);
  if (before >= 0) close(before);
  return absl::OkStatus();
}

void SetTraceFlow(std::string flow_id, int64_t generation) {
  flow_of_process.store(std::make_unique<FlowOfProcess>(FlowOfProcess{std::move(flow_id), generation}).release(),
                        std::memory_order_release);
}

TraceFlowScope::TraceFlowScope(const std::string& flow_id, int64_t generation) : set_(!flow_id.empty()) {
  if (set_) flow_of_thread = FlowOfProcess{flow_id, generation};
}

TraceFlowScope::~TraceFlowScope() {
  if (set_) flow_of_thread.reset();
}

bool IsTracingEvents() {
  return trace_internal::events_file.load(std::memory_order_relaxed) >= 0 || IsTracing();
}

void TraceEvent(std::string_view spec_action, std::string_view flow_state, Lsn lsn, LogFields fields) {
  if (!IsTracingEvents()) return;
  const FlowOfProcess flow = CurrentFlow();
  TraceFlowEvent(flow.id, flow.generation, spec_action, flow_state, lsn, fields);
}

void TraceFlowEvent(const std::string& flow_id, int64_t generation, std::string_view spec_action,
                    std::string_view flow_state, Lsn lsn, LogFields fields) {
  if (!IsTracingEvents()) return;
  WriteEvent(flow_id, generation, spec_action, flow_state, lsn, {fields.begin(), fields.size()});
  AddToSpan(spec_action, spec_action, flow_state, flow_id, lsn);
}

void TraceRestore(Lsn checkpoint, const std::map<std::string, Lsn>& destinations, bool backfill) {
  if (!IsTracingEvents()) return;
  std::vector<std::string> names;
  names.reserve(destinations.size());
  for (const auto& [name, end] : destinations) names.push_back(absl::StrCat("destination.", name));
  std::vector<std::pair<std::string_view, std::string>> fields = {{"mode", backfill ? "backfill" : "cdc"}};
  auto name = names.begin();
  for (const auto& [destination, end] : destinations) fields.emplace_back(*name++, end.ToString());
  const FlowOfProcess flow = CurrentFlow();
  WriteEvent(flow.id, flow.generation, spec::kCrashRestore, "Running", checkpoint, fields);
}

void TraceDdlGate(std::string_view flow_id, int64_t generation, Lsn lsn, std::string_view ddl) {
  if (!IsTracingEvents()) return;
  WriteEvent(flow_id, generation, spec::kReadDdl, "Paused", lsn,
             std::array{std::pair<std::string_view, std::string>{"ddl", ddl}});
  // A gate is worth a span of its own when the thread has none.
  Span own;
  if (SpanScope::Current() == nullptr) own = Span("stream.batch");
  const SpanScope scope(SpanScope::Current() == nullptr ? &own : SpanScope::Current());
  AddToSpan("ddl.gated", spec::kReadDdl, "Paused", flow_id, lsn);
}

}  // namespace wallaby
