// What survives: commits, crashes, other processes, newer generations. Also append mode's rows.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "base/status.h"
#include "destination/duckdb/errors.h"
#include "destination/duckdb/test_flow.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;

bool Fenced(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) && std::string(status.message()).starts_with("fenced");
}

class DuckdbDurability : public DuckdbTest {
 protected:
  RelationPtr items_ = MakeRelation("items", {{"id", kInt4Oid}, {"name", kTextOid}});
};

TEST_F(DuckdbDurability, DroppedWithoutCommitLeavesNothing) {
  Open();
  Apply(TestBatch(100).Insert(items_, {"1", "a"}));
  TestBatch lost(200);
  lost.Insert(items_, {"2", "b"}).Delete(items_, {"1", {}});
  Write(lost);
  const Progress progress = Open();
  EXPECT_EQ(progress.commit.value, 100u);
  EXPECT_EQ(progress.end.value, 108u);
  EXPECT_EQ(Sql("SELECT * FROM public.items"), "1|a");
  Apply(std::move(lost));
  EXPECT_EQ(Sql("SELECT * FROM public.items"), "2|b");
  EXPECT_EQ(Open().commit.value, 200u);
}

TEST_F(DuckdbDurability, TableMadeInALostTransactionIsMadeAgain) {
  Open();
  TestBatch lost(200);
  lost.Insert(items_, {"2", "b"});
  Write(lost);
  ASSERT_TRUE(destination_->Open().ok());
  Apply(std::move(lost));
  EXPECT_EQ(Sql("SELECT * FROM public.items"), "2|b");
}

TEST_F(DuckdbDurability, CommitWithoutPositionKeepsTheStoredOne) {
  Open();
  Apply(TestBatch(100).Insert(items_, {"1", "a"}));
  ASSERT_TRUE(destination_->Commit({{}, {}, {"p1", "it's"}}).ok());
  ASSERT_TRUE(destination_->Commit({{}, {}, {"p1"}}).ok());
  const Progress progress = Open();
  EXPECT_EQ(progress.commit.value, 100u);
  EXPECT_THAT(progress.snapshot_parts, testing::ElementsAre("it's", "p1"));
  EXPECT_EQ(Sql("SELECT count(*) FROM wallaby.snapshot_parts"), "2");
}

TEST_F(DuckdbDurability, OlderGenerationIsFenced) {
  Open({}, 5);
  auto older = Make({}, 4);
  const absl::Status at_open = older->Open().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(at_open));
  EXPECT_TRUE(Fenced(at_open)) << at_open;

  // A newer one takes over while this one lives: it can no longer commit.
  Apply(TestBatch(100).Insert(items_, {"1", "a"}));
  auto newer = Make({}, 6);
  ASSERT_TRUE(newer->Open().ok());
  TestBatch late(200);
  late.Insert(items_, {"2", "b"});
  Write(late);
  const absl::Status at_commit = destination_->Commit({{200}, {208}, {}});
  EXPECT_TRUE(Fenced(at_commit)) << at_commit;
  EXPECT_THAT(std::string(at_commit.message()), HasSubstr("generation 6"));
  EXPECT_EQ(Sql("SELECT * FROM public.items"), "1|a");
}

TEST_F(DuckdbDurability, TakeOverInTheMiddleOfATransaction) {
  Open({}, 5);
  TestBatch batch(100);
  batch.Insert(items_, {"1", "a"});
  Write(batch);
  auto newer = Make({}, 6);
  ASSERT_TRUE(newer->Open().ok());
  const absl::Status status = destination_->Commit({{100}, {108}, {}});
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(IsTransient(status) || Fenced(status)) << status;
  EXPECT_TRUE(Fenced(destination_->Open().status()));
  EXPECT_THAT(Sql("SELECT * FROM public.items"), HasSubstr("does not exist"));
}

TEST_F(DuckdbDurability, TwoDestinationsInOneProcessShareTheFile) {
  Open();
  auto other = DuckdbDestination::Make(
      {.flow_id = "flow",
       .name = "second",
       .options = {{"dsn", folder_ + "/../" + folder_.substr(folder_.rfind('/') + 1) + "/test.db"}, {"schema", "two"}},
       .generation = 1});
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE((*other)->Open().ok());
  TestBatch batch(100);
  batch.Insert(items_, {"1", "a"});
  Write(batch);
  ASSERT_TRUE((*other)->Write(*batch).ok());
  Commit(100);
  ASSERT_TRUE((*other)->Commit({{100}, {108}, {}}).ok());
  EXPECT_EQ(Sql("SELECT * FROM public.items UNION ALL SELECT * FROM two.items"), "1|a\n1|a");
}

// ---- other processes: this test program started again with one disabled test ----

constexpr char kFileVariable[] = "WALLABY_TEST_FILE";

