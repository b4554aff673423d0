#include "mapping/batch_mapper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mapping/test_rows.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::Not;

class BatchMapperTest : public testing::Test {
 protected:
  // The mapping's text for public.orders.
  void Use(const std::string& rule, const std::string& rest = "") {
    auto mapping = ParseMapping(absl::StrCat("tables: {public.orders: ", rule, "}\n", rest), "mapping");
    ASSERT_TRUE(mapping.ok()) << mapping.status();
    setup_.mapping = *std::move(mapping);
    setup_.hash = std::make_shared<KeyedHash>("a secret of 16 characters");
  }

  // What the batch becomes, or the error.
  std::string Map(TestBatch& batch) {
    std::vector<TableMapping> tables;
    for (const RelationPtr& relation : batch.batch().relations()) {
      auto table = CompileTableMapping(setup_, relation);
      if (!table.ok()) return std::string(table.status().message());
      tables.push_back(*std::move(table));
    }
    std::vector<const TableMapping*> pointers;
    for (const TableMapping& table : tables) pointers.push_back(&table);
    target_ = tables[0].target;
    const absl::Status status = BatchMapper(setup_.hash).Map(batch.batch(), pointers, &out_);
    return status.ok() ? Show(out_) : std::string(status.message());
  }

  std::string CompileError(RelationPtr relation) {
    const auto table = CompileTableMapping(setup_, std::move(relation));
    return table.ok() ? "no error" : std::string(table.status().message());
  }

  std::string Columns() const {
    std::string out;
    for (const Column& column : target_->columns) {
      absl::StrAppend(&out, out.empty() ? "" : ",", column.name, ":", column.type.sql_name);
    }
    return out;
  }

  MappingSetup setup_;
  RelationPtr target_;
  ChangeBatch out_;
};

RelationPtr Orders(ReplicaIdentity identity = ReplicaIdentity::kDefault) {
  return TestRelation({{"id", kInt8Oid}, {"region"}, {"note"}}, 1, identity);
}

std::string Hashed(const std::string& text) {
  std::string hex;
  KeyedHash("a secret of 16 characters").AppendHex(text, &hex);
  return hex;
}

// ---- columns ----

TEST_F(BatchMapperTest, NamesTypesAndColumnsThatAreLeftOut) {
  Use("{to: sales.o2, columns: {note: {to: comment}, region: {drop: true}, id: {type: 'numeric(20)'}}}");
  EXPECT_EQ(Map(TestBatch(Orders()).Insert({"1", "eu", "a"}).Update({"1", "us", kAbsent}).Delete({"1", {}, {}})),
            "c(1,a) u(1,?) d[1,null]key");
  EXPECT_EQ(Columns(), "id:numeric(20,0),comment:text");
  EXPECT_EQ(target_->QualifiedName(), "sales.o2");
  EXPECT_EQ(target_->key, std::vector<int>{0});
}

TEST_F(BatchMapperTest, OnlyNamesDifferAndRowsAreCopiedWhole) {
  Use("{columns: {note: {to: comment}}}");
  EXPECT_EQ(Map(TestBatch(Orders()).Insert({"1", "eu", "a"}).UpdateKey({"1", {}, {}}, {"2", "eu", kAbsent})),
            "c(1,eu,a) u[1,null,null]key(2,eu,?)");
}

TEST_F(BatchMapperTest, MaskedValuesAreNowhere) {
  Use("{columns: {id: {mask: hash}, region: {mask: redact, with: x}, note: {mask: null}}}");
  const std::string one = Hashed("1"), two = Hashed("2");
  EXPECT_EQ(Map(TestBatch(Orders(ReplicaIdentity::kFull))
                    .Insert({"1", "eu", "secret"})
                    .UpdateFull({"1", "eu", "secret"}, {"2", kAbsent, kAbsent})
                    .Delete({"2", std::nullopt, "secret"}, /*key=*/false)),
            absl::StrCat("c(", one, ",x,null) u[", one, ",x,null](", two, ",x,null) d[", two, ",x,null]"));
  EXPECT_EQ(Columns(), "id:text,region:text,note:text");
  // What is no value stays none.
  Use("{columns: {note: {mask: hash}}}");
  EXPECT_EQ(Map(TestBatch(Orders()).Insert({"1", "eu", std::nullopt}).Update({"1", "eu", kAbsent})),
            "c(1,eu,null) u(1,eu,?)");
}

