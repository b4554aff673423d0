// Random changes under a mapping: the table equals a view over the same changes unmapped. WALLABY_SEED repeats a run.
#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "destination/destination.h"
#include "destination/postgres/test_batches.h"
#include "destination/registry.h"
#include "destination/test_random_changes.h"

namespace wallaby {
namespace {

constexpr char kSecret[] = "a secret of 16 characters";

class PostgresMapping : public DestinationTest {
 protected:
  PostgresMapping() { RegisterDestination("postgres", MakePostgresDestination); }

  // Behind its mapping, in schema "mapped".
  std::unique_ptr<Destination> MakeMapped(const std::string& mapping, std::map<std::string, std::string> options = {}) {
    options.insert({{"dsn", dsn_}, {"schema", "mapped"}, {"mapping", mapping}, {"mask_secret", kSecret}});
    auto made = MakeDestination("postgres", {.flow_id = "flow", .name = "mapped", .options = options, .generation = 1});
    EXPECT_TRUE(made.ok()) << made.status();
    EXPECT_TRUE((*made)->Open().ok());
    return *std::move(made);
  }

  void SameAsView(ReplicaIdentity identity) {
    const uint32_t seed = TestSeed();
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomItems source(seed, identity);
    const auto plain = MakeOpen({{"schema", "plain"}});
    const auto mapped = MakeMapped(absl::StrCat(
        "tables: {public.items: {to: mapped.shown, rows: \"", RandomItems::kFilter,
        "\", columns: {id: {type: text}, region: {mask: hash}, note: {to: comment}, n: {type: bigint}}}}"));
    ASSERT_TRUE(sql_->Execute("CREATE EXTENSION IF NOT EXISTS pgcrypto").ok());
    for (int i = 0; i < 40; ++i) {
      const ChangeBatch batch = source.Next();
      DeliverBatch(*plain, batch);
      DeliverBatch(*mapped, batch);
      if (HasFatalFailure()) return;
      // The first row that passes makes the table.
      if (MustQuery(*sql_, "SELECT to_regclass('mapped.shown')").empty()) continue;
      ASSERT_EQ(Rows("mapped.shown", "id, region, n, comment"),
                Rows("(SELECT id::text, encode(hmac(region, 'a secret of 16 characters', 'sha256'), 'hex') AS region, "
                     "n::bigint,"
                     " note AS comment FROM plain.items WHERE " +
                     std::string(RandomItems::kFilter) + ")"));
    }
  }
};

TEST_F(PostgresMapping, RandomChangesWithOldKeys) {
  SameAsView(ReplicaIdentity::kDefault);
}

TEST_F(PostgresMapping, RandomChangesWithOldRows) {
  SameAsView(ReplicaIdentity::kFull);
}

TEST_F(PostgresMapping, SoftDeletedRowsStayAsTheyWere) {
  const uint32_t seed = TestSeed();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  RandomItems source(seed, ReplicaIdentity::kDefault);
  const auto plain = MakeOpen({{"schema", "plain"}});
  const auto mapped = MakeMapped("tables: {public.items: {truncate: empty}}", {{"soft_delete", "true"}});
  for (int i = 0; i < 40; ++i) {
    const ChangeBatch batch = source.Next();
    DeliverBatch(*plain, batch);
    DeliverBatch(*mapped, batch);
    if (HasFatalFailure()) return;
    ASSERT_EQ(Rows("(SELECT id, region, n, note FROM mapped.items WHERE NOT _wallaby_deleted)"), Rows("plain.items"));
    ASSERT_EQ(
        MustQuery(*sql_,
                  "SELECT count(*) FROM mapped.items WHERE _wallaby_deleted <> (_wallaby_deleted_at IS NOT NULL)"),
        "0");
  }
}

TEST_F(PostgresMapping, ADeletedRowComesBack) {
  const auto mapped = MakeMapped("{}", {{"soft_delete", "true"}});
  const auto items = MakeRelation("items", {{"id", kInt8, true}, {"note"}});
  ASSERT_TRUE(Deliver(*mapped, TestBatch(100).Insert(items, {"1", "one"}).Insert(items, {"2", "two"})).ok());
  ASSERT_TRUE(Deliver(*mapped, TestBatch(200).Delete(items, {"1", {}})).ok());
  EXPECT_EQ(Rows("mapped.items", "id, note, _wallaby_deleted, extract(epoch FROM _wallaby_deleted_at)::bigint"),
            "1,one,t,1700000000;2,two,f,null;");
  ASSERT_TRUE(Deliver(*mapped, TestBatch(300).Insert(items, {"1", "again"})).ok());
  EXPECT_EQ(Rows("mapped.items", "id, note, _wallaby_deleted, _wallaby_deleted_at"), "1,again,f,null;2,two,f,null;");
  EXPECT_THAT(std::string(Deliver(*mapped, TestBatch(400).Truncate(items)).message()),
              testing::HasSubstr("truncate: empty"));
}

}  // namespace
}  // namespace wallaby
