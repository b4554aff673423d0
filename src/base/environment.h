// A variable of the process's environment.
#ifndef WALLABY_BASE_ENVIRONMENT_H_
#define WALLABY_BASE_ENVIRONMENT_H_

#include <cstdlib>
#include <string>

namespace wallaby {

// "" when it is not set, which means the same as one that is set to nothing.
inline std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace wallaby

#endif  // WALLABY_BASE_ENVIRONMENT_H_
