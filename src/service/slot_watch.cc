#include "service/slot_watch.h"

#include <utility>

#include "absl/time/clock.h"
#include "service/flow_metrics.h"
#include "service/source_access.h"

namespace wallaby {
namespace {

constexpr absl::Duration kSourceLimit = absl::Seconds(3);

// A flow that never ran has no slot yet; one that runs is told about by its worker, or gets one in a moment.
bool MayHaveAnIdleSlot(const StoredFlow& flow) {
  return flow.state != FlowState::kCreated;
}

}  // namespace

SlotWatch::SlotWatch(ControlStore* store, absl::Duration interval) : store_(store) {
  thread_ = std::thread([this, interval] {
    do Look();
    while (!end_.Wait(interval));
  });
}

SlotWatch::~SlotWatch() {
  end_.Set();
  thread_.join();
}

std::map<std::string, SlotSighting> SlotWatch::Sightings() const {
  std::lock_guard lock(mutex_);
  return sightings_;
}

void SlotWatch::Look() {
  const auto flows = AllFlows(*store_);
  const auto reports = store_->ListReports();
  std::map<std::string, SlotSighting> seen;
  if (flows.ok() && reports.ok()) {
    for (const StoredFlow& stored : *flows) {
      const auto report = reports->find(stored.flow.id);
      const bool told = report != reports->end() && absl::Now() - report->second.at < kReportIsFresh;
      if (told || !MayHaveAnIdleSlot(stored)) continue;
      if (end_.Wait(absl::ZeroDuration())) return;
      int64_t behind = -1;
      const v1::SlotStatus slot = LookAtSlot(stored.flow, kSourceLimit, &behind);
      if (!slot.exists()) continue;
      seen[stored.flow.id] = {slot.name(), slot.active(), behind, slot.retained_bytes()};
    }
  }
  std::lock_guard lock(mutex_);
  sightings_ = std::move(seen);
}

}  // namespace wallaby
