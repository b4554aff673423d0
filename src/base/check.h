// CHECK macros for invariants. They stay on in release: a broken invariant ends the process with the place
// and the reason on stderr, because going on could acknowledge what was never delivered.
#ifndef WALLABY_BASE_CHECK_H_
#define WALLABY_BASE_CHECK_H_

namespace wallaby {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition, const char* why);
}  // namespace wallaby

#define WALLABY_CHECK(condition, why)                              \
  do {                                                             \
    if (!(condition)) [[unlikely]]                                 \
      ::wallaby::CheckFailed(__FILE__, __LINE__, #condition, why); \
  } while (false)

#endif  // WALLABY_BASE_CHECK_H_
