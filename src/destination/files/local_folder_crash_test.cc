// A crash after every step that touches the disk: the folder is copied as it is at that moment, and a worker that
// starts from the copy must end with every row once.
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "destination/files/files_destination.h"
#include "destination/files/files_test_kit.h"
#include "destination/files/folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

namespace fs = std::filesystem;

// Where the probe copies from and to; set by the test that runs.
struct Recorder {
  std::string source;
  std::string copies;
  std::vector<std::string> steps;
  int fail_at = -1;
} recorder;

absl::Status CopyFolder(std::string_view step) {
  const int number = static_cast<int>(recorder.steps.size());
  recorder.steps.emplace_back(step);
  if (!recorder.copies.empty()) {
    fs::copy(recorder.source, absl::StrCat(recorder.copies, "/", number), fs::copy_options::recursive);
  }
  return number == recorder.fail_at ? absl::UnavailableError("this step fails in the test") : absl::OkStatus();
}

std::unique_ptr<Destination> Make(const std::string& path) {
  auto made = FilesDestination::Make(
      "parquet",
      {.flow_id = "flow", .name = "lake", .options = {{"path", path}, {"partition_by", "note"}}, .generation = 1});
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

class LocalFolderCrashTest : public testing::Test {
 protected:
  void TearDown() override {
    SetFilesProbe(nullptr);
    recorder = {};
  }
};

TEST_F(LocalFolderCrashTest, EveryStepCanBeTheLast) {
  TemporaryFolder folder, copies;
  recorder = {.source = folder.path(), .copies = copies.path()};
  SetFilesProbe(CopyFolder);
  ASSERT_TRUE(Deliver(*Make(folder.path())).ok());
  SetFilesProbe(nullptr);
  ASSERT_EQ(Rows(folder.path()), Delivered());
  const std::vector<std::string> steps = recorder.steps;
  EXPECT_GE(steps.size(), 30u);
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string copy = copies.path(absl::StrCat(i));
    const absl::Status status = Deliver(*Make(copy));
    EXPECT_TRUE(status.ok()) << status << " after step " << i << " " << steps[i];
    EXPECT_EQ(Rows(copy), Delivered()) << "after step " << i << " " << steps[i];
  }
}

TEST_F(LocalFolderCrashTest, EveryStepCanFailAndTheObjectIsOpenedAgain) {
  int failures = 0;
  for (int step = 0;; ++step) {
    TemporaryFolder folder;
    recorder = {.fail_at = step};
    SetFilesProbe(CopyFolder);
    auto destination = Make(folder.path());
    const bool failed = !Deliver(*destination).ok();
    if (failed) {
      ++failures;
      ASSERT_TRUE(Deliver(*destination).ok()) << "after step " << step;
    }
    EXPECT_EQ(Rows(folder.path()), Delivered()) << "step " << step;
    if (step >= static_cast<int>(recorder.steps.size())) break;
  }
  EXPECT_GE(failures, 30);
}

TEST_F(LocalFolderCrashTest, ACrashOnTheWayOutOfACrash) {
  TemporaryFolder folder, copies;
  recorder = {.source = folder.path(), .copies = copies.path()};
  SetFilesProbe(CopyFolder);
  ASSERT_TRUE(Deliver(*Make(folder.path())).ok());
  const std::vector<std::string> steps = recorder.steps;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i] != "manifest written" && steps[i] != "data file published" && steps[i] != "data file removed")
      continue;
    const std::string copy = copies.path(absl::StrCat(i));
    for (int again = 0; again < 4; ++again) {
      recorder = {.fail_at = again};
      if (!Make(copy)->Open().ok()) continue;
      break;
    }
    recorder = {};
    ASSERT_TRUE(Deliver(*Make(copy)).ok());
    EXPECT_EQ(Rows(copy), Delivered()) << "after step " << i << " " << steps[i];
  }
}

}  // namespace
}  // namespace wallaby