TEST(Child, DISABLED_CommitThenDieInTheMiddle) {
  auto made = DuckdbDestination::Make(
      {.flow_id = "flow", .name = "duck", .options = {{"dsn", std::getenv(kFileVariable)}}, .generation = 1});
  ASSERT_TRUE(made.ok() && (*made)->Open().ok());
  auto items = MakeRelation("items", {{"id", kInt4Oid}, {"name", kTextOid}});
  TestBatch kept(100), lost(200);
  kept.Insert(items, {"1", "a"});
  ASSERT_TRUE((*made)->Write(*kept).ok());
  ASSERT_TRUE((*made)->Commit({{100}, {108}, {}}).ok());
  lost.Delete(items, {"1", {}});
  for (int i = 2; i < 200000; ++i) lost.Insert(items, {std::to_string(i), "lost"});
  ASSERT_TRUE((*made)->Write(*lost).ok());
  kill(getpid(), SIGKILL);
}

TEST(Child, DISABLED_HoldTheFile) {
  auto database = DuckdbDatabase::Open(std::getenv(kFileVariable), {});
  ASSERT_TRUE(database.ok());
  std::ofstream(std::string(std::getenv(kFileVariable)) + ".held") << "yes";
  pause();
}

pid_t StartChild(const std::string& test, const std::string& file) {
  std::string filter = "--gtest_filter=Child.DISABLED_" + test;
  std::string disabled = "--gtest_also_run_disabled_tests";
  std::string program = "/proc/self/exe";
  char* arguments[] = {program.data(), filter.data(), disabled.data(), nullptr};
  setenv(kFileVariable, file.c_str(), 1);
  pid_t pid = 0;
  EXPECT_EQ(posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, environ), 0);
  return pid;
}

TEST_F(DuckdbDurability, KilledProcess) {
  const pid_t child = StartChild("CommitThenDieInTheMiddle", Path());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_EQ(Open().commit.value, 100u);
  EXPECT_EQ(Sql("SELECT * FROM public.items"), "1|a");
}

TEST_F(DuckdbDurability, FileHeldByAnotherProcess) {
  const pid_t child = StartChild("HoldTheFile", Path());
  while (!std::filesystem::exists(Path() + ".held")) {
    ASSERT_EQ(waitpid(child, nullptr, WNOHANG), 0) << "the child has ended";
    usleep(1000);
  }
  auto destination = Make();
  const absl::Status status = destination->Open().status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(Path()));
  EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("PID ", child)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(destination->Open().ok());
}

