// Server: the control plane's gRPC endpoint with all its services, reflection and grpc.health.v1.
#ifndef WALLABY_SERVICE_SERVER_H_
#define WALLABY_SERVICE_SERVER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "access/access.h"
#include "dispatch/dispatcher.h"
#include "flow/settings.h"
#include "service/slot_watch.h"
#include "store/control_store.h"

namespace wallaby {

class ControlServer {
 public:
  // Listens from the return on. The health service says SERVING only while the store answers. Pointers outlive the
  // server. UNAVAILABLE when the address cannot be had, FAILED_PRECONDITION when it is not to be used so
  // (access/listener.h). `slots` knows how slots grow; without it nobody does.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(ControlStore* store, ControlStore* checkpoints,
                                                              Dispatcher* dispatcher, Access* access,
                                                              const Settings& settings,
                                                              const SlotWatch* slots = nullptr);
  // Lets requests that run finish for a moment, then ends them.
  virtual ~ControlServer() = default;
  // The port that is listened on, also when the address asked for port 0.
  virtual int port() const = 0;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SERVER_H_
