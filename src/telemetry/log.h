// Log lines for people and log collectors: one JSON object a line on stderr, with app, level, ts (RFC 3339, UTC,
// microseconds), flow_id where one is known, msg, and the fields given.
//
// Safe from any thread; each line is one write(2), so that lines of several processes on one stderr do not mix.
// WALLABY_LOG_LEVEL (debug, info, warn, error; default info) hides what is below. Never pass a secret.
#ifndef WALLABY_TELEMETRY_LOG_H_
#define WALLABY_TELEMETRY_LOG_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace wallaby {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

void Log(LogLevel level, std::string_view msg, LogFields fields = {});

// The flow that every line from now on is about, in a process that serves one. A field "flow_id" of a line wins.
void SetLogFlowId(std::string id);

// Where lines go beside stderr. Write() is called on any thread, and must neither block nor log.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void Write(LogLevel level, std::string_view flow_id, std::string_view msg, LogFields fields) = 0;
};
// Null ends it; nobody uses the one before when this returns.
void SetLogSink(LogSink* sink);

// The line without its newline, as Log would write it at `ts`. For tests.
std::string FormatLogLine(LogLevel level, std::string_view ts, std::string_view flow_id, std::string_view msg,
                          LogFields fields);

}  // namespace wallaby

#endif  // WALLABY_TELEMETRY_LOG_H_
