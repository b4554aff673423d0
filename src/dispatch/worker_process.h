// What the dispatchers share that start workers as processes of this machine.
#ifndef WALLABY_DISPATCH_WORKER_PROCESS_H_
#define WALLABY_DISPATCH_WORKER_PROCESS_H_

#include <sys/types.h>

#include <string>

#include "absl/time/time.h"
#include "store/control_store.h"

namespace wallaby {

// `given`, else WALLABY_WORKER_BIN, else `wallaby-worker` in the folder of this program.
std::string WorkerProgram(const std::string& given);
// A line in the log when the program is not there.
void WarnWithoutWorker(const std::string& program);

// How long the flow's lease lasts, whoever holds it, within bounds that are good to wait for; zero without one.
absl::Duration LeaseLeft(ControlStore* store, const std::string& flow_id);
// A dead process's lease need not run out: ends it when it is of that process of this machine.
void ReleaseLeaseOf(ControlStore* store, const std::string& flow_id, pid_t pid);

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_WORKER_PROCESS_H_