TEST_F(BatchMapperTest, AHashIsTheSameInBothFormsAndForEqualNumbers) {
  Use("{columns: {note: {mask: hash}, region: {mask: hash}}}");
  auto relation = TestRelation({{"id", kInt8Oid}, {"region", kInt4Oid}, {"note", kInt8Oid}});
  TestBatch batch(relation);
  std::string tuple;
  TupleBuilder row(&tuple, 3);
  row.Text("1");
  row.Text("7");
  row.Binary(std::string_view("\0\0\0\0\0\0\0\7", 8));
  Change change;
  change.new_row = batch.batch().AddRow(tuple);
  batch.batch().AddChange(change);
  EXPECT_EQ(Map(batch), absl::StrCat("c(1,", Hashed("7"), ",", Hashed("7"), ")"));
}

TEST_F(BatchMapperTest, WhatDoesNotFitATypeIsAnErrorWithoutTheValue) {
  Use("{columns: {region: {type: 'numeric(4,2)'}}}");
  const auto relation = TestRelation({{"id", kInt8Oid}, {"region", kNumericOid}, {"note"}});
  EXPECT_EQ(Map(TestBatch(relation).Insert({"1", "12.5", ""})), "c(1,12.5,)");
  for (const char* value : {"123.4567", "100", "0.001", "NaN"}) {
    const std::string error = Map(TestBatch(relation).Insert({"1", value, ""}));
    EXPECT_THAT(error, HasSubstr("mapping of table public.orders, change at 0/64"));
    EXPECT_THAT(error, HasSubstr("column region: a value of type numeric does not fit numeric(4,2)"));
    EXPECT_THAT(error, Not(HasSubstr(value)));
  }
}

TEST_F(BatchMapperTest, MetadataAndTablesThatAreLeftOut) {
  Use("{}", "metadata: {op: op, lsn: lsn, seq: seq, commit_time: at, schema: s, table: t}");
  EXPECT_EQ(
      Map(TestBatch(Orders()).Insert({"1", "eu", "a"}).UpdateKey({"1", {}, {}}, {"2", "eu", "a"})),
      "c(1,eu,a,2024-05-01 12:34:56.789012+00,100,c,public,0,orders) "
      "u[1,null,null,null,null,null,null,null,null]key(2,eu,a,2024-05-01 12:34:56.789012+00,100,u,public,1,orders)");
  Use("{drop: true}");
  TestBatch both(Orders());
  both.Insert({"1", "eu", "a"}).Use(TestRelation({{"id"}}, 1, ReplicaIdentity::kDefault, "others")).Insert({"5"});
  EXPECT_EQ(Map(both), "c(5)");
  EXPECT_EQ(out_.transactions().size(), 1u);
}

TEST_F(BatchMapperTest, WhatCannotBe) {
  Use("{columns: {id: {drop: true}}}");
  EXPECT_THAT(CompileError(Orders()),
              HasSubstr("public.orders: column id: it identifies the row and cannot be left out"));
  Use("{only: [note]}");
  EXPECT_THAT(CompileError(Orders()), HasSubstr("column id: it identifies the row"));
  Use("{columns: {id: {mask: redact}}}");
  EXPECT_THAT(CompileError(Orders()), HasSubstr("the only mask that keeps rows apart is hash"));
}

TEST_F(BatchMapperTest, NamesThatMeet) {
  Use("{columns: {note: {to: region}}}");
  EXPECT_THAT(CompileError(Orders()), HasSubstr("two columns would be called region"));
  Use("{columns: {note: {to: region}, region: {to: note}}}");
  EXPECT_EQ(Map(TestBatch(Orders()).Insert({"1", "eu", "a"})), "c(1,eu,a)");
  EXPECT_EQ(Columns(), "id:bigint,note:text,region:text");
  Use("{}", "metadata: {op: note}");
  EXPECT_THAT(CompileError(Orders()), HasSubstr("two columns would be called note"));
  Use("{}", "metadata: [lsn]");
  setup_.keeps = Keeps::kLog;
  EXPECT_THAT(CompileError(Orders()), HasSubstr("a destination that keeps every change has _wallaby_lsn already"));
}

