#include "service/held_lease.h"

#include <unistd.h>

#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/process_name.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr absl::Duration kAskAgain = absl::Milliseconds(200);

// Random, so that servers in two containers, both with pid 1, never pass for one holder.
std::string Holder(std::string_view purpose) {
  return absl::StrFormat("%s:%s %08x", ProcessName(getpid()), purpose, std::random_device{}());
}

}  // namespace

absl::StatusOr<std::unique_ptr<HeldLease>> HeldLease::Take(ControlStore* store, const std::string& flow_id,
                                                           std::string_view purpose, absl::Duration limit,
                                                           const std::function<bool()>& given_up, absl::Duration ttl) {
  const std::string holder = Holder(purpose);
  const absl::Time end = absl::Now() + limit;
  while (true) {
    absl::StatusOr<Lease> lease = store->AcquireLease(flow_id, holder, ttl);
    if (lease.ok()) return std::unique_ptr<HeldLease>(new HeldLease(store, *std::move(lease), ttl));
    if (!absl::IsFailedPrecondition(lease.status()) || absl::Now() >= end) return lease.status();
    if (given_up()) return absl::CancelledError("nobody waits for the answer any more");
    absl::SleepFor(kAskAgain);
  }
}

HeldLease::HeldLease(ControlStore* store, Lease lease, absl::Duration ttl)
    : store_(store), lease_(std::move(lease)), fenced_(store->FencedBy(lease_)), ttl_(ttl), keeper_([this] {
        while (!end_.Wait(ttl_ / 4)) Renew();
      }) {}

HeldLease::~HeldLease() {
  end_.Set();
  keeper_.join();
  const absl::Status released = store_->ReleaseLease(lease_);
  // The flow may have been deleted meanwhile.
  if (!released.ok()) {
    Log(LogLevel::kWarn, "the lease was not released",
        {{"flow_id", lease_.flow_id}, {"error", std::string(released.message())}});
  }
}

void HeldLease::Renew() {
  const absl::Status renewed = store_->RenewLease(lease_, ttl_);
  if (renewed.ok()) return;
  // Destinations and the store refuse an older generation by themselves, so going on does no harm.
  Log(LogLevel::kWarn, "the lease could not be renewed",
      {{"flow_id", lease_.flow_id}, {"error", std::string(renewed.message())}});
}

}  // namespace wallaby
