#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace wallaby {

void CheckFailed(const char* file, int line, const char* condition, const char* why) {
  std::fprintf(stderr, "{\"app\":\"wallaby\",\"level\":\"fatal\",\"msg\":\"invariant broken at %s:%d: %s (%s)\"}\n",
               file, line, why, condition);
  std::abort();
}

}  // namespace wallaby
