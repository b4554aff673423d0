// Changes of a table whose parts were copied under different snapshots: [.., 100) at 200, [100, 200) at 400, [200, ..)
// at 300.
#include "pgoutput/skip_rule.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "pgoutput/assembler.h"
#include "pgoutput/test_bytes.h"

namespace wallaby::pgoutput {
namespace {

constexpr char kAbsent[] = "<absent>";

// Puts "filled" wherever a value is absent.
class Filler : public AbsentFiller {
 public:
  void Remember(const Relation&, std::string_view, bool) override {}
  absl::StatusOr<bool> Fill(const Relation&, std::string_view row, std::string* out) override {
    TupleCursor fields(row.data());
    TupleBuilder builder(out, fields.count());
    for (; !fields.done(); fields.Next()) {
      fields.field().is_absent() ? builder.Text("filled") : builder.Add(fields.field());
    }
    return true;
  }
};

class SkipRuleTest : public testing::Test {
 protected:
  SkipRuleTest() { Use(false, nullptr); }

  void Use(bool binary, AbsentFiller* filler, char identity = 'd', const std::string& key = "id") {
    binary_ = binary;
    Assembler::Options options;
    options.binary = binary;
    options.skip_below["public.t"] = SkipRule("id", {100, 200}, {Lsn{200}, Lsn{400}, Lsn{300}});
    options.backfill_command = "wallaby-worker -flow-id f -mode backfill";
    assembler_ = std::make_unique<Assembler>(&source_, filler, nullptr, std::move(options));
    relation_ = "R" + Big(1, 4) + std::string("public\0t\0", 9) + identity + Big(2, 2) + "\1" + key +
                std::string(1, '\0') + Big(23, 4) + Big(-1, 4) + std::string(1, identity == 'f' ? '\1' : '\0') +
                std::string("note\0", 5) + Big(25, 4) + Big(-1, 4);
  }

  std::string Row(int64_t id, const std::string& note) const {
    std::string out;
    TupleBuilder row(&out, 2);
    binary_ ? row.Binary(Big(static_cast<uint64_t>(id), 4)) : row.Text(absl::StrCat(id));
    note == kAbsent ? row.Unchanged() : note.empty() ? row.Null() : row.Text(note);
    return out;
  }
  std::string Insert(int64_t id) const { return "I" + Big(1, 4) + "N" + Row(id, "a"); }
  std::string Delete(int64_t id) const { return "D" + Big(1, 4) + "K" + Row(id, ""); }
  std::string Update(int64_t id, const std::string& note = "b") const { return "U" + Big(1, 4) + "N" + Row(id, note); }
  std::string Move(int64_t from, int64_t to, const std::string& note = "b") const {
    return "U" + Big(1, 4) + "K" + Row(from, "") + "N" + Row(to, note);
  }
  std::string Truncate() const { return "T" + Big(1, 4) + std::string(1, '\0') + Big(1, 4); }

  // What comes of `messages` in a transaction that commits at `lsn`: "c5#0 u7->8#1", or the error's text.
  std::string At(uint64_t lsn, const std::vector<std::string>& messages) {
    ChangeBatch batch;
    assembler_->Reset();
    std::vector<std::string> all = {"B" + Big(lsn, 8) + Big(0, 8) + Big(1, 4), relation_};
    all.insert(all.end(), messages.begin(), messages.end());
    for (const std::string& message : all) {
      const auto outcome = assembler_->Add(message, &batch);
      if (!outcome.ok()) return outcome.status().ToString();
    }
    std::string out;
    for (const Change& change : batch.changes()) {
      absl::StrAppend(&out, out.empty() ? "" : " ", std::string(1, static_cast<char>(change.kind)));
      if (batch.has_old(change)) absl::StrAppend(&out, Key(batch.old_row(change)));
      if (batch.has_new(change)) absl::StrAppend(&out, batch.has_old(change) ? "->" : "", Key(batch.new_row(change)));
      absl::StrAppend(&out, "#", change.seq);
      last_note_ = batch.has_new(change) ? Note(batch.new_row(change)) : "";
    }
    return out;
  }
  int64_t Key(const TupleCursor& row) const {
    if (!binary_) return std::stoll(std::string(row.field().bytes));
    return static_cast<int32_t>(ReadBigEndian32(row.field().bytes.data()));
  }
  static std::string Note(TupleCursor row) {
    row.Next();
    return std::string(row.field().bytes);
  }

