// A crash after every step that touches the disk: the folder is copied as it is at that moment, and a worker that
// starts from the copy must end with every row once.
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "destination/files/files_destination.h"
#include "destination/files/folder.h"
#include "destination/files/files_test_kit.h"
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
  auto made = FilesDestination::Make("parquet", 
      {.flow_id = "flow", .name = "lake", .options = {{"path", path}, {"partition_by", "note"}}, .generation = 1});
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

// The source: a part of a snapshot, its second try after a reset, then two transactions, committed in four steps.
// Whatever `progress` holds is skipped, as the worker does.
absl::Status Deliver(Destination& destination) {
  auto progress = destination.Open();
  if (!progress.ok()) return progress.status();
  const auto done = [&](const char* part) { return progress->snapshot_parts.contains(part); };
  if (!done("shop.orders/2") && !progress->commit.valid()) {
    absl::Status status = destination.ResetSnapshot(*Orders(), "shop.orders/");
    if (!status.ok()) return status;
    BatchMaker one, two;
    one.Part("shop.orders/1").Begin(5).Read({"1", std::nullopt, "a"}).Read({"2", std::nullopt, "b"});
    two.Part("shop.orders/2").Begin(5).Read({"3", std::nullopt, "a"});
    if (status = destination.Write(one.batch()); !status.ok()) return status;
    if (status = destination.Commit(Point(0, {"shop.orders/1"})); !status.ok()) return status;
    if (status = destination.Write(two.batch()); !status.ok()) return status;
    if (status = destination.Commit(Point(0, {"shop.orders/2"})); !status.ok()) return status;
  }
  for (const uint64_t commit : {10, 20}) {
    if (progress->commit >= Lsn{commit}) continue;
    BatchMaker maker;
    maker.Begin(commit).Insert({absl::StrCat(commit), std::nullopt, "a"}).Insert({"7", std::nullopt, "c"});
    if (absl::Status status = destination.Write(maker.batch()); !status.ok()) return status;
    if (absl::Status status = destination.Commit(Point(commit)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

const std::vector<std::string>& Expected() {
  static const std::vector<std::string> rows = {"r|5|0|1|~|a|~",  "r|5|0|3|~|a|~",   "r|5|1|2|~|b|~", "c|10|0|10|~|a|~",
                                                "c|10|1|7|~|c|~", "c|20|0|20|~|a|~", "c|20|1|7|~|c|~"};
  return rows;
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
  ASSERT_EQ(Rows(folder.path()), Expected());
  const std::vector<std::string> steps = recorder.steps;
  EXPECT_GE(steps.size(), 30u);
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string copy = copies.path(absl::StrCat(i));
    const absl::Status status = Deliver(*Make(copy));
    EXPECT_TRUE(status.ok()) << status << " after step " << i << " " << steps[i];
    EXPECT_EQ(Rows(copy), Expected()) << "after step " << i << " " << steps[i];
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
    EXPECT_EQ(Rows(folder.path()), Expected()) << "step " << step;
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
    EXPECT_EQ(Rows(copy), Expected()) << "after step " << i << " " << steps[i];
  }
}

}  // namespace
}  // namespace wallaby
