// The settings file (-config), with all of Kubernetes' settings.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "flow/settings.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  const int file = memfd_create("settings", MFD_CLOEXEC);
  REQUIRE(file >= 0 && write(file, data, size) == static_cast<ssize_t>(size), "the settings file");
  const auto settings = LoadSettings("/proc/self/fd/" + std::to_string(file));
  close(file);
  if (!settings.ok()) {
    REQUIRE(absl::IsInvalidArgument(settings.status()) || absl::IsUnimplemented(settings.status()),
            settings.status().ToString());
    return 0;
  }
  REQUIRE(settings->memory_limit > 0, "a memory limit of nothing");
  (void)CheckKubernetesSettings(settings->kubernetes);
  return 0;
}