  BuiltinTypes source_;
  bool binary_ = false;
  std::unique_ptr<Assembler> assembler_;
  std::string relation_;
  std::string last_note_;
};

TEST_F(SkipRuleTest, Lsns) {
  const SkipRule rule("id", {-5, 10}, {Lsn{7}, Lsn{9}, Lsn{8}});
  EXPECT_EQ(rule.lowest(), Lsn{7});
  EXPECT_EQ(rule.highest(), Lsn{9});
  EXPECT_TRUE(rule.Skips(INT64_MIN, Lsn{6}));
  EXPECT_FALSE(rule.Skips(-6, Lsn{7}));
  EXPECT_TRUE(rule.Skips(-5, Lsn{8}));
  EXPECT_TRUE(rule.Skips(9, Lsn{8}));
  EXPECT_FALSE(rule.Skips(10, Lsn{8}));
  EXPECT_FALSE(rule.Skips(INT64_MAX, Lsn{8}));
  EXPECT_FALSE(SkipRule().Skips(1, Lsn{1}));
  EXPECT_TRUE(SkipRule(Lsn{2}).Skips(1, Lsn{1}));
}

TEST_F(SkipRuleTest, TheKeyDecidesAndOrdinalsCountAll) {
  for (const bool binary : {false, true}) {
    Use(binary, nullptr);
    for (const std::string op : {"c", "d"}) {
      std::vector<std::string> three;
      for (const int64_t id : {99, 100, 200}) three.push_back(op == "c" ? Insert(id) : Delete(id));
      EXPECT_EQ(At(199, three), "");
      EXPECT_EQ(At(200, three), op + "99#0");
      EXPECT_EQ(At(350, three), op + "99#0 " + op + "200#2");
      EXPECT_EQ(At(400, three), op + "99#0 " + op + "100#1 " + op + "200#2");
    }
    EXPECT_EQ(At(250, {Update(-1), Update(150), Update(250)}), "u-1#0");
    EXPECT_EQ(At(350, {Update(150), Update(250)}), "u250#1");
  }
}

TEST_F(SkipRuleTest, MovesWithinAndBetweenParts) {
  for (const bool binary : {false, true}) {
    Use(binary, nullptr);
    EXPECT_EQ(At(250, {Move(1, 2), Move(101, 102)}), "u1->2#0");
    EXPECT_EQ(At(250, {Move(101, 5)}), "c5#0");       // from a part that has lost the row already
    EXPECT_EQ(At(250, {Move(5, 101)}), "d5#0");       // into one that has it already
    EXPECT_EQ(At(250, {Move(101, 201)}), "");         // between two that show it
    EXPECT_EQ(At(350, {Move(1, 201)}), "u1->201#0");  // between two that do not
    EXPECT_EQ(At(400, {Move(101, 5)}), "u101->5#0");
    EXPECT_EQ(At(199, {Move(101, 5)}), "");
  }
}

TEST_F(SkipRuleTest, IdentityFull) {
  Use(false, nullptr, 'f');
  const auto full = [&](int64_t from, int64_t to) {
    return "U" + Big(1, 4) + "O" + Row(from, "long") + "N" + Row(to, kAbsent);
  };
  EXPECT_EQ(At(250, {full(101, 5)}), "c5#0");
  EXPECT_EQ(last_note_, "long");
  EXPECT_EQ(At(250, {full(5, 5), full(101, 101), full(5, 101)}), "u5->5#0 d5#2");
}

TEST_F(SkipRuleTest, AMovedRowMustBeWhole) {
  const std::string error = At(250, {Move(101, 5, kAbsent)});
  EXPECT_TRUE(absl::StartsWith(error, "FAILED_PRECONDITION: table public.t: ")) << error;
  EXPECT_TRUE(absl::StrContains(error, "column note")) << error;
  EXPECT_TRUE(absl::StrContains(error, "wallaby-worker -flow-id f -mode backfill -tables public.t")) << error;
  // Only there.
  EXPECT_EQ(At(250, {Move(1, 5, kAbsent), Update(5, kAbsent), Move(5, 101, kAbsent)}), "u1->5#0 u5#1 d5#2");
  Filler filler;
  Use(false, &filler);
  EXPECT_EQ(At(250, {Move(101, 5, kAbsent)}), "c5#0");
  EXPECT_EQ(last_note_, "filled");
}

TEST_F(SkipRuleTest, Truncate) {
  EXPECT_EQ(At(199, {Truncate(), Insert(1)}), "");
  EXPECT_EQ(At(400, {Truncate()}), "t#0");
  for (const uint64_t between : {200, 399}) {
    const std::string error = At(between, {Truncate()});
    EXPECT_TRUE(absl::StartsWith(error, "FAILED_PRECONDITION: table public.t: ")) << error;
    EXPECT_TRUE(absl::StrContains(error, "-mode backfill -tables public.t")) << error;
  }
}

TEST_F(SkipRuleTest, AnotherKeyThen) {
  Use(false, nullptr, 'd', "number");
  EXPECT_EQ(At(199, {Insert(1)}), "");
  EXPECT_EQ(At(400, {Insert(1)}), "c1#0");
  EXPECT_TRUE(absl::StartsWith(At(250, {Insert(1)}), "FAILED_PRECONDITION: table public.t: "));
}

}  // namespace
}  // namespace wallaby::pgoutput
