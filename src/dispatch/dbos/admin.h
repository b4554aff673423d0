// DbosAdmin: the HTTP endpoints with which DBOS applications were operated: recovery, health, lists, cancel, resume,
// fork. The current SDKs have dropped them; tools and runbooks have not.
#ifndef WALLABY_DISPATCH_DBOS_ADMIN_H_
#define WALLABY_DISPATCH_DBOS_ADMIN_H_

#include <string>

#include "dispatch/dbos/executor.h"
#include "dispatch/dbos/scheduler.h"
#include "dispatch/dbos/store.h"

namespace wallaby {

struct DbosAnswer {
  int status = 200;
  std::string body;  // JSON unless `plain`
  bool plain = false;
};

// Safe from any thread.
class DbosAdmin {
 public:
  // All outlive it.
  DbosAdmin(DbosStore* dbos, DbosExecutor* executor, DbosScheduler* scheduler)
      : dbos_(dbos), executor_(executor), scheduler_(scheduler) {}

  // `path` without a query. 404 for a path that is none of these, 405 for a wrong method.
  DbosAnswer Answer(const std::string& method, const std::string& path, const std::string& body);

 private:
  DbosAnswer Recover(const std::string& body);
  DbosAnswer Workflows(const std::string& body, bool queued);
  DbosAnswer Workflow(const std::string& id);
  DbosAnswer Act(const std::string& id, const std::string& action, const std::string& body);
  DbosAnswer Fork(const std::string& id, int start_step, const std::string& new_id, const std::string& version);
  DbosAnswer GlobalTimeout(const std::string& body);
  DbosAnswer GarbageCollect(const std::string& body);
  absl::StatusOr<bool> Exists(const std::string& id);

  DbosStore* const dbos_;
  DbosExecutor* const executor_;
  DbosScheduler* const scheduler_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_ADMIN_H_
