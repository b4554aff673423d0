#include "pgoutput/assembler.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pgoutput/test_bytes.h"

namespace wallaby::pgoutput {
namespace {

std::string Big16(uint16_t v) {
  v = __builtin_bswap16(v);
  return std::string(reinterpret_cast<const char*>(&v), 2);
}
std::string Big32(uint32_t v) {
  v = __builtin_bswap32(v);
  return std::string(reinterpret_cast<const char*>(&v), 4);
}
std::string Big64(uint64_t v) {
  v = __builtin_bswap64(v);
  return std::string(reinterpret_cast<const char*>(&v), 8);
}

constexpr uint32_t kInt4 = 23;
constexpr uint32_t kText = 25;

std::string BeginAt(uint64_t lsn) {
  return "B" + Big64(lsn) + Big64(0) + Big32(1);
}
std::string CommitAt(uint64_t lsn) {
  return std::string("C\0", 2) + Big64(lsn) + Big64(lsn + 48) + Big64(0);
}
std::string Announce(uint32_t oid, const std::string& name, char identity = 'd', int extra_columns = 0) {
  std::string message = "R" + Big32(oid) + Zero("public") + Zero(name) + identity + Big16(2 + extra_columns);
  message += "\1" + Zero("id") + Big32(kInt4) + Big32(-1);
  message += std::string(1, identity == 'f' ? '\1' : '\0') + Zero("note") + Big32(kText) + Big32(-1);
  for (int i = 0; i < extra_columns; ++i) {
    message += std::string(1, '\0') + Zero("extra" + std::to_string(i)) + Big32(kText) + Big32(-1);
  }
  return message;
}
std::string Insert(uint32_t oid, const std::string& id, const std::string& note) {
  std::string message = "I" + Big32(oid) + "N";
  TupleBuilder row(&message, 2);
  row.Text(id);
  row.Text(note);
  return message;
}

std::string Message(const std::string& content) {
  return "M\1" + Big64(90) + Zero("wallaby_ddl") + Big32(static_cast<uint32_t>(content.size())) + content;
}

// Carries relations as `edit` says, and holds transactions with the message "hold".
class Watch : public SchemaWatch {
 public:
  absl::StatusOr<Verdict> OnRelation(const Transaction&, const Relation&, HasRows, RelationEdit* out) override {
    *out = edit;
    return Verdict::kCarry;
  }
  absl::StatusOr<Verdict> OnMessage(const Transaction& t, std::string_view prefix, std::string_view content,
                                    HasRows rows) override {
    seen.push_back(std::string(prefix) + "@" + t.commit.ToString() + (rows(1) ? " after rows" : ""));
    return content == "hold" ? Verdict::kHold : Verdict::kCarry;
  }
  RelationEdit edit;
  std::vector<std::string> seen;
};

TEST(AssemblerVersionTest, IsAskedForWhatIsCarried) {
  BuiltinTypes source;
  Watch watch;
  std::vector<std::string> asked;
  Assembler::Options options;
  options.version = [&](const Relation& relation, Lsn commit) {
    asked.push_back(std::to_string(relation.columns.size()) + "@" + commit.ToString());
    return 40 + static_cast<int64_t>(relation.columns.size());
  };
  Assembler assembler(&source, nullptr, &watch, options);
  ChangeBatch batch;
  const auto add = [&](const std::string& message) {
    const auto outcome = assembler.Add(message, &batch);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
  };
  watch.edit.ignore = true;
  for (const std::string& m : {BeginAt(0x100), Announce(1, "t"), Insert(1, "1", "x"), CommitAt(0x100)}) add(m);
  EXPECT_TRUE(asked.empty());
  watch.edit = {};
  for (const std::string& m : {BeginAt(0x200), Announce(1, "t"), Insert(1, "2", "x"), CommitAt(0x200)}) add(m);
  // The same once more, and one that is held.
  for (const std::string& m : {BeginAt(0x300), Announce(1, "t"), Insert(1, "3", "x"), CommitAt(0x300)}) add(m);
  for (const std::string& m : {BeginAt(0x400), Message("hold"), Announce(1, "t", 'd', 1), CommitAt(0x400)}) add(m);
  EXPECT_EQ(asked, (std::vector<std::string>{"2@0/200"}));
  ASSERT_EQ(batch.relations().size(), 1u);
  EXPECT_EQ(batch.relations()[0]->version, 42);
}

class AssemblerTest : public testing::Test {
 protected:
  Assembler::Outcome Add(const std::string& message) {
    auto outcome = assembler_.Add(message, &batch_);
    EXPECT_TRUE(outcome.ok()) << outcome.status();
    return outcome.value_or(Assembler::Outcome::kNone);
  }

