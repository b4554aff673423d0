// Kubeconfig files. Those that name further files are left out, so that a run depends on nothing outside it.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "dispatch/kubernetes/kubeconfig.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const char* key :
       {"certificate-authority:", "client-certificate:", "client-key:", "authority\"", "-key\"", "certificate\""}) {
    if (text.find(key) != std::string::npos) return 0;
  }
  const int file = memfd_create("kubeconfig", MFD_CLOEXEC);
  REQUIRE(file >= 0 && write(file, data, size) == static_cast<ssize_t>(size), "the kubeconfig");
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  for (const char* context : {"", "prod"}) {
    const auto config = ReadKubeconfig(path, context);
    REQUIRE(!config.ok() || !config->server.empty(), "a cluster without a server");
    REQUIRE(config.ok() || absl::IsInvalidArgument(config.status()) || absl::IsUnimplemented(config.status()),
            config.status().ToString());
  }
  close(file);
  return 0;
}
