#include "base/retry_after.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

constexpr char kPayload[] = "wallaby/retry-after-millis";

}  // namespace

absl::Status WithRetryAfter(absl::Status status, absl::Duration after) {
  if (!status.ok() && after > absl::ZeroDuration()) {
    status.SetPayload(kPayload, absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(after))));
  }
  return status;
}

absl::Duration RetryAfterOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  int64_t millis = 0;
  if (!payload || !absl::SimpleAtoi(std::string(*payload), &millis)) return absl::ZeroDuration();
  return absl::Milliseconds(millis);
}

}  // namespace wallaby