TEST_F(BatchMapperTest, ColumnsThatTheTableDoesNotHave) {
  Use("{columns: {nope: {mask: hash}, note: {to: n}}, only: [id, note, nothing, nope]}");
  EXPECT_THAT(CompileError(Orders()), HasSubstr("the table has no column nope, nothing; columns: id, region, note"));
  Use("{columns: {region: {type: bigint}}}");
  EXPECT_THAT(CompileError(Orders()), HasSubstr("column region: a column of type text cannot become bigint"));
}

TEST_F(BatchMapperTest, EveryMistakeInOneTableIsNamed) {
  Use("{rows: nosuch > 1, columns: {nope: {to: n}, id: {drop: true}, region: {type: bigint}}}");
  const std::string error = CompileError(Orders());
  EXPECT_THAT(error, HasSubstr("the table has no column nope"));
  EXPECT_THAT(error, HasSubstr("; mapping of table public.orders: column id: it identifies the row"));
  EXPECT_THAT(error, HasSubstr("column region: a column of type text cannot become bigint"));
  EXPECT_THAT(error, HasSubstr("rows: "));
  EXPECT_THAT(error, HasSubstr("nosuch"));
}

// ---- rows ----

TEST_F(BatchMapperTest, FilterWhereTheOldRowIsKnown) {
  Use("{rows: \"region = 'eu'\"}");
  const RelationPtr full = Orders(ReplicaIdentity::kFull);
  EXPECT_EQ(
      Map(TestBatch(full).Insert({"1", "eu", "a"}).Insert({"2", "us", "a"}).Read({"3", {}, "a"}).Read({"4", "eu", {}})),
      "c(1,eu,a) r(4,eu,null)");
  EXPECT_EQ(Map(TestBatch(full).UpdateFull({"1", "eu", "a"}, {"1", "eu", "b"})), "u[1,eu,a](1,eu,b)");
  EXPECT_EQ(Map(TestBatch(full).UpdateFull({"1", "eu", "a"}, {"1", "us", "b"})), "d[1,eu,a]");
  EXPECT_EQ(Map(TestBatch(full).UpdateFull({"1", "us", "a"}, {"1", "eu", "b"})), "c(1,eu,b)");
  EXPECT_EQ(Map(TestBatch(full).UpdateFull({"1", "us", "a"}, {"1", {}, "b"})), "");
  EXPECT_EQ(Map(TestBatch(full).Delete({"1", "eu", "a"}, false).Delete({"2", "us", "a"}, false)), "d[1,eu,a]");
  EXPECT_EQ(Map(TestBatch(full).Truncate()), "t");
  // What was not sent, the old row has.
  EXPECT_EQ(Map(TestBatch(full).UpdateFull({"1", "eu", "a"}, {"1", kAbsent, "b"})), "u[1,eu,a](1,?,b)");
  EXPECT_EQ(Map(TestBatch(full).UpdateFull({"1", "us", "large"}, {"1", "eu", kAbsent})), "c(1,eu,large)");
}

TEST_F(BatchMapperTest, FilterOnTheKey) {
  Use("{rows: id < 10}");
  setup_.keeps = Keeps::kLog;
  EXPECT_EQ(Map(TestBatch(Orders()).Update({"1", "eu", "b"}).Update({"11", "eu", "b"})), "u(1,eu,b)");
  EXPECT_EQ(Map(TestBatch(Orders()).UpdateKey({"1", {}, {}}, {"11", "eu", "b"})), "d[1,null,null]key");
  EXPECT_EQ(Map(TestBatch(Orders()).UpdateKey({"11", {}, {}}, {"1", "eu", "b"})), "c(1,eu,b)");
  EXPECT_EQ(Map(TestBatch(Orders()).UpdateKey({"2", {}, {}}, {"1", "eu", "b"})), "u[2,null,null]key(1,eu,b)");
  EXPECT_EQ(Map(TestBatch(Orders()).Delete({"1", {}, {}}).Delete({"11", {}, {}})), "d[1,null,null]key");
}

