// Opening a database that holds nothing but checkpoints.
#ifndef WALLABY_STORE_OPEN_STORE_H_
#define WALLABY_STORE_OPEN_STORE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "store/sql_store.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<SqlStore>> OpenOnlyCheckpoints(std::unique_ptr<SqlDatabase> database);

}  // namespace wallaby

#endif  // WALLABY_STORE_OPEN_STORE_H_
