// InstanceLock: the proof that this process lives: a session advisory lock of the instance's number, on a connection of
// its own. Who gets that lock knows that the process, or at least its connection, is gone.
#ifndef WALLABY_DISPATCH_DBOS_INSTANCE_LOCK_H_
#define WALLABY_DISPATCH_DBOS_INSTANCE_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "dispatch/dbos/database.h"

namespace wallaby {

// One thread at a time.
class InstanceLock {
 public:
  // Both outlive it.
  InstanceLock(const DbosDatabase* database, const std::string& instance);
  // Takes the lock, or sees that it is still held; takes it anew when the connection was lost.
  absl::Status Keep();

 private:
  const DbosDatabase* const database_;
  const std::string number_;
  std::unique_ptr<PgConnection> connection_;
};

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_INSTANCE_LOCK_H_
