// The audit log: one line for each call of somebody, among the other lines of the log, with "msg":"audit".
#ifndef WALLABY_ACCESS_AUDIT_H_
#define WALLABY_ACCESS_AUDIT_H_

#include <string>

#include "absl/time/time.h"

namespace wallaby {

struct AuditRecord {
  std::string who;      // a token's name, "certificate:CN", or "anonymous"
  std::string role;     // of them
  std::string peer;     // "ipv4:127.0.0.1:4711"
  std::string method;   // "/wallaby.v1.FlowService/CreateFlow", "POST /dbos-workflow-recovery"
  std::string flow_id;  // "" where the call is about no flow
  std::string status;   // "ok", else the code's name
  absl::Duration took;
  bool changes = true;  // else it only reads
  bool denied = false;
};

// Calls that change something at level info, denied ones at warn, and reads at info when `all` is set, else not at all.
// Holds no part of a request beyond the flow's id, and no more of any text than a screen shows: a flow's id that can be
// none is cut. Of denied calls only so many are written as access/denied_lines.h lets, apart for those that nobody's
// token or certificate vouches for; a line says then how many were left out ("left_out"). Safe from any thread.
void Audit(const AuditRecord& record, bool all);
// Writes a line with that count where no other line has told it yet. To be called now and then.
void AuditLeftOut();

}  // namespace wallaby

#endif  // WALLABY_ACCESS_AUDIT_H_
