// Fields of JSON that somebody else wrote: a member that is missing or of another type is empty, never an exception.
#ifndef WALLABY_DISPATCH_KUBERNETES_JSON_FIELDS_H_
#define WALLABY_DISPATCH_KUBERNETES_JSON_FIELDS_H_

#include <cstdint>
#include <string>

#include "nlohmann/json.hpp"

namespace wallaby {

using Json = nlohmann::json;

// Null when there is none.
inline const Json& Field(const Json& object, const char* name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

inline std::string TextField(const Json& object, const char* name) {
  const Json& field = Field(object, name);
  return field.is_string() ? field.get<std::string>() : "";
}

inline int64_t IntField(const Json& object, const char* name, int64_t otherwise = 0) {
  const Json& field = Field(object, name);
  return field.is_number_integer() ? field.get<int64_t>() : otherwise;
}

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_KUBERNETES_JSON_FIELDS_H_
