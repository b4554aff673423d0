#include "access/audit.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "access/denied_lines.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr size_t kLongestFlowId = 63;  // flow/validate.cc
constexpr size_t kLongestText = 256;
constexpr std::string_view kAnonymous = "anonymous";

// Who has no token must not use up the lines of those who have one.
struct Denied {
  std::mutex mutex;
  DeniedLines strangers, known;
};
Denied& TheDenied() {
  static Denied denied;
  return denied;
}

std::string Cut(std::string_view text, size_t longest) {
  if (text.size() <= longest) return std::string(text);
  return absl::StrCat(absl::CHexEscape(text.substr(0, longest)), "...");
}

std::string ShownFlowId(const std::string& id) {
  const bool plain = std::all_of(id.begin(), id.end(),
                                 [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-'; });
  return Cut(plain ? id : absl::CHexEscape(std::string_view(id).substr(0, kLongestFlowId + 1)), kLongestFlowId);
}

void TellLeftOut(int64_t calls, int64_t of_strangers) {
  if (calls == 0) return;
  Log(LogLevel::kWarn, "audit: there were more denied calls than lines about them",
      {{"left_out", absl::StrCat(calls)}, {"anonymous", absl::StrCat(of_strangers)}});
}

}  // namespace

void Audit(const AuditRecord& record, bool all) {
  if (!record.changes && !record.denied && !all) return;
  int64_t left_out = 0;
  if (record.denied) {
    Denied& denied = TheDenied();
    std::lock_guard lock(denied.mutex);
    DeniedLines& lines = record.who == kAnonymous ? denied.strangers : denied.known;
    const std::optional<int64_t> admitted = lines.Admit(absl::Now());
    if (!admitted) return;
    left_out = *admitted;
  }
  TellLeftOut(left_out, record.who == kAnonymous ? left_out : 0);
  Log(record.denied ? LogLevel::kWarn : LogLevel::kInfo, "audit",
      {{"who", Cut(record.who, kLongestText)},
       {"role", record.role},
       {"peer", record.peer},
       {"method", Cut(record.method, kLongestText)},
       {"flow_id", ShownFlowId(record.flow_id)},
       {"status", record.status},
       {"ms", absl::StrCat(absl::ToInt64Milliseconds(record.took))}});
}

void AuditLeftOut() {
  Denied& denied = TheDenied();
  int64_t strangers = 0, known = 0;
  {
    std::lock_guard lock(denied.mutex);
    strangers = denied.strangers.TakeLeftOut();
    known = denied.known.TakeLeftOut();
  }
  TellLeftOut(strangers + known, strangers);
}

}  // namespace wallaby
