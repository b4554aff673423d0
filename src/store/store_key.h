// The mark by which a store knows the key that its definitions are sealed with: a text that was sealed with it.
#ifndef WALLABY_STORE_STORE_KEY_H_
#define WALLABY_STORE_STORE_KEY_H_

#include <optional>

#include "absl/status/status.h"
#include "store/control_store.h"
#include "store/secret_box.h"
#include "store/sql_database.h"

namespace wallaby {

// See KeyUse. FAILED_PRECONDITION says what to do; nothing was changed then. `box`: of the key that is set.
absl::Status UseStoreKey(SqlDatabase& database, const std::optional<SecretBox>& box, KeyUse use, int* sealed);

}  // namespace wallaby

#endif  // WALLABY_STORE_STORE_KEY_H_
