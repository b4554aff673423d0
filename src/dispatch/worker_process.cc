#include "dispatch/worker_process.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/process_name.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// The shortest wait for another's lease, and the longest before it is looked at again.
constexpr absl::Duration kMinLeaseWait = absl::Milliseconds(200);
constexpr absl::Duration kMaxLeaseWait = absl::Seconds(15);

}  // namespace

std::string WorkerProgram(const std::string& given) {
  if (!given.empty()) return given;
  if (const char* named = std::getenv("WALLABY_WORKER_BIN"); named != nullptr && *named != '\0') return named;
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  const std::string self(path, static_cast<size_t>(std::max<ssize_t>(length, 0)));
  const size_t slash = self.rfind('/');
  return absl::StrCat(slash == std::string::npos ? "." : self.substr(0, slash), "/wallaby-worker");
}

void WarnWithoutWorker(const std::string& program) {
  if (access(program.c_str(), X_OK) == 0) return;
  Log(LogLevel::kWarn, "the worker program is not there; flows cannot run",
      {{"program", program}, {"remedy", "install wallaby-worker beside wallaby, or set WALLABY_WORKER_BIN"}});
}

absl::Duration LeaseLeft(ControlStore* store, const std::string& flow_id) {
  const absl::StatusOr<std::optional<Lease>> lease = store->GetLease(flow_id);
  if (!lease.ok() || !lease->has_value()) return absl::ZeroDuration();
  if ((*lease)->left <= absl::ZeroDuration()) return absl::ZeroDuration();
  return std::clamp((*lease)->left, kMinLeaseWait, kMaxLeaseWait);
}

void ReleaseLeaseOf(ControlStore* store, const std::string& flow_id, pid_t pid) {
  const absl::StatusOr<std::optional<Lease>> lease = store->GetLease(flow_id);
  if (!lease.ok() || !lease->has_value()) return;
  if (!absl::StartsWith((*lease)->holder, ProcessName(pid) + ":")) return;
  store->ReleaseLease(**lease).IgnoreError();
}

}  // namespace wallaby
