// For tests: the bytes that pgoutput's messages are made of, and types as they come with the server.
#ifndef WALLABY_PGOUTPUT_TEST_BYTES_H_
#define WALLABY_PGOUTPUT_TEST_BYTES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "pgoutput/assembler.h"

namespace wallaby::pgoutput {

inline std::string Big(uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}
inline std::string Zero(const std::string& text) {
  return text + std::string(1, '\0');
}

// Built-in types; every table's primary key is the column id.
class BuiltinTypes : public RelationSource {
 public:
  absl::StatusOr<PgType> ResolveType(uint32_t oid, int32_t typmod) override { return BuiltinType(oid, typmod); }
  absl::StatusOr<std::vector<std::string>> PrimaryKey(uint32_t) override { return std::vector<std::string>{"id"}; }
};

}  // namespace wallaby::pgoutput

#endif  // WALLABY_PGOUTPUT_TEST_BYTES_H_
