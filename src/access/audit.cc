#include "access/audit.h"

#include "absl/strings/str_cat.h"
#include "telemetry/log.h"

namespace wallaby {

void Audit(const AuditRecord& record, bool all) {
  if (!record.changes && !record.denied && !all) return;
  Log(record.denied ? LogLevel::kWarn : LogLevel::kInfo, "audit",
      {{"who", record.who},
       {"role", record.role},
       {"peer", record.peer},
       {"method", record.method},
       {"flow_id", record.flow_id},
       {"status", record.status},
       {"ms", absl::StrCat(absl::ToInt64Milliseconds(record.took))}});
}

}  // namespace wallaby
