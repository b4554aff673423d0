// StreamLag: looks at the consumer groups of all streams from time to time, and keeps their lag in the process's
// metrics.
#ifndef WALLABY_SERVICE_STREAM_LAG_H_
#define WALLABY_SERVICE_STREAM_LAG_H_

#include <set>
#include <thread>

#include "absl/time/time.h"
#include "base/event.h"
#include "service/stream_catalog.h"
#include "telemetry/metrics.h"

namespace wallaby {

class StreamLag {
 public:
  // Looks every `interval`, on a thread of its own. `catalog` outlives the object.
  StreamLag(StreamCatalog* catalog, absl::Duration interval);
  ~StreamLag();

 private:
  void Look();

  StreamCatalog* const catalog_;
  std::set<Labels> shown_;  // of the groups that were there at the last look
  Event end_;
  std::thread thread_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_STREAM_LAG_H_
