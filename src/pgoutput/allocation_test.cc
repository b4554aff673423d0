// The decoder allocates for batches, and nothing for each change, transaction or value.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "pgoutput/assembler.h"
#include "pgoutput/test_bytes.h"
#include "test/support/counting_allocator.h"

namespace wallaby::pgoutput {
namespace {

constexpr int kChanges = 10'000;
constexpr int kTransactionChanges = 10;
// For memory that grows by doubling: the arena, the changes, the transactions.
constexpr int64_t kDoublings = 6;
// Longer than what a std::string holds without memory of its own.
constexpr char kLong[] = "a value that is longer than a short string";

// Carries relations without their last column.
class Watch : public SchemaWatch {
 public:
  absl::StatusOr<Verdict> OnRelation(const Transaction&, const Relation& announced, HasRows,
                                     RelationEdit* edit) override {
    edit->carried = announced;
    edit->carried->columns.pop_back();
    edit->columns = {0, 1};
    return Verdict::kCarry;
  }
  absl::StatusOr<Verdict> OnMessage(const Transaction&, std::string_view, std::string_view, HasRows) override {
    return Verdict::kCarry;
  }
};

// Fills every absent value.
class Filler : public AbsentFiller {
 public:
  void Remember(const Relation&, std::string_view, bool) override {}
  absl::StatusOr<bool> Fill(const Relation&, std::string_view row, std::string* out) override {
    TupleCursor fields(row.data());
    TupleBuilder builder(out, fields.count());
    for (; !fields.done(); fields.Next())
      fields.field().is_absent() ? builder.Text(kLong) : builder.Add(fields.field());
    return true;
  }
};

class AllocationTest : public testing::Test {
 protected:
  static std::string Announce(char identity) {
    std::string message = "R" + Big(1, 4) + Zero("public") + Zero("t") + identity + Big(3, 2);
    message += "\1" + Zero("id") + Big(20, 4) + Big(~uint64_t{0}, 4);
    for (const char* name : {"note", "more"}) {
      message += std::string(1, identity == 'f' ? '\1' : '\0') + Zero(name) + Big(25, 4) + Big(~uint64_t{0}, 4);
    }
    return message;
  }
  static std::string Row(int64_t id, bool absent) {
    std::string out;
    TupleBuilder row(&out, 3);
    row.Text(absl::StrCat(id));
    absent ? row.Unchanged() : row.Text(kLong);
    row.Text(kLong);
    return out;
  }
  static std::string Key(int64_t id) {
    std::string out;
    TupleBuilder row(&out, 3);
    row.Text(absl::StrCat(id));
    row.Null();
    row.Null();
    return out;
  }

  // Insert, update, update of the key, delete, in turn.
  static std::vector<std::string> KeyedChanges(bool absent = false) {
    const std::string oid = Big(1, 4);
    return {"I" + oid + "N" + Row(1, false), "U" + oid + "N" + Row(1, absent),
            "U" + oid + "K" + Key(1) + "N" + Row(2, absent), "D" + oid + "K" + Key(2)};
  }

  // What `changes` more allocations are for kChanges more of these changes.
  int64_t More(const std::vector<std::string>& changes, AbsentFiller* filler, SchemaWatch* watch,
               Assembler::Options options = {}, char identity = 'd') {
    BuiltinTypes source;
    Assembler assembler(&source, filler, watch, std::move(options));
    const std::string begin = "B" + Big(100, 8) + Big(0, 8) + Big(1, 4);
    const std::string commit = std::string("C\0", 2) + Big(100, 8) + Big(148, 8) + Big(0, 8);
    ChangeBatch relations;
    const auto add = [&](const std::string& message, ChangeBatch* batch) {
      const auto outcome = assembler.Add(message, batch);
      ASSERT_TRUE(outcome.ok()) << outcome.status();
    };
    add(Announce(identity), &relations);
    return AllocationsForTwice(kChanges, [&](int count) {
      ChangeBatch batch;
      for (int i = 0; i < count; ++i) {
        if (i % kTransactionChanges == 0) add(begin, &batch);
        add(changes[i % changes.size()], &batch);
        if (i % kTransactionChanges == kTransactionChanges - 1) add(commit, &batch);
      }
    });
  }
};

TEST_F(AllocationTest, Counts) {
  std::vector<std::string> strings;
  strings.reserve(2);
  EXPECT_EQ(AllocationsOf([&] { strings.emplace_back(kLong); }), 1);
  EXPECT_EQ(AllocationsOf([&] { strings.emplace_back("short"); }), 0);
}

TEST_F(AllocationTest, Changes) {
  EXPECT_LE(More(KeyedChanges(), nullptr, nullptr), kDoublings);
}

TEST_F(AllocationTest, AbsentValues) {
  EXPECT_LE(More(KeyedChanges(true), nullptr, nullptr), kDoublings);
}

TEST_F(AllocationTest, AbsentValuesThatAreFilled) {
  Filler filler;
  EXPECT_LE(More(KeyedChanges(true), &filler, nullptr), kDoublings);
}

TEST_F(AllocationTest, IdentityFull) {
  const std::string update = "U" + Big(1, 4) + "O" + Row(1, false) + "N" + Row(1, true);
  EXPECT_LE(More({update}, nullptr, nullptr, {}, 'f'), kDoublings);
}

TEST_F(AllocationTest, RowsInAnotherShape) {
  Watch watch;
  EXPECT_LE(More(KeyedChanges(), nullptr, &watch), kDoublings);
}

TEST_F(AllocationTest, PartsOfASnapshot) {
  Assembler::Options options;
  options.skip_below["public.t"] = SkipRule("id", {2}, {Lsn{100}, Lsn{200}});
  EXPECT_LE(More(KeyedChanges(), nullptr, nullptr, options), kDoublings);
}

}  // namespace
}  // namespace wallaby::pgoutput
