// StreamCatalog: which streams there are, and the databases that they are in.
#ifndef WALLABY_SERVICE_STREAM_CATALOG_H_
#define WALLABY_SERVICE_STREAM_CATALOG_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "store/control_store.h"
#include "stream/consumer_group.h"
#include "stream/stream_database.h"
#include "stream/stream_tables.h"

namespace wallaby {

// Where a stream's tables are. The DSN is never shown.
struct StreamPlace {
  std::string name;
  std::string dsn;
  std::string schema;
  std::string flow_id;      // of the flow that writes it; empty: no flow does any more
  std::string destination;  // its name within the flow
  absl::Status trouble;     // why the DSN is not known: a reference in it cannot be followed
};

// Safe from any thread.
class StreamCatalog {
 public:
  // `store_dsn`: of the control store in PostgreSQL, where streams are whose destination names no other; empty: it is
  // elsewhere. `store` outlives the object.
  StreamCatalog(ControlStore* store, std::string store_dsn);

  // By the definitions of the flows, then in the control store's database, where a deleted flow's may be left.
  // NOT_FOUND names those that exist. FAILED_PRECONDITION: two flows have streams of this name in different places, or
  // a reference in the DSN cannot be followed.
  absl::StatusOr<StreamPlace> Find(const std::string& name);
  // In order of name.
  absl::StatusOr<std::vector<StreamPlace>> All();
  // The stream's groups; none when its flow has not run yet.
  absl::StatusOr<std::vector<GroupState>> Groups(const StreamPlace& place);
  // Connections to it; the same object for the same DSN.
  std::shared_ptr<StreamDatabase> Database(const std::string& dsn);
  // Wakes all who wait for messages, for good.
  void End();

 private:
  absl::StatusOr<std::vector<StreamPlace>> OfFlows();
  absl::StatusOr<std::vector<StreamPlace>> OfStore();

  ControlStore* const store_;
  const std::string store_dsn_;
  std::mutex mutex_;  // guards what follows
  bool ended_ = false;
  std::map<std::string, std::shared_ptr<StreamDatabase>> databases_;  // by DSN
  std::map<std::string, std::pair<absl::Time, StreamPlace>> found_;   // by name; with the time when
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_STREAM_CATALOG_H_
