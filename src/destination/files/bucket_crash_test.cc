// A crash before and after every request to the bucket, an error there, and a worker that goes on from it: every row
// stands once in what the manifest names, and nothing that it does not name is left.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "destination/files/bucket_test_kit.h"
#include "destination/files/files_test_kit.h"
#include "destination/files/folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

// Which steps fail; set by the test that runs.
struct Plan {
  int first = -1;
  bool and_all_after = false;
  std::vector<std::string> steps;  // that were reached
} plan;

absl::Status Follow(std::string_view step) {
  const int number = static_cast<int>(plan.steps.size());
  plan.steps.emplace_back(step);
  const bool fails = plan.first >= 0 && (number == plan.first || (plan.and_all_after && number > plan.first));
  return fails ? absl::UnavailableError("this step fails in the test") : absl::OkStatus();
}

class BucketCrashTest : public testing::TestWithParam<const char*> {
 protected:
  void TearDown() override {
    SetFilesProbe(nullptr);
    plan = {};
  }

  static std::unique_ptr<Destination> Make(const TestPlace& place) { return place.Make({{"partition_by", "note"}}); }

  static int StepsOfADelivery() {
    TestPlace place(GetParam());
    plan = {};
    SetFilesProbe(Follow);
    EXPECT_TRUE(Deliver(*Make(place)).ok());
    SetFilesProbe(nullptr);
    EXPECT_EQ(place.NamedRows(), Delivered());
    return static_cast<int>(plan.steps.size());
  }

  static void ExpectDelivered(TestPlace& place, const std::string& after) {
    EXPECT_EQ(place.NamedRows(), Delivered()) << after;
    std::vector<std::string> named;
    for (const StoredFile& file : place.Named()) named.push_back(file.path);
    std::sort(named.begin(), named.end());
    EXPECT_EQ(place.DataObjects(), named) << after;
    EXPECT_LE(place.OwnObjects().size(), 2u) << after;  // the manifest, and what this worker wrote last
  }
};

TEST_P(BucketCrashTest, EveryStepCanBeTheLast) {
  const int steps = StepsOfADelivery();
  EXPECT_GE(steps, 40);
  for (int step = 0; step < steps; ++step) {
    TestPlace place(GetParam());
    plan = {.first = step, .and_all_after = true};
    SetFilesProbe(Follow);
    EXPECT_FALSE(Deliver(*Make(place)).ok());
    SetFilesProbe(nullptr);
    const std::string after = absl::StrCat("after step ", step, " ", plan.steps[static_cast<size_t>(step)]);
    const absl::Status status = Deliver(*Make(place));
    EXPECT_TRUE(status.ok()) << status << " " << after;
    ExpectDelivered(place, after);
  }
}

TEST_P(BucketCrashTest, EveryStepCanFailAndTheObjectIsOpenedAgain) {
  const int steps = StepsOfADelivery();
  for (int step = 0; step < steps; ++step) {
    TestPlace place(GetParam());
    plan = {.first = step};
    SetFilesProbe(Follow);
    auto destination = Make(place);
    absl::Status status = Deliver(*destination);
    if (!status.ok()) status = Deliver(*destination);
    EXPECT_TRUE(status.ok()) << status << " after step " << step;
    SetFilesProbe(nullptr);
    ExpectDelivered(place, absl::StrCat("step ", step));
  }
}

TEST_P(BucketCrashTest, ACrashOnTheWayOutOfACrash) {
  const int steps = StepsOfADelivery();
  for (int step = 0; step < steps; step += 3) {
    TestPlace place(GetParam());
    for (int again = 0; again < 3; ++again) {
      plan = {.first = again == 0 ? step : again * 4, .and_all_after = true};
      SetFilesProbe(Follow);
      static_cast<void>(Deliver(*Make(place)));
      SetFilesProbe(nullptr);
    }
    EXPECT_TRUE(Deliver(*Make(place)).ok());
    ExpectDelivered(place, absl::StrCat("step ", step));
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, BucketCrashTest, testing::ValuesIn(kBucketTypes),
                         [](const auto& type) { return std::string(type.param); });

}  // namespace
}  // namespace wallaby