  BuiltinTypes source_;
  Assembler assembler_{&source_, nullptr, nullptr, {.skip_below = {{"public.copied", Lsn{200}}}}};
  ChangeBatch batch_;
};

TEST_F(AssemblerTest, OneTransaction) {
  Add(BeginAt(100));
  Add(Announce(1, "t"));
  EXPECT_EQ(Add(Insert(1, "1", "a")), Assembler::Outcome::kChange);
  EXPECT_EQ(Add(CommitAt(100)), Assembler::Outcome::kCommitted);
  EXPECT_TRUE(assembler_.committed_had_changes());
  ASSERT_EQ(batch_.change_count(), 1u);
  const Change& change = batch_.changes()[0];
  EXPECT_EQ(batch_.relation(change).QualifiedName(), "public.t");
  EXPECT_EQ(batch_.relation(change).key, std::vector<int>{0});
  EXPECT_EQ(batch_.position(change), (Position{Lsn{100}, 0}));
  EXPECT_EQ(batch_.transaction(change).end, Lsn{148});
  EXPECT_EQ(batch_.new_row(change).field().bytes, "1");
}

TEST_F(AssemblerTest, EmptyTransactionLeavesNoTrace) {
  Add(BeginAt(100));
  EXPECT_EQ(Add(CommitAt(100)), Assembler::Outcome::kCommitted);
  EXPECT_FALSE(assembler_.committed_had_changes());
  EXPECT_EQ(assembler_.transaction().end, Lsn{148});
  EXPECT_TRUE(batch_.empty());
}

TEST_F(AssemblerTest, ChangesInTheSnapshotAreLeftOutAndStillCounted) {
  Add(BeginAt(100));
  Add(Announce(1, "copied"));
  Add(Announce(2, "t"));
  Add(Insert(1, "1", "a"));
  Add(Insert(2, "2", "b"));
  Add(CommitAt(100));
  ASSERT_EQ(batch_.change_count(), 1u);
  EXPECT_EQ(batch_.changes()[0].seq, 1u);
  Add(BeginAt(200));
  Add(Insert(1, "3", "c"));
  Add(CommitAt(200));
  EXPECT_EQ(batch_.change_count(), 2u);
}

TEST_F(AssemblerTest, ASnapshotCountsForItsTableUnderWhateverName) {
  Assembler assembler(
      &source_, nullptr, nullptr,
      {.skip_below_by_oid = {{1, Lsn{UINT64_MAX}}, {2, Lsn{50}}}, .skip_below = {{"public.old", Lsn{UINT64_MAX}}}});
  for (const std::string& message :
       {BeginAt(100), Announce(1, "old"), Insert(1, "1", "a"), Announce(1, "new"), Insert(1, "2", "a"),
        Announce(2, "old"), Insert(2, "3", "a"), Announce(3, "old"), Insert(3, "4", "a"), CommitAt(100)}) {
    const auto outcome = assembler.Add(message, &batch_);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
  }
  // The second table's own snapshot is older; of the third nothing but the name is known.
  ASSERT_EQ(batch_.change_count(), 1u);
  EXPECT_EQ(batch_.new_row(batch_.changes()[0]).field().bytes, "3");
}

TEST_F(AssemblerTest, NewShapeIsANewVersion) {
  Add(BeginAt(100));
  Add(Announce(1, "t"));
  Add(Insert(1, "1", "a"));
  Add(Announce(1, "t"));
  Add(Insert(1, "2", "a"));
  Add(Announce(1, "t", 'd', 1));
  ASSERT_EQ(batch_.relations().size(), 1u);
  std::string message = "I" + Big32(1) + "N";
  TupleBuilder row(&message, 3);
  row.Text("3");
  row.Null();
  row.Null();
  Add(message);
  Add(CommitAt(100));
  ASSERT_EQ(batch_.relations().size(), 2u);
  EXPECT_EQ(batch_.relations()[1]->version, 2);
}

TEST_F(AssemblerTest, FullIdentityFillsAbsentFromTheOldRowAndKeysByPrimaryKey) {
  Add(BeginAt(100));
  Add(Announce(1, "t", 'f'));
  std::string message = "U" + Big32(1) + "O";
  TupleBuilder old_row(&message, 2);
  old_row.Text("1");
  old_row.Text("long");
  message += "N";
  TupleBuilder new_row(&message, 2);
  new_row.Text("5");
  new_row.Unchanged();
  Add(message);
  const Change& change = batch_.changes()[0];
  EXPECT_EQ(batch_.relation(change).key, std::vector<int>{0});
  TupleCursor fields = batch_.new_row(change);
  fields.Next();
  EXPECT_EQ(fields.field().bytes, "long");
}

TEST_F(AssemblerTest, ACutTransactionGoesOnWithItsOrdinals) {
  Add(BeginAt(100));
  Add(Announce(1, "t"));
  Add(Insert(1, "1", "a"));
  ChangeBatch next;
  assembler_.ContinueIn(&next);
  ASSERT_TRUE(assembler_.Add(Insert(1, "2", "b"), &next).ok());
  ASSERT_TRUE(assembler_.Add(CommitAt(100), &next).ok());
  ASSERT_EQ(next.change_count(), 1u);
  EXPECT_EQ(next.position(next.changes()[0]), (Position{Lsn{100}, 1}));
  EXPECT_EQ(next.transactions()[0].end, Lsn{148});
}

TEST_F(AssemblerTest, WrongBytesAreDataLoss) {
  EXPECT_TRUE(absl::IsDataLoss(assembler_.Add("", &batch_).status()));
  EXPECT_TRUE(absl::IsDataLoss(assembler_.Add("?", &batch_).status()));
  EXPECT_TRUE(absl::IsDataLoss(assembler_.Add(Insert(1, "1", "a"), &batch_).status()));
  EXPECT_TRUE(absl::IsDataLoss(assembler_.Add(CommitAt(1), &batch_).status()));
  Add(BeginAt(100));
  EXPECT_TRUE(absl::IsDataLoss(assembler_.Add(Announce(1, "t", 'x'), &batch_).status()));
  Add(Announce(1, "t"));
  std::string short_row = "I" + Big32(1) + "N";
  TupleBuilder row(&short_row, 1);
  row.Text("1");
  EXPECT_TRUE(absl::IsDataLoss(assembler_.Add(short_row, &batch_).status()));
}

TEST(AssemblerWatchTest, NothingOfAHeldTransactionIsInTheBatch) {
  BuiltinTypes source;
  Watch watch;
  Assembler assembler(&source, nullptr, &watch, {});
  ChangeBatch batch;
  const auto add = [&](const std::string& message) { return assembler.Add(message, &batch).value(); };
  add(BeginAt(100));
  add(Announce(1, "t"));
  add(Insert(1, "1", "a"));
  add(CommitAt(100));
  add(BeginAt(200));
  add(Message("other"));
  add(Insert(1, "2", "b"));
  EXPECT_EQ(batch.change_count(), 2u);
  EXPECT_EQ(add(Message("hold")), Assembler::Outcome::kNone);
  EXPECT_EQ(batch.change_count(), 1u);
  EXPECT_EQ(batch.transactions().size(), 1u);
  EXPECT_EQ(add(Insert(1, "3", "c")), Assembler::Outcome::kNone);
  add(Message("more"));
  EXPECT_EQ(add(CommitAt(200)), Assembler::Outcome::kHeld);
  EXPECT_EQ(batch.change_count(), 1u);
  EXPECT_EQ(watch.seen, (std::vector<std::string>{"wallaby_ddl@0/C8", "wallaby_ddl@0/C8 after rows",
                                                  "wallaby_ddl@0/C8 after rows"}));
  // The next one is free again.
  add(BeginAt(300));
  EXPECT_EQ(add(Insert(1, "4", "d")), Assembler::Outcome::kChange);
  EXPECT_EQ(add(CommitAt(300)), Assembler::Outcome::kCommitted);
}

TEST(AssemblerWatchTest, RowsAreCarriedInTheEditedShape) {
  BuiltinTypes source;
  Watch watch;
  Assembler assembler(&source, nullptr, &watch, {});
  ChangeBatch batch;
  const auto add = [&](const std::string& message) { return assembler.Add(message, &batch).value(); };
  Relation carried;
  carried.schema = "public";
  carried.name = "renamed";
  carried.columns = {{"remark", BuiltinType(kText, -1), false}, {"id", BuiltinType(kInt4, -1), true}};
  carried.key = {1};
  watch.edit.carried = carried;
  watch.edit.columns = {2, 0};
  add(BeginAt(100));
  add(Announce(1, "t", 'd', 1));
  std::string insert = "I" + Big32(1) + "N";
  TupleBuilder row(&insert, 3);
  row.Text("1");
  row.Text("left out");
  row.Unchanged();
  add(insert);
  watch.edit = {.ignore = true};
  add(Announce(2, "u"));
  EXPECT_EQ(add(Insert(2, "1", "x")), Assembler::Outcome::kNone);
  add(CommitAt(100));
  ASSERT_EQ(batch.change_count(), 1u);
  EXPECT_EQ(batch.relation(batch.changes()[0]).name, "renamed");
  TupleCursor fields = batch.new_row(batch.changes()[0]);
  ASSERT_EQ(fields.count(), 2);
  EXPECT_TRUE(fields.field().is_absent());
  fields.Next();
  EXPECT_EQ(fields.field().bytes, "1");
}

}  // namespace
}  // namespace wallaby::pgoutput
