// Hashes that are the same in every process and version: FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/). For names
// that outlive the program, not against anybody who wants them to collide.
#ifndef WALLABY_BASE_STABLE_HASH_H_
#define WALLABY_BASE_STABLE_HASH_H_

#include <cstdint>
#include <string_view>

namespace wallaby {

constexpr uint32_t StableHash32(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

constexpr uint64_t StableHash64(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

}  // namespace wallaby

#endif  // WALLABY_BASE_STABLE_HASH_H_
