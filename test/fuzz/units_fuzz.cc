// LSNs, durations, sizes and truth values as people write them.
#include <string>

#include "absl/time/time.h"
#include "base/lsn.h"
#include "base/units.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto lsn = Lsn::Parse(text); lsn.ok()) {
    const auto again = Lsn::Parse(lsn->ToString());
    REQUIRE(again.ok() && *again == *lsn, lsn->ToString());
  }
  if (const auto duration = ParseDuration(text); duration.ok()) {
    REQUIRE(*duration >= absl::ZeroDuration(), "a duration below zero");
    if (*duration != absl::InfiniteDuration()) {
      const auto again = ParseDuration(absl::FormatDuration(*duration));
      REQUIRE(again.ok() && *again == *duration, absl::FormatDuration(*duration));
    }
  }
  if (const auto bytes = ParseBytes(text); bytes.ok()) {
    REQUIRE(*bytes >= 0, "a size below zero");
    const auto again = ParseBytes(std::to_string(*bytes));
    REQUIRE(again.ok() && *again == *bytes, std::to_string(*bytes));
  }
  if (const auto flag = ParseBool(text); flag.ok()) {
    REQUIRE(ParseBool(*flag ? "true" : "false").value() == *flag, "a truth value");
  }
  return 0;
}