TEST_F(DuckdbDurability, ReleasedFileIsFreeBetweenCommits) {
  Open({{"release_file", "true"}});
  EXPECT_GT(destination_->capabilities().linger, absl::ZeroDuration());
  ASSERT_TRUE(destination_->CheckTable(*items_).ok());
  Apply(TestBatch(100).Insert(items_, {"1", "a"}));
  const pid_t child = StartChild("HoldTheFile", Path());
  while (!std::filesystem::exists(Path() + ".held")) {
    ASSERT_EQ(waitpid(child, nullptr, WNOHANG), 0) << "the file was not free";
    usleep(1000);
  }
  TestBatch batch(200);
  batch.Insert(items_, {"2", "b"});
  EXPECT_TRUE(absl::IsUnavailable(destination_->Write(*batch)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(destination_->Open().ok());
  Apply(std::move(batch));
  Apply(TestBatch(300).Update(items_, {"1", "c"}));
  EXPECT_EQ(Sql("SELECT * FROM public.items ORDER BY id"), "1|c\n2|b");
  EXPECT_FALSE(std::filesystem::exists(Path() + ".wal"));
}

TEST_F(DuckdbDurability, WhatIsNoDatabase) {
  std::ofstream(Path()) << std::string(100000, 'x');
  EXPECT_TRUE(absl::IsFailedPrecondition(Make()->Open().status())) << Make()->Open().status();
  const absl::Status nowhere = Make({{"dsn", folder_ + "/no/such/folder/a.db"}})->Open().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(nowhere)) << nowhere;
}

TEST(DuckdbErrors, WaitingCanCureOrNot) {
  auto code = [](const char* message) { return DuckdbError(message, "x").code(); };
  EXPECT_EQ(code("IO Error: Could not write all bytes: No space left on device"), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code("IO Error: Could not fsync"), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code("Out of Memory Error: could not allocate"), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code("TransactionContext Error: Conflict on update!"), absl::StatusCode::kAborted);
  EXPECT_EQ(code("FATAL Error: Failed: database has been invalidated"), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code("Constraint Error: NOT NULL constraint failed: t.a"), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code("Conversion Error: Could not convert"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("INTERNAL Error: oops"), absl::StatusCode::kInternal);
}

// ---- parts of a snapshot ----

TEST_F(DuckdbDurability, ResetPartTakesItsRowsAndNoOthers) {
  for (const std::string mapping : {"", "public.items.id=text"}) {
    const std::string path = Path() + (mapping.empty() ? "" : "2");
    std::map<std::string, std::string> options = {{"dsn", path}};
    if (!mapping.empty()) options["type_mappings"] = mapping;
    Open(options);
    EXPECT_TRUE(destination_->capabilities().resets_parts);
    // Before the table exists.
    ASSERT_TRUE(destination_->ResetPart(*items_, "items/0", {"id", {}, -5}).ok());
    TestBatch rows(50);
    for (const char* id : {"-9", "-5", "0", "9", "10", "11"}) rows.Read(items_, {id, "a"});
    Write(rows);
    Commit(50, {"items/0", "items/1", "items/2", "items/1x"});
    ASSERT_TRUE(destination_->ResetPart(*items_, "items/1", {"id", -5, 10}).ok());
    destination_.reset();
    EXPECT_EQ(SqlIn(path, "SELECT id FROM public.items ORDER BY id::BIGINT"), "-9\n10\n11");
    EXPECT_EQ(Open(options, 2).snapshot_parts, (std::set<std::string>{"items/0", "items/1x", "items/2"}));
    ASSERT_TRUE(destination_->ResetPart(*items_, "items/2", {"id", 10, {}}).ok());
    ASSERT_TRUE(destination_->ResetPart(*items_, "items/0", {"id", {}, -9}).ok());
    EXPECT_EQ(SqlIn(path, "SELECT id FROM public.items"), "-9");
    // The rows that come again, and a streamed change of one that stayed.
    TestBatch again(60);
    for (const char* id : {"0", "11"}) again.Read(items_, {id, "b"});
    Write(again);
    Commit(60, {"items/1"});
    Apply(TestBatch(70).Insert(items_, {"-9", "c"}).Insert(items_, {"0", "c"}));
    EXPECT_EQ(SqlIn(path, "SELECT id, name FROM public.items ORDER BY id::BIGINT"), "-9|c\n0|c\n11|b");
  }
}

TEST_F(DuckdbDurability, ResetPartIsFencedAndNotForAppend) {
  Open();
  auto newer = Make({}, 2);
  ASSERT_TRUE(newer->Open().ok());
  EXPECT_TRUE(absl::StrContains(destination_->ResetPart(*items_, "items/1", {"id", 1, 2}).message(), "fenced"));
  Open({{"write_mode", "append"}}, 3);
  EXPECT_FALSE(destination_->capabilities().resets_parts);
  EXPECT_TRUE(absl::IsUnimplemented(destination_->ResetPart(*items_, "items/1", {"id", 1, 2})));
}

// ---- append mode ----

TEST_F(DuckdbDurability, AppendKeepsEveryChange) {
  Open({{"write_mode", "append"}});
  ASSERT_TRUE(destination_->CheckTable(*items_).ok());
  TestBatch snapshot(50);
  snapshot.Read(items_, {"1", "a"});
  Write(snapshot);
  Commit(50, {"items/1"});
  Apply(TestBatch(100)
            .Insert(items_, {"2", "b"})
            .Update(items_, {"2", Unchanged()})
            .Delete(items_, {"1", {}})
            .Begin(120)
            .Truncate(items_));
  EXPECT_EQ(Sql("SELECT id, name, _wallaby_op, _wallaby_lsn, _wallaby_seq, _wallaby_commit_time::VARCHAR, "
                "_wallaby_unchanged FROM public.items ORDER BY _wallaby_lsn, _wallaby_seq"),
            "1|a|r|50|0|2023-11-14 22:13:20+00|null\n"
            "2|b|c|100|0|2023-11-14 22:13:20+00|null\n"
            "2|null|u|100|1|2023-11-14 22:13:20+00|name\n"
            "1|null|d|100|2|2023-11-14 22:13:20+00|null\n"
            "null|null|t|120|0|2023-11-14 22:13:20+00|null");
  ASSERT_TRUE(destination_->ResetSnapshot(*items_, "items/").ok());
  EXPECT_EQ(Sql("SELECT string_agg(_wallaby_op, '' ORDER BY _wallaby_lsn, _wallaby_seq) FROM public.items"), "cudt");
  EXPECT_TRUE(absl::IsFailedPrecondition(
      destination_->CheckTable(*MakeRelation("m", {{"id", kInt4Oid}, {"_wallaby_op", kTextOid}}))));
}

TEST_F(DuckdbDurability, AppendOfAnUpdateThatChangesTheKeyIsTwoRows) {
  Open({{"write_mode", "append"}});
  const RelationPtr keyless = MakeRelation("keyless", {{"id", kInt4Oid}, {"name", kTextOid}}, /*keys=*/0);
  Apply(TestBatch(100)
            .Update(items_, {"1", {}}, {"2", "b"}, /*old_is_key=*/true)
            .Update(items_, {"2", "b"}, {"2", "c"}, /*old_is_key=*/false)
            .Update(items_, {"2", "c"}, {"3", "c"}, /*old_is_key=*/false)
            .Update(keyless, {"1", "a"}, {"1", "b"}, /*old_is_key=*/false));
  const std::string query = "SELECT _wallaby_seq, _wallaby_op, id, name FROM public.";
  EXPECT_EQ(Sql(query + "items ORDER BY ALL"), "0|d|1|null\n0|u|2|b\n1|u|2|c\n2|d|2|c\n2|u|3|c");
  EXPECT_EQ(Sql(query + "keyless ORDER BY ALL"), "3|d|1|a\n3|u|1|b");
}

}  // namespace
}  // namespace wallaby
