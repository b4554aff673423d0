#include "mapping/mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mapping/mapped_type.h"
#include "mapping/test_rows.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

std::string Error(std::string_view text) {
  const auto mapping = ParseMapping(text, "mapping");
  return mapping.ok() ? "no error" : std::string(mapping.status().message());
}

TEST(MappingTest, ReadsAllOfIt) {
  const auto mapping = ParseMapping(R"yaml(
tables:
  public.orders:
    to: sales.orders_v2
    rows: total > 100 and region in ('eu','us')
    columns:
      note: {to: comment}
      email: {mask: hash}
      ssn: {mask: redact, with: gone}
      phone: {mask: null}
      secret: {drop: true}
      amount: {type: "numeric(12,2)"}
    soft_delete: false
    truncate: ignore
  "public.audit_*": {drop: true}
metadata: {lsn: source_lsn, table: source_table}
soft_delete: true
)yaml",
                                    "mapping");
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  ASSERT_EQ(mapping->tables.size(), 2u);
  const TableRule& orders = mapping->tables[1];
  EXPECT_EQ(orders.to, "sales.orders_v2");
  ASSERT_TRUE(orders.rows.has_value());
  EXPECT_EQ(orders.Find("note")->to, "comment");
  EXPECT_EQ(orders.Find("email")->mask, Mask::kHash);
  EXPECT_EQ(orders.Find("ssn")->redacted, "gone");
  EXPECT_EQ(orders.Find("phone")->mask, Mask::kNull);
  EXPECT_TRUE(orders.LeavesOut("secret"));
  EXPECT_EQ(orders.Find("amount")->type, "numeric(12,2)");
  EXPECT_EQ(orders.soft_delete, false);
  EXPECT_EQ(orders.on_truncate, OnTruncate::kIgnore);
  EXPECT_TRUE(mapping->tables[0].drop);
  ASSERT_EQ(mapping->metadata.size(), 2u);
  EXPECT_EQ(mapping->metadata[0].name, "source_lsn");
  EXPECT_TRUE(mapping->hides());
  EXPECT_TRUE(mapping->hashes());
}

TEST(MappingTest, JsonIsTheSame) {
  const auto mapping = ParseMapping(R"({"tables": {"public.t": {"only": ["id"], "columns": {"id": {"mask": "hash"}}}},
                                        "metadata": ["op", "commit_time"]})",
                                    "mapping");
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_TRUE(mapping->tables[0].LeavesOut("other"));
  EXPECT_FALSE(mapping->tables[0].LeavesOut("id"));
  EXPECT_EQ(mapping->metadata[1].name, "_wallaby_commit_time");
}

