// SlotWatch: looks at the slots of flows without a worker. A paused or failed flow is the one whose slot fills the
// source's disk, and it has nobody else to tell.
#ifndef WALLABY_SERVICE_SLOT_WATCH_H_
#define WALLABY_SERVICE_SLOT_WATCH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "base/event.h"
#include "store/control_store.h"

namespace wallaby {

struct SlotSighting {
  std::string name;
  bool active = false;
  int64_t behind_bytes = 0;
  int64_t retained_bytes = 0;
};

class SlotWatch {
 public:
  // Looks every `interval`, on a thread of its own: one connection after the other, none longer than some seconds.
  // `store` outlives the object.
  SlotWatch(ControlStore* store, absl::Duration interval);
  ~SlotWatch();

  // By flow: those without a worker that reports, whose slot was there at the last look.
  std::map<std::string, SlotSighting> Sightings() const;

 private:
  void Look();

  ControlStore* const store_;
  mutable std::mutex mutex_;  // guards sightings_
  std::map<std::string, SlotSighting> sightings_;
  Event end_;
  std::thread thread_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SLOT_WATCH_H_
