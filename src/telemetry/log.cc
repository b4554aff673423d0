#include "telemetry/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

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

// Length of the valid UTF-8 sequence at the start of `text`, 0 when there is none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t length = 0;
  unsigned char low = 0x80, high = 0xBF;  // what the second byte may be
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xC2 && byte(0) <= 0xDF) length = 2;
  if (byte(0) >= 0xE0 && byte(0) <= 0xEF) length = 3;
  if (byte(0) >= 0xF0 && byte(0) <= 0xF4) length = 4;
  if (byte(0) == 0xE0) low = 0xA0;
  if (byte(0) == 0xED) high = 0x9F;
  if (byte(0) == 0xF0) low = 0x90;
  if (byte(0) == 0xF4) high = 0x8F;
  if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  return length;
}

void AppendJsonString(std::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  *out += '"';
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text[0]);
    size_t used = 1;
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += text[0];
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (c < 0x20 || c == 0x7F) {
      *out += "\\u00";
      *out += kHex[c >> 4];
      *out += kHex[c & 15];
    } else if ((used = Utf8Length(text)) > 0) {
      out->append(text.substr(0, used));
    } else {
      used = 1;
      *out += "\\ufffd";
    }
    text.remove_prefix(used);
  }
  *out += '"';
}

void AppendMember(std::string_view key, std::string_view value, std::string* out) {
  *out += out->size() > 1 ? "," : "";
  AppendJsonString(key, out);
  *out += ':';
  AppendJsonString(value, out);
}

}  // namespace

std::string FormatLogLine(LogLevel level, std::string_view ts, std::string_view flow_id, std::string_view msg,
                          LogFields fields) {
  std::string line = "{";
  AppendMember("app", "wallaby", &line);
  AppendMember("level", LevelName(level), &line);
  AppendMember("ts", ts, &line);
  for (const auto& [key, value] : fields) {
    if (key == "flow_id") flow_id = value;
  }
  if (!flow_id.empty()) AppendMember("flow_id", flow_id, &line);
  AppendMember("msg", msg, &line);
  for (const auto& [key, value] : fields) {
    if (key != "flow_id") AppendMember(key, value, &line);
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
}

void SetLogFlowId(std::string id) {
  // The one before is not freed, as another thread may be reading it; a process does this once.
  flow_id_of_process.store(std::make_unique<std::string>(std::move(id)).release(), std::memory_order_release);
}

}  // namespace wallaby
