// What the fuzz targets share. A target is one file NAME_fuzz.cc with LLVMFuzzerTestOneInput, and states properties by
// REQUIRE: what a printer writes, the parser reads back; two ways to one value agree. Linked with libFuzzer (preset
// fuzz) it searches for inputs; linked with corpus_runner.cc (all other presets) it replays the corpus.
#ifndef WALLABY_TEST_FUZZ_FUZZ_H_
#define WALLABY_TEST_FUZZ_FUZZ_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// A property that the input breaks: a finding.
#define REQUIRE(condition, why)                                                       \
  do {                                                                                \
    if (!(condition)) {                                                               \
      std::fprintf(stderr, "%s:%d: broken: %s: %s\n", __FILE__, __LINE__, #condition, \
                   std::string(std::string_view(why)).c_str());                       \
      std::abort();                                                                   \
    }                                                                                 \
  } while (false)

namespace wallaby::fuzz {

// An input taken apart from the front. What is not there reads as zero or as what is left.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  uint8_t Byte() { return rest_.empty() ? 0 : static_cast<uint8_t>(Take(1)[0]); }
  uint64_t Number(int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value = value << 8 | Byte();
    return value;
  }
  std::string_view Take(size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  // Up to the separator, which goes too; without one, all.
  std::string_view Until(char separator) {
    const std::string_view taken = Take(std::min(rest_.find(separator), rest_.size()));
    if (!rest_.empty()) rest_.remove_prefix(1);
    return taken;
  }
  // A length of two bytes and as many bytes.
  std::string_view Block() {
    const uint64_t length = Number(2);
    return Take(length);
  }
  std::string_view Rest() { return Take(rest_.size()); }

 private:
  std::string_view rest_;
};

// The bytes on the heap in their own size, so that reading beyond them is seen.
class Exact {
 public:
  explicit Exact(std::string_view bytes) : bytes_(new char[bytes.size()]), size_(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  const std::unique_ptr<char[]> bytes_;
  const size_t size_;
};

}  // namespace wallaby::fuzz

#endif  // WALLABY_TEST_FUZZ_FUZZ_H_
