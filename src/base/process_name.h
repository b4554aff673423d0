// How a process is called towards others: in leases and telemetry.
#ifndef WALLABY_BASE_PROCESS_NAME_H_
#define WALLABY_BASE_PROCESS_NAME_H_

#include <sys/types.h>

#include <string>

namespace wallaby {

// "?" when the machine has none.
std::string HostName();
// "host:pid", with which the holder of a lease begins: a process of this machine.
std::string ProcessName(pid_t pid);

}  // namespace wallaby

#endif  // WALLABY_BASE_PROCESS_NAME_H_
