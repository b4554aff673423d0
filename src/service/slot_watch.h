// SlotWatch: looks at the slots of all flows, with and without a worker, and remembers how they grow. A paused or
// failed flow is the one whose slot fills the source's disk, and it has nobody else to tell.
#ifndef WALLABY_SERVICE_SLOT_WATCH_H_
#define WALLABY_SERVICE_SLOT_WATCH_H_

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "base/event.h"
#include "store/control_store.h"
#include "wallaby/v1/types.pb.h"

namespace wallaby {

// The rate at which a number grows, by what was seen in the last minutes.
class Growth {
 public:
  void Add(absl::Time at, int64_t bytes);
  // In bytes a second; nullopt until it was seen twice.
  std::optional<double> rate() const;

 private:
  std::deque<std::pair<absl::Time, int64_t>> seen_;
};

struct SlotSighting {
  v1::SlotStatus slot;  // with growth and seconds_to_limit
  int64_t behind_bytes = 0;
};

class SlotWatch {
 public:
  // Looks every `interval`, on a thread of its own: one connection after the other, none longer than some seconds.
  // `store` outlives the object.
  SlotWatch(ControlStore* store, absl::Duration interval);
  ~SlotWatch();

  // By flow: those whose slot was there at the last look.
  std::map<std::string, SlotSighting> Sightings() const;
  // Fills in growth and seconds_to_limit of a flow's slot, where they are known.
  void AddGrowth(const std::string& flow_id, v1::SlotStatus* slot) const;

 private:
  void Look();

  ControlStore* const store_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, SlotSighting> sightings_;
  std::map<std::string, Growth> growth_;  // by flow
  Event end_;
  std::thread thread_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SLOT_WATCH_H_