TEST_F(BatchMapperTest, FilterWhereOnlyTheNewRowIsKnown) {
  Use("{rows: \"region = 'eu'\", columns: {note: {drop: true}}}");
  EXPECT_EQ(Map(TestBatch(Orders()).Update({"1", "eu", "b"})), "u(1,eu)");
  EXPECT_EQ(Map(TestBatch(Orders()).Update({"1", "us", "b"})), "d[1,null]key");
  EXPECT_EQ(Map(TestBatch(Orders()).UpdateKey({"1", {}, {}}, {"2", "us", "b"})), "d[1,null]key");
  EXPECT_EQ(Map(TestBatch(Orders()).UpdateKey({"1", {}, {}}, {"2", "eu", "b"})), "u[1,null]key(2,eu)");
  EXPECT_EQ(Map(TestBatch(Orders()).Delete({"1", {}, {}})), "d[1,null]key");
  EXPECT_THAT(Map(TestBatch(Orders()).Update({"1", kAbsent, "b"})),
              HasSubstr("the row filter looks at column region, whose unchanged TOASTed value was not sent; set "
                        "toast_fetch=source, or ALTER TABLE public.orders REPLICA IDENTITY FULL"));
  // The nulls of an old key are no values of the other columns.
  EXPECT_THAT(Map(TestBatch(Orders()).UpdateKey({"1", {}, {}}, {"2", kAbsent, "b"})), HasSubstr("was not sent"));
}

TEST_F(BatchMapperTest, FilterOfALogNeedsTheOldRow) {
  Use("{rows: \"region = 'eu'\"}");
  for (const Keeps keeps : {Keeps::kLog, Keeps::kMessages}) {
    setup_.keeps = keeps;
    EXPECT_THAT(CompileError(Orders()), HasSubstr("rows: column region is no part of the replica identity"));
    EXPECT_EQ(CompileError(Orders(ReplicaIdentity::kFull)), "no error");
  }
  setup_.keeps = Keeps::kRows;
  EXPECT_EQ(CompileError(Orders()), "no error");
  Use("{rows: \"region = 'eu'\", soft_delete: true}");
  EXPECT_THAT(CompileError(Orders()), HasSubstr("which soft_delete needs"));
}

// ---- soft delete ----

TEST_F(BatchMapperTest, SoftDeleteMarksTheRow) {
  Use("{}", "soft_delete: true\nmetadata: {op: op}");
  const std::string at = "2024-05-01 12:34:56.789012+00";
  EXPECT_EQ(Map(TestBatch(Orders()).Insert({"1", "eu", "a"}).Delete({"1", {}, {}}).Update({"2", "eu", kAbsent})),
            absl::StrCat("c(1,eu,a,f,null,c) u(1,?,?,t,", at, ",d) u(2,eu,?,f,null,u)"));
  EXPECT_EQ(
      Columns(),
      "id:bigint,region:text,note:text,_wallaby_deleted:boolean,_wallaby_deleted_at:timestamp with time zone,op:text");
  EXPECT_THAT(Map(TestBatch(Orders()).Truncate()), HasSubstr("truncate: empty"));
  Use("{truncate: ignore}", "soft_delete: true");
  EXPECT_EQ(Map(TestBatch(Orders()).Truncate()), "");
  Use("{truncate: empty}", "soft_delete: true");
  EXPECT_EQ(Map(TestBatch(Orders()).Truncate()), "t");
}

TEST_F(BatchMapperTest, SoftDeleteWhereItCannotBe) {
  Use("{}", "soft_delete: true");
  EXPECT_THAT(CompileError(TestRelation({{"id"}}, 0)), HasSubstr("soft_delete needs a key"));
  Use("{soft_delete: false}", "soft_delete: true");
  EXPECT_EQ(CompileError(TestRelation({{"id"}}, 0)), "no error");
  Use("{}", "metadata: [lsn]");
  EXPECT_THAT(CompileError(TestRelation({{"id"}}, 0)), HasSubstr("metadata needs a key"));
}

TEST_F(BatchMapperTest, NothingToDoIsTheRelationItself) {
  Use("{}");
  const RelationPtr relation = Orders();
  const auto table = CompileTableMapping(setup_, relation);
  ASSERT_TRUE(table.ok());
  EXPECT_TRUE(table->passes());
  Use("{to: orders, columns: {note: {to: note}, region: {type: text}}}");
  EXPECT_TRUE(CompileTableMapping(setup_, relation)->passes());
}

}  // namespace
}  // namespace wallaby
