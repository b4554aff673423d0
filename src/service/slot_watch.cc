#include "service/slot_watch.h"

#include <utility>

#include "absl/time/clock.h"
#include "service/flow_metrics.h"
#include "service/source_access.h"

namespace wallaby {
namespace {

constexpr absl::Duration kSourceLimit = absl::Seconds(3);
constexpr absl::Duration kRemembered = absl::Minutes(5);

// A flow that never ran has no slot yet; of one whose definition cannot be read nobody knows.
bool MayHaveASlot(const StoredFlow& flow) {
  return flow.state != FlowState::kCreated && flow.definition.ok();
}

}  // namespace

void Growth::Add(absl::Time at, int64_t bytes) {
  while (!seen_.empty() && seen_.front().first < at - kRemembered) seen_.pop_front();
  seen_.emplace_back(at, bytes);
}

std::optional<double> Growth::rate() const {
  if (seen_.size() < 2) return std::nullopt;
  const double seconds = absl::ToDoubleSeconds(seen_.back().first - seen_.front().first);
  if (seconds <= 0) return std::nullopt;
  return static_cast<double>(seen_.back().second - seen_.front().second) / seconds;
}

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

void SlotWatch::AddGrowth(const std::string& flow_id, v1::SlotStatus* slot) const {
  std::optional<double> rate;
  {
    std::lock_guard lock(mutex_);
    if (const auto found = growth_.find(flow_id); found != growth_.end()) rate = found->second.rate();
  }
  if (!rate) return;
  slot->set_growth(*rate);
  if (*rate > 0 && slot->safe_wal_bytes() >= 0) {
    slot->set_seconds_to_limit(static_cast<double>(slot->safe_wal_bytes()) / *rate);
  }
}

void SlotWatch::Look() {
  const auto flows = AllFlows(*store_);
  if (!flows.ok()) return;
  std::map<std::string, SlotSighting> seen;
  for (const StoredFlow& stored : *flows) {
    if (!MayHaveASlot(stored)) continue;
    if (end_.Wait(absl::ZeroDuration())) return;
    SlotSighting sighting;
    sighting.slot = LookAtSlot(stored.flow, kSourceLimit, &sighting.behind_bytes);
    if (!sighting.slot.exists()) continue;
    {
      std::lock_guard lock(mutex_);
      growth_[stored.flow.id].Add(absl::Now(), sighting.slot.retained_bytes());
    }
    AddGrowth(stored.flow.id, &sighting.slot);
    seen[stored.flow.id] = std::move(sighting);
  }
  std::lock_guard lock(mutex_);
  std::erase_if(growth_, [&](const auto& flow) { return !seen.contains(flow.first); });
  sightings_ = std::move(seen);
}

}  // namespace wallaby
