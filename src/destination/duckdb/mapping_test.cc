// Random changes under a mapping: the table equals a view over the same changes unmapped. WALLABY_SEED repeats a run.
#include "destination/duckdb/test_flow.h"
#include "destination/registry.h"
#include "destination/test_random_changes.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;

class DuckdbMapping : public DuckdbTest {
 protected:
  DuckdbMapping() {
    RegisterDestination(
        "duckdb", +[](const DestinationConfig& config, std::unique_ptr<Destination>* out) {
          auto made = DuckdbDestination::Make(config);
          if (made.ok()) *out = *std::move(made);
          return made.status();
        });
  }

  std::unique_ptr<Destination> MakeMapped(std::map<std::string, std::string> options) const {
    options.insert({{"dsn", Path()}, {"schema", "mapped"}, {"mask_secret", "a secret of 16 characters"}});
    auto made = MakeDestination("duckdb", {.flow_id = "flow", .name = "mapped", .options = options, .generation = 1});
    EXPECT_TRUE(made.ok()) << made.status();
    EXPECT_TRUE((*made)->Open().ok());
    return *std::move(made);
  }

  void SameAsView(ReplicaIdentity identity) {
    const uint32_t seed = TestSeed();
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomItems source(seed, identity);
    const auto plain = Make({{"schema", "plain"}});
    ASSERT_TRUE(plain->Open().ok());
    const auto mapped =
        MakeMapped({{"mapping", absl::StrCat("tables: {public.items: {to: mapped.shown, rows: \"", RandomItems::kFilter,
                                             "\", columns: {region: {mask: redact}, note: {to: comment}, n: {type: "
                                             "'numeric(20,2)'}}}}\nmetadata: {op: op}")}});
    for (int i = 0; i < 25; ++i) {
      const ChangeBatch batch = source.Next();
      DeliverBatch(*plain, batch);
      DeliverBatch(*mapped, batch);
      if (HasFatalFailure()) return;
    }
    EXPECT_EQ(Sql("SELECT id, region, n, comment FROM mapped.shown ORDER BY id"),
              Sql(absl::StrCat("SELECT id, '[redacted]', n::DECIMAL(20,2), note FROM plain.items WHERE ",
                               RandomItems::kFilter, " ORDER BY id")));
  }
};

TEST_F(DuckdbMapping, RandomChangesWithOldKeys) {
  SameAsView(ReplicaIdentity::kDefault);
}

TEST_F(DuckdbMapping, RandomChangesWithOldRows) {
  SameAsView(ReplicaIdentity::kFull);
}

TEST_F(DuckdbMapping, SoftDelete) {
  const auto mapped = MakeMapped({{"soft_delete", "true"}});
  const auto items = MakeRelation("items", {{"id", kInt8Oid}, {"note", kTextOid}});
  DeliverBatch(*mapped, *TestBatch(100).Insert(items, {"1", "one"}).Insert(items, {"2", "two"}));
  DeliverBatch(*mapped, *TestBatch(200).Delete(items, {"1", kNullValue}));
  const std::string rows =
      "SELECT id, note, _wallaby_deleted, epoch(_wallaby_deleted_at)::BIGINT FROM mapped.items ORDER BY id";
  EXPECT_EQ(Sql(rows), "1|one|true|1700000000\n2|two|false|null");
  DeliverBatch(
      *mapped,
      *TestBatch(300).Insert(items, {"1", "again"}).Delete(items, {"2", kNullValue}).Insert(items, {"2", "too"}));
  EXPECT_EQ(Sql(rows), "1|again|false|null\n2|too|false|null");
  EXPECT_THAT(std::string(mapped->Write(*TestBatch(400).Truncate(items)).message()), HasSubstr("truncate: empty"));
}

TEST_F(DuckdbMapping, SoftDeletedRowsStayAsTheyWere) {
  const uint32_t seed = TestSeed();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  RandomItems source(seed, ReplicaIdentity::kFull);
  const auto plain = Make({{"schema", "plain"}});
  ASSERT_TRUE(plain->Open().ok());
  const auto mapped = MakeMapped({{"soft_delete", "true"}, {"mapping", "tables: {public.items: {truncate: empty}}"}});
  for (int i = 0; i < 25; ++i) {
    const ChangeBatch batch = source.Next();
    DeliverBatch(*plain, batch);
    DeliverBatch(*mapped, batch);
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(Sql("SELECT id, region, n, note FROM mapped.items WHERE NOT _wallaby_deleted ORDER BY id"),
            Sql("SELECT id, region, n, note FROM plain.items ORDER BY id"));
}

}  // namespace
}  // namespace wallaby
