// The pipeline over a scripted stream and a destination in memory (two of the interfaces that the simulator replaces).
#include "pipeline/pipeline.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "change/value.h"
#include "pgoutput/test_bytes.h"

namespace wallaby {
namespace {

using pgoutput::Big;
using pgoutput::Zero;

std::string Begin(uint64_t lsn) {
  return "B" + Big(lsn, 8) + Big(0, 8) + Big(1, 4);
}
std::string Commit(uint64_t lsn) {
  return Zero("C") + Big(lsn, 8) + Big(lsn + 8, 8) + Big(0, 8);
}
std::string Announce() {
  return "R" + Big(1, 4) + Zero("public") + Zero("t") + "d" + Big(1, 2) + "\1" + Zero("id") + Big(23, 4) + Big(~0u, 4);
}
std::string Insert(int id, size_t padding = 0) {
  std::string message = "I" + Big(1, 4) + "N";
  TupleBuilder row(&message, 1);
  row.Text(std::string(padding, '0') + std::to_string(id));
  return message;
}

std::string Message() {
  return "M\1" + Big(150, 8) + Zero("prefix") + Big(2, 4) + "{}";
}

// Plays packets, then a keepalive, then nothing until the test stops the pipeline or the stream fails.
class ScriptedStream : public ReplicationStream {
 public:
  absl::StatusOr<Packet> Next() override {
    if (next_ == messages.size()) {
      if (!end_status.ok()) return end_status;
      if (keepalive_sent_) return Packet{};
      keepalive_sent_ = true;
      return Packet{.kind = Packet::Kind::kKeepalive, .wal_end = Lsn{wal_end}};
    }
    return Packet{.kind = Packet::Kind::kData, .wal_end = Lsn{1}, .payload = messages[next_++]};
  }
  absl::Status Wait(absl::Duration timeout, Event& wake) override {
    wake.Wait(std::min(timeout, absl::Milliseconds(5)));
    return absl::OkStatus();
  }
  absl::Status SendFeedback(Lsn, Lsn flushed, bool request_reply) override {
    EXPECT_GE(flushed, this->flushed);
    this->flushed = flushed;
    if (request_reply) keepalive_sent_ = false;
    return absl::OkStatus();
  }

  std::vector<std::string> messages;
  absl::Status end_status;
  uint64_t wal_end = 1000;
  Lsn flushed;

 private:
  size_t next_ = 0;
  bool keepalive_sent_ = false;
};

class MemoryDestination : public Destination {
 public:
  Capabilities capabilities() const override { return {.linger = linger, .linger_bytes = 1 << 30}; }
  absl::StatusOr<Progress> Open() override { return Progress{}; }
  absl::Status CheckTable(const Relation&) override { return absl::OkStatus(); }
  absl::Status Write(const ChangeBatch& batch) override {
    for (const Change& change : batch.changes()) {
      if (!fail_at_row.empty() && batch.new_row(change).field().bytes == fail_at_row) {
        return absl::UnavailableError("the disk is away");
      }
      written.emplace_back(batch.new_row(change).field().bytes);
    }
    return absl::OkStatus();
  }
  absl::Status Commit(const CommitPoint& point) override {
    if (before_commit) before_commit();
    committed = written;
    progress = point;
    ++commits;
    return absl::OkStatus();
  }
  absl::Status Tend() override { return tend ? tend() : absl::OkStatus(); }
  absl::Status ResetSnapshot(const Relation&, std::string_view) override { return absl::OkStatus(); }
  std::vector<std::string> DdlStatements(const SchemaChange&) const override { return {}; }
  absl::Status ApplyDdl(const SchemaChange&) override { return absl::OkStatus(); }

  std::function<absl::Status()> tend;
  std::function<void()> before_commit;
  absl::Duration linger = absl::ZeroDuration();
  std::string fail_at_row;
  std::vector<std::string> written;
  std::vector<std::string> committed;
  CommitPoint progress;
  int commits = 0;
};

class MemoryCheckpoints : public CheckpointStore {
 public:
  absl::StatusOr<std::optional<Checkpoint>> Get() override { return std::nullopt; }
  absl::Status Put(const Checkpoint& checkpoint) override {
    std::lock_guard lock(mutex);
    last = checkpoint;
    return absl::OkStatus();
  }
  absl::Status Reset(const Checkpoint& checkpoint) override { return Put(checkpoint); }
  std::mutex mutex;
  Checkpoint last;
};

class Relations : public pgoutput::RelationSource {
 public:
  absl::StatusOr<PgType> ResolveType(uint32_t oid, int32_t typmod) override { return BuiltinType(oid, typmod); }
  absl::StatusOr<std::vector<std::string>> PrimaryKey(uint32_t) override { return std::vector<std::string>{}; }
};

class PipelineTest : public testing::Test {
 protected:
  absl::Status Run(Progress progress = {}) {
    options_.reader.max_empty_reads = max_empty_reads_;
    Pipeline pipeline({{"memory", &destination_, std::move(progress)}}, &checkpoints_, Clock::Real(), options_);
    pgoutput::Assembler assembler(&relations_, nullptr, watch_, assembler_options_);
    running_ = &pipeline;
    const absl::Status status = pipeline.RunStream(&stream_, &assembler);
    barrier_ = pipeline.barrier();
    settled_ = pipeline.settled();
    return status;
  }
  void Transaction(uint64_t lsn, const std::vector<std::string>& inserts, bool announce = false) {
    stream_.messages.push_back(Begin(lsn));
    if (announce) stream_.messages.push_back(Announce());
    for (const std::string& insert : inserts) stream_.messages.push_back(insert);
    stream_.messages.push_back(Commit(lsn));
  }

