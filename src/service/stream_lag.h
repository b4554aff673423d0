// StreamLag: looks at the consumer groups of all streams from time to time, and keeps their lag: in the process's
// metrics, and for whoever shows the flow that writes them. Safe from any thread.
#ifndef WALLABY_SERVICE_STREAM_LAG_H_
#define WALLABY_SERVICE_STREAM_LAG_H_

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/event.h"
#include "service/stream_catalog.h"
#include "telemetry/metrics.h"

namespace wallaby {

struct StreamReader {
  std::string destination;  // of the flow
  std::string stream;
  GroupState group;
};

class StreamLag {
 public:
  // Looks every `interval`, on a thread of its own. `catalog` outlives the object.
  StreamLag(StreamCatalog* catalog, absl::Duration interval);
  ~StreamLag();

  // The groups that read what the flow writes, as of the last look: first those whose oldest message that is not
  // acknowledged is the oldest. None of a database that did not answer then.
  std::vector<StreamReader> ReadersOf(const std::string& flow_id) const;

 private:
  void Look();

  StreamCatalog* const catalog_;
  std::set<Labels> shown_;                                    // of the groups that were there at the last look
  mutable std::mutex mutex_;                                  // guards what follows
  std::map<std::string, std::vector<StreamReader>> readers_;  // by flow
  Event end_;
  std::thread thread_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_STREAM_LAG_H_
