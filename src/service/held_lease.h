// HeldLease: a flow's lease for as long as one request needs it, so that no worker of the flow writes meanwhile.
#ifndef WALLABY_SERVICE_HELD_LEASE_H_
#define WALLABY_SERVICE_HELD_LEASE_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "store/control_store.h"

namespace wallaby {

class HeldLease {
 public:
  // When this process dies, the flow's next worker waits so long.
  static constexpr absl::Duration kTtl = absl::Seconds(15);

  // Held as "host:pid:purpose random". While somebody else has the lease it is asked for again, for `limit`: a worker
  // that has paused gives it back a moment later. FAILED_PRECONDITION that names the holder after that; CANCELLED as
  // soon as `given_up` says so. Renewed well before `ttl` has passed. `store` outlives the object.
  static absl::StatusOr<std::unique_ptr<HeldLease>> Take(ControlStore* store, const std::string& flow_id,
                                                         std::string_view purpose, absl::Duration limit,
                                                         const std::function<bool()>& given_up,
                                                         absl::Duration ttl = kTtl);
  // Gives it back.
  ~HeldLease();
  HeldLease(const HeldLease&) = delete;
  HeldLease& operator=(const HeldLease&) = delete;

  int64_t generation() const { return lease_.generation; }
  // For what is written by the right of this lease; see ControlStore::FencedBy.
  ControlStore& store() const { return *fenced_; }

 private:
  HeldLease(ControlStore* store, Lease lease, absl::Duration ttl);
  void Renew();

  ControlStore* const store_;
  const Lease lease_;
  const std::unique_ptr<ControlStore> fenced_;
  const absl::Duration ttl_;
  Event end_;
  std::thread keeper_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_HELD_LEASE_H_
