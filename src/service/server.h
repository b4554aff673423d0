// Server: the control plane's gRPC endpoint with all its services, reflection and grpc.health.v1.
#ifndef WALLABY_SERVICE_SERVER_H_
#define WALLABY_SERVICE_SERVER_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "dispatch/dispatcher.h"
#include "flow/settings.h"
#include "store/control_store.h"

namespace wallaby {

// "host:port" with ":8080" as all interfaces.
std::string ListenAddress(std::string_view setting);
// Whether nobody from outside this machine can reach the address.
bool IsLoopback(std::string_view address);

class ControlServer {
 public:
  // Listens from the return on. The health service says SERVING only while the store answers. Pointers outlive the
  // server. UNAVAILABLE when the address cannot be had.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(ControlStore* store, ControlStore* checkpoints,
                                                              Dispatcher* dispatcher, const Settings& settings);
  // Lets requests that run finish for a moment, then ends them.
  virtual ~ControlServer() = default;
  // The port that is listened on, also when the address asked for port 0.
  virtual int port() const = 0;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SERVER_H_
