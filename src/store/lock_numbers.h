// Numbers of the locks that transactions of the store take (SqlSession::Lock). Fixed: processes of different versions
// share them.
#ifndef WALLABY_STORE_LOCK_NUMBERS_H_
#define WALLABY_STORE_LOCK_NUMBERS_H_

#include <cstdint>

namespace wallaby {
inline constexpr int64_t kMigrationLock = 1;
inline constexpr int64_t kDefinitionLock = 2;  // flows are created, renamed or deleted
}  // namespace wallaby

#endif  // WALLABY_STORE_LOCK_NUMBERS_H_
