#include "telemetry/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "telemetry/json_text.h"

namespace wallaby {
namespace {

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

LogLevel LevelFromEnvironment() {
  const char* value = std::getenv("WALLABY_LOG_LEVEL");
  const std::string name = absl::AsciiStrToLower(value == nullptr ? "" : value);
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warn" || name == "warning") return LogLevel::kWarn;
  if (name == "error") return LogLevel::kError;
  return LogLevel::kInfo;
}

// Atomic pointer and never freed: lines may still be written while static objects are destroyed.
std::atomic<const std::string*> flow_id_of_process{nullptr};

// Held while a line is given to the sink, so that a sink which was taken away is used by nobody. Never destroyed, like
// the flow's id.
struct SinkOfProcess {
  std::shared_mutex mutex;
  LogSink* sink = nullptr;
};
SinkOfProcess& Sink() {
  static SinkOfProcess* const sink = std::make_unique<SinkOfProcess>().release();
  return *sink;
}

}  // namespace

std::string FormatLogLine(LogLevel level, std::string_view ts, std::string_view flow_id, std::string_view msg,
                          LogFields fields) {
  std::string line = "{";
  AppendJsonMember("app", "wallaby", &line);
  AppendJsonMember("level", LevelName(level), &line);
  AppendJsonMember("ts", ts, &line);
  for (const auto& [key, value] : fields) {
    if (key == "flow_id") flow_id = value;
  }
  if (!flow_id.empty()) AppendJsonMember("flow_id", flow_id, &line);
  AppendJsonMember("msg", msg, &line);
  for (const auto& [key, value] : fields) {
    if (key != "flow_id") AppendJsonMember(key, value, &line);
  }
  line += '}';
  return line;
}

void Log(LogLevel level, std::string_view msg, LogFields fields) {
  static const LogLevel shown = LevelFromEnvironment();
  if (level < shown) return;
  const std::string ts = absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone());
  const std::string* flow_id = flow_id_of_process.load(std::memory_order_acquire);
  std::string line = FormatLogLine(level, ts, flow_id == nullptr ? std::string_view() : *flow_id, msg, fields);
  line += '\n';
  ssize_t written;
  do {
    written = write(STDERR_FILENO, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  // Nobody can be told that the log cannot be written.
  std::shared_lock lock(Sink().mutex);
  if (Sink().sink != nullptr) {
    Sink().sink->Write(level, flow_id == nullptr ? std::string_view() : *flow_id, msg, fields);
  }
}

void SetLogSink(LogSink* sink) {
  std::unique_lock lock(Sink().mutex);
  Sink().sink = sink;
}

void SetLogFlowId(std::string id) {
  // The one before is not freed, as another thread may be reading it; a process does this once.
  flow_id_of_process.store(std::make_unique<std::string>(std::move(id)).release(), std::memory_order_release);
}

}  // namespace wallaby
