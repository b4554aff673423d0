#include "base/retry_after.h"

#include <gtest/gtest.h>

#include "base/status.h"

namespace wallaby {
namespace {

TEST(RetryAfter, GoesWithTheFailure) {
  const absl::Status plain = absl::UnavailableError("busy");
  EXPECT_EQ(RetryAfterOf(plain), absl::ZeroDuration());
  EXPECT_EQ(RetryAfterOf(absl::OkStatus()), absl::ZeroDuration());
  const absl::Status asked = WithRetryAfter(plain, absl::Seconds(100));
  EXPECT_EQ(RetryAfterOf(asked), absl::Seconds(100));
  EXPECT_EQ(asked.message(), "busy");
  EXPECT_EQ(RetryAfterOf(Annotate(Annotate(asked, "a"), "b")), absl::Seconds(100));
  EXPECT_EQ(RetryAfterOf(WithRetryAfter(asked, absl::Seconds(7))), absl::Seconds(7));
  EXPECT_EQ(WithRetryAfter(plain, absl::ZeroDuration()), plain);
  EXPECT_TRUE(WithRetryAfter(absl::OkStatus(), absl::Seconds(1)).ok());
}

}  // namespace
}  // namespace wallaby
