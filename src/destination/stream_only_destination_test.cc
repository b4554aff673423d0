#include "destination/stream_only_destination.h"

#include <gtest/gtest.h>

#include "change/test_tuple.h"

namespace wallaby {
namespace {

struct Log {
  std::vector<std::string> calls;
};

class LoggingDestination : public Destination {
 public:
  explicit LoggingDestination(Log* log) : log_(log) {}
  absl::StatusOr<Progress> Open() override { return Progress{}; }
  absl::Status CheckTable(const Relation&) override { return absl::OkStatus(); }
  absl::Status CheckPresent(const Relation&) override { return absl::FailedPreconditionError("no such table"); }
  absl::Status Write(const ChangeBatch& batch) override {
    return Note("write " + std::to_string(batch.change_count()));
  }
  absl::Status Commit(const CommitPoint& point) override {
    return Note("commit " + point.end.ToString() + " parts " + std::to_string(point.finished_parts.size()));
  }
  absl::Status ResetSnapshot(const Relation&, std::string_view) override { return Note("reset"); }
  absl::Status ResetPart(const Relation&, std::string_view, const KeyRange&) override { return Note("reset part"); }
  std::vector<std::string> DdlStatements(const SchemaChange&) const override { return {}; }
  absl::Status ApplyDdl(const SchemaChange&) override { return absl::OkStatus(); }

 private:
  absl::Status Note(std::string call) {
    log_->calls.push_back(std::move(call));
    return absl::OkStatus();
  }
  Log* const log_;
};

ChangeBatch Row(ChangeKind kind) {
  ChangeBatch batch;
  batch.AddTransaction({.commit = Lsn{100}, .end = Lsn{108}});
  auto relation = std::make_shared<Relation>();
  relation->columns.push_back({"id", BuiltinType(20, -1), true});
  Change change{.kind = kind, .relation = batch.AddRelation(relation)};
  change.new_row = batch.AddRow(TestTuple({"1"}));
  batch.AddChange(change);
  return batch;
}

TEST(StreamOnlyDestinationTest, CopiesAreLeftOutAndTheirPartsFinished) {
  Log log;
  const auto destination = MakeStreamOnlyDestination(std::make_unique<LoggingDestination>(&log));
  const Relation relation;
  ASSERT_TRUE(destination->ResetSnapshot(relation, "public.t/").ok());
  ASSERT_TRUE(destination->ResetPart(relation, "public.t/1", {}).ok());
  ChangeBatch copied = Row(ChangeKind::kRead);
  copied.set_snapshot_part("public.t/1");
  ASSERT_TRUE(destination->Write(copied).ok());
  ASSERT_TRUE(destination->Commit({.finished_parts = {"public.t/1"}}).ok());
  ASSERT_TRUE(destination->Write(Row(ChangeKind::kInsert)).ok());
  ASSERT_TRUE(destination->Commit({.commit = Lsn{100}, .end = Lsn{108}}).ok());
  EXPECT_EQ(log.calls, (std::vector<std::string>{"commit 0/0 parts 1", "write 1", "commit 0/6C parts 0"}));
  EXPECT_TRUE(destination->CheckPresent(relation).ok()) << "a table comes with its first change";
}

TEST(StreamOnlyDestinationTest, OfTheOption) {
  EXPECT_TRUE(LeavesOutCopies({{"snapshot", "never"}}));
  EXPECT_FALSE(LeavesOutCopies({{"snapshot", "initial"}}));
  EXPECT_FALSE(LeavesOutCopies({}));
}

}  // namespace
}  // namespace wallaby
