// An integer out of JSON that another program wrote. nlohmann's get<>() cuts what does not fit, and for a fraction that
// is too large its behaviour is undefined. For the .cc files that read JSON within a try block.
#ifndef WALLABY_CHANGE_JSON_INTEGER_H_
#define WALLABY_CHANGE_JSON_INTEGER_H_

#include <cstdint>
#include <stdexcept>
#include <utility>

namespace wallaby {

// Throws std::out_of_range for what is no whole number, or none that Int holds.
template <typename Int, typename Json>
Int JsonInteger(const Json& json) {
  const bool fits = json.is_number_unsigned()
                        ? std::in_range<Int>(json.template get<uint64_t>())
                        : json.is_number_integer() && std::in_range<Int>(json.template get<int64_t>());
  if (!fits) throw std::out_of_range("a number is not whole or does not fit: " + json.dump());
  return json.template get<Int>();
}

}  // namespace wallaby

#endif  // WALLABY_CHANGE_JSON_INTEGER_H_