TEST(MappingTest, EveryMistakeByName) {
  EXPECT_THAT(Error("tabels: {}"), HasSubstr("mapping: line 1: tabels: unknown key 'tabels'; known here: tables"));
  EXPECT_THAT(Error("tables: [a]"), HasSubstr("tables: must be a map"));
  EXPECT_THAT(Error("tables: {orders: {}}"), HasSubstr("write a table as schema.table"));
  EXPECT_THAT(Error("tables: {a.b: {rename: c}}"), HasSubstr("tables.a.b.rename: unknown key 'rename'"));
  EXPECT_THAT(Error("tables: {a.b: {drop: true, to: c}}"), HasSubstr("drop stands alone"));
  EXPECT_THAT(Error("tables: {a.b: {drop: perhaps}}"), HasSubstr("true or false"));
  EXPECT_THAT(Error("tables: {a.b: {to: .c}}"), HasSubstr("table or schema.table"));
  EXPECT_THAT(Error("tables: {'a.*': {to: c}}"), HasSubstr("{table}"));
  EXPECT_THAT(Error("tables: {a.b: {rows: 'x ='}}"), HasSubstr("tables.a.b.rows: at character 4"));
  EXPECT_THAT(Error("tables: {a.b: {columns: {c: {mask: md5}}}}"),
              HasSubstr("tables.a.b.columns.c.mask: got 'md5'; allowed: hash, redact or null"));
  EXPECT_THAT(Error("tables: {a.b: {columns: {c: {mask: hash, with: x}}}}"), HasSubstr("mask: redact"));
  EXPECT_THAT(Error("tables: {a.b: {columns: {c: {mask: hash, type: text}}}}"), HasSubstr("leave type out"));
  EXPECT_THAT(Error("tables: {a.b: {columns: {c: {type: real}}}}"), HasSubstr("columns.c.type: got 'real'; allowed"));
  EXPECT_THAT(Error("tables: {a.b: {columns: {c: {drop: true, to: d}}}}"), HasSubstr("drop stands alone"));
  EXPECT_THAT(Error("tables: {a.b: {columns: {c: {to: ''}}}}"), HasSubstr("is empty"));
  EXPECT_THAT(Error("tables: {a.b: {only: id}}"), HasSubstr("must be a list"));
  EXPECT_THAT(Error("tables: {a.b: {only: [id], columns: {c: {to: d}}}}"), HasSubstr("leaves out column c"));
  EXPECT_THAT(Error("tables: {a.b: {truncate: drop}}"), HasSubstr("empty or ignore"));
  EXPECT_THAT(Error("metadata: [xid]"), HasSubstr("got 'xid'; allowed: op, lsn, seq, commit_time, schema, table"));
  EXPECT_THAT(Error("metadata: [op, op]"), HasSubstr("twice"));
  EXPECT_THAT(Error("metadata: op"), HasSubstr("must be a list"));
  EXPECT_THAT(Error("soft_delete: yes please"), HasSubstr("true or false"));
  EXPECT_THAT(Error("tables: {a.b: {}, a.b: {}}"), HasSubstr("twice"));
  EXPECT_THAT(Error(""), HasSubstr("empty"));
}

TEST(MappingTest, TheBestRuleCounts) {
  const auto mapping = ParseMapping(R"(
tables:
  "*": {drop: true}
  "public.*": {to: "lake.{table}"}
  "public.audit_*": {to: "audit.{table}"}
  "public.?udit_2*": {to: "x.{table}"}
  public.orders: {to: best}
)",
                                    "mapping")
                           .value();
  const auto rule = [&](const std::string& name, const std::string& schema = "public") {
    auto relation = TestRelation({{"id"}}, 1, ReplicaIdentity::kDefault, name);
    relation->schema = schema;
    const auto found = mapping.RuleOf(*relation);
    return !found.ok() ? std::string(found.status().message()) : *found == nullptr ? "none" : (*found)->tables;
  };
  EXPECT_EQ(rule("orders"), "public.orders");
  EXPECT_EQ(rule("orders2"), "public.*");
  EXPECT_EQ(rule("audit_1"), "public.audit_*");
  EXPECT_THAT(rule("audit_2"), HasSubstr("fits 'public.?udit_2*' and 'public.audit_*' equally"));
  EXPECT_EQ(rule("anything", "shop"), "*");
}

TEST(MappedTypeTest, OnlyWhatLosesNothing) {
  const auto ok = [](uint32_t from, int32_t typmod, std::string_view to) {
    return CheckMappedType(BuiltinType(from, typmod), ParseMappedType(to).value()).ok();
  };
  EXPECT_TRUE(ok(3802, -1, "text"));
  EXPECT_TRUE(ok(21, -1, "integer"));
  EXPECT_TRUE(ok(23, -1, "BIGINT"));
  EXPECT_FALSE(ok(20, -1, "integer"));
  EXPECT_TRUE(ok(1700, -1, "numeric(38,9)"));
  EXPECT_TRUE(ok(20, -1, "numeric(20)"));
  EXPECT_FALSE(ok(701, -1, "numeric(20)"));
  EXPECT_FALSE(ok(25, -1, "bigint"));
  for (const char* name : {"", "real", "numeric", "numeric(39,1)", "numeric(5,6)", "numeric(0)", "numeric(5,-1)",
                           "numeric(5,1,1)", "numeric(a)", "numeric("}) {
    EXPECT_FALSE(ParseMappedType(name).ok()) << name;
  }
}

}  // namespace
}  // namespace wallaby