  Pipeline::Options options_;
  int max_empty_reads_ = 1;
  ScriptedStream stream_;
  MemoryDestination destination_;
  MemoryCheckpoints checkpoints_;
  Relations relations_;
  pgoutput::SchemaWatch* watch_ = nullptr;
  pgoutput::Assembler::Options assembler_options_;
  Pipeline* running_ = nullptr;
  Lsn barrier_;
  bool settled_ = false;
};

// Holds every transaction with a logical message.
class HoldsMessages : public pgoutput::SchemaWatch {
 public:
  absl::StatusOr<Verdict> OnRelation(const Transaction&, const Relation&, HasRows, pgoutput::RelationEdit*) override {
    return Verdict::kCarry;
  }
  absl::StatusOr<Verdict> OnMessage(const Transaction&, std::string_view, std::string_view, HasRows) override {
    if (then) then();
    return Verdict::kHold;
  }
  std::function<void()> then;
};

TEST_F(PipelineTest, DeliversCommitsCheckpointsAndAcknowledges) {
  Transaction(100, {Insert(1), Insert(2)}, /*announce=*/true);
  Transaction(200, {Insert(3)});
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(destination_.committed, (std::vector<std::string>{"1", "2", "3"}));
  // All is settled, so the idle position of the server's keepalive is acknowledged.
  EXPECT_EQ(checkpoints_.last.lsn, Lsn{1000});
  EXPECT_EQ(stream_.flushed, Lsn{1000});
  EXPECT_EQ(checkpoints_.last.metadata[DestinationKey("memory")], "0/D0");
}

TEST_F(PipelineTest, SkipsWhatTheDestinationHolds) {
  Transaction(100, {Insert(1), Insert(2)}, /*announce=*/true);
  Transaction(200, {Insert(3)});
  Progress progress;
  progress.commit = Lsn{100};
  progress.end = Lsn{108};
  ASSERT_TRUE(Run(progress).ok());
  EXPECT_EQ(destination_.committed, (std::vector<std::string>{"3"}));
}

TEST_F(PipelineTest, AProbeDoesNotWaitForWhatLingers) {
  destination_.linger = absl::Hours(1);
  Transaction(100, {Insert(1)}, /*announce=*/true);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(destination_.committed, (std::vector<std::string>{"1"}));
  EXPECT_EQ(stream_.flushed, Lsn{1000});
}

// Also before anything was committed, as when a flow starts while the destination does not answer.
TEST_F(PipelineTest, ADestinationThatIsStuckLagsByWhatWaitsInIt) {
  constexpr int64_t kCommitted = 946'684'800'000'000;  // the year 2000, which is 0 on the wire
  Transaction(100, {Insert(1)}, /*announce=*/true);
  std::vector<int64_t> reached;
  destination_.before_commit = [&] {
    EXPECT_FALSE(running_->loads()[0].settled);
    reached.push_back(running_->loads()[0].reached_micros);
    reached.push_back(running_->reached_micros());
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(reached, (std::vector<int64_t>{kCommitted, kCommitted}));
}

TEST_F(PipelineTest, WhatIsDueByTimeIsDoneWhileNothingArrives) {
  Transaction(100, {Insert(1)}, /*announce=*/true);
  max_empty_reads_ = 0;  // it reads until it is stopped
  std::vector<std::string> committed;
  destination_.tend = [&] {
    committed = destination_.committed;
    if (!committed.empty()) running_->Stop();
    return absl::OkStatus();
  };
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(committed, (std::vector<std::string>{"1"}));
}

TEST_F(PipelineTest, AnErrorOfWhatIsDueByTimeEndsTheRun) {
  max_empty_reads_ = 0;
  destination_.tend = [] { return absl::UnavailableError("the disk is away"); };
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(status.message(), "destination memory: the disk is away");
}

TEST_F(PipelineTest, ALargeTransactionIsCutAndCommittedOnce) {
  options_.reader.batch_bytes = 4096;
  std::vector<std::string> inserts;
  for (int i = 0; i < 1000; ++i) inserts.push_back(Insert(i, 100));
  Transaction(100, inserts, /*announce=*/true);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(destination_.committed.size(), 1000u);
  EXPECT_EQ(destination_.commits, 1);
}

TEST_F(PipelineTest, HalfATransactionIsNeverCommittedNorAcknowledged) {
  options_.reader.batch_bytes = 4096;
  Transaction(100, {Insert(1)}, /*announce=*/true);
  stream_.messages.push_back(Begin(200));
  for (int i = 0; i < 1000; ++i) stream_.messages.push_back(Insert(i, 100));
  stream_.end_status = absl::UnavailableError("cut");
  EXPECT_TRUE(absl::IsUnavailable(Run()));
  EXPECT_LE(destination_.progress.commit, Lsn{100});
  EXPECT_LE(stream_.flushed, Lsn{108});
  EXPECT_LE(destination_.committed.size(), 1u);
}

TEST_F(PipelineTest, AHeldTransactionIsTheEnd) {
  HoldsMessages holds;
  watch_ = &holds;
  Transaction(100, {Insert(1)}, /*announce=*/true);
  Transaction(200, {Insert(2), Message(), Insert(3)});
  Transaction(300, {Insert(4)});
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(destination_.committed, (std::vector<std::string>{"1"}));
  EXPECT_EQ(barrier_, Lsn{200});
  EXPECT_TRUE(settled_);
  EXPECT_EQ(checkpoints_.last.lsn, Lsn{108});
  EXPECT_EQ(stream_.flushed, Lsn{108});
}

// The stop comes between the barrier and the last batch before it.
TEST_F(PipelineTest, AStopAtAHeldTransactionAcknowledgesNothingThatWasNotHandedOn) {
  HoldsMessages holds;
  holds.then = [this] { running_->Stop(); };
  watch_ = &holds;
  Transaction(100, {Insert(1)}, /*announce=*/true);
  Transaction(200, {Message()});
  ASSERT_TRUE(Run().ok());
  EXPECT_TRUE(destination_.committed.empty());
  EXPECT_EQ(barrier_, Lsn{});
  EXPECT_EQ(stream_.flushed, Lsn{});
}

// Its copy was due when the table was dropped: without the table there is no copy, and its rows must not come again.
TEST_F(PipelineTest, WhatWasLeftOutBeforeAHeldTransactionDoesNotComeAgain) {
  HoldsMessages holds;
  watch_ = &holds;
  assembler_options_.skip_below["public.t"] = Lsn{UINT64_MAX};
  Transaction(100, {Insert(1)}, /*announce=*/true);
  Transaction(200, {Message()});
  ASSERT_TRUE(Run().ok());
  EXPECT_TRUE(destination_.committed.empty());
  EXPECT_EQ(barrier_, Lsn{200});
  EXPECT_EQ(stream_.flushed, Lsn{108});
}

TEST_F(PipelineTest, AHeldTransactionThatWasCutLeavesTheRestToTheNextTry) {
  HoldsMessages holds;
  watch_ = &holds;
  options_.reader.batch_bytes = 4096;
  std::vector<std::string> changes;
  for (int i = 0; i < 1000; ++i) changes.push_back(Insert(i, 100));
  changes.push_back(Message());
  Transaction(100, {Insert(1)}, /*announce=*/true);
  Transaction(200, changes);
  ASSERT_TRUE(Run().ok());
  EXPECT_LE(destination_.committed.size(), 1u);
  EXPECT_LE(stream_.flushed, Lsn{108});
  EXPECT_EQ(barrier_, Lsn{200});
}

TEST_F(PipelineTest, StopsBeforeATransaction) {
  options_.reader.stop_before = Lsn{200};
  Transaction(100, {Insert(1)}, /*announce=*/true);
  Transaction(200, {Insert(2)});
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(destination_.committed, (std::vector<std::string>{"1"}));
  EXPECT_EQ(barrier_, Lsn{200});
  EXPECT_EQ(stream_.flushed, Lsn{108});
}

TEST_F(PipelineTest, ADestinationsErrorEndsTheRunByItsName) {
  destination_.fail_at_row = "3";
  Transaction(100, {Insert(1)}, /*announce=*/true);
  Transaction(200, {Insert(3)});
  const absl::Status status = Run();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(status.message(), "destination memory: the disk is away");
  EXPECT_LE(stream_.flushed, Lsn{108});
}

TEST(DropThroughTest, KeepsWhatIsNew) {
  auto relation = std::make_shared<Relation>();
  auto batch = std::make_shared<ChangeBatch>();
  for (uint64_t lsn : {100, 200, 300}) {
    batch->AddTransaction({.commit = Lsn{lsn}, .end = Lsn{lsn + 8}});
    Change change;
    change.relation = batch->AddRelation(relation);
    change.transaction = static_cast<uint32_t>(batch->transactions().size() - 1);
    batch->AddChange(change);
  }
  EXPECT_EQ(DropThrough(batch, Lsn{99}), batch);
  const BatchPtr rest = DropThrough(batch, Lsn{200});
  ASSERT_EQ(rest->change_count(), 1u);
  EXPECT_EQ(rest->position(rest->changes()[0]).commit, Lsn{300});
  EXPECT_TRUE(DropThrough(batch, Lsn{300})->empty());
}

}  // namespace
}  // namespace wallaby
