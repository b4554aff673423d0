#include "main/arm_failpoints.h"

#include <cstdlib>
#include <string>

#include "base/failpoint.h"
#include "base/status.h"
#include "telemetry/log.h"

namespace wallaby {

absl::Status ArmFailpointsFromEnvironment() {
  const char* setting = std::getenv("WALLABY_FAILPOINTS");
  if (setting == nullptr || *setting == '\0') return absl::OkStatus();
  RETURN_IF_ERROR(ArmFailpoints(setting, [](std::string_view what) {
    Log(LogLevel::kWarn, "failpoint fired", {{"what", std::string(what)}});
  }));
  Log(LogLevel::kWarn, "FAILPOINTS ARE ARMED: this process will fail on purpose; never set this where data matters",
      {{"WALLABY_FAILPOINTS", setting}});
  return absl::OkStatus();
}

}  // namespace wallaby
