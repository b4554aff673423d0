// Progress, fencing, failures, checks, append mode and types against a real server.
#include "destination/postgres/postgres_destination.h"

#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "destination/postgres/test_batches.h"

namespace wallaby {
namespace {

const RelationPtr kTable = MakeRelation("t", {{"id", kInt4, true}, {"name", kTextOid}});

class PostgresDestinationTest : public DestinationTest {};

// ---- progress ----

TEST_F(PostgresDestinationTest, ProgressIsKeptWithTheRows) {
  {
    auto destination = Make();
    auto progress = destination->Open();
    ASSERT_TRUE(progress.ok()) << progress.status();
    EXPECT_FALSE(progress->commit.valid());
    ASSERT_TRUE(destination->Write(TestBatch(0x10000000A).Insert(kTable, {"1", "a"}).get()).ok());
    ASSERT_TRUE(
        destination->Commit({.commit = Lsn{0x10000000A}, .end = Lsn{0x10000000B}, .finished_parts = {"public.t/0:"}})
            .ok());
    // A commit of nothing leaves the position as it is.
    ASSERT_TRUE(destination->Commit({}).ok());
    ASSERT_TRUE(destination->Commit({.finished_parts = {"public.t/1:it's"}}).ok());
  }
  auto destination = Make();
  auto progress = destination->Open();
  ASSERT_TRUE(progress.ok()) << progress.status();
  EXPECT_EQ(progress->commit.ToString(), "1/A");
  EXPECT_EQ(progress->end.ToString(), "1/B");
  EXPECT_EQ(progress->snapshot_parts, (std::set<std::string>{"public.t/0:", "public.t/1:it's"}));
  EXPECT_EQ(Rows("wallaby.progress", "flow_id, destination, generation, commit_lsn, end_lsn"), "flow,copy,1,1/A,1/B;");
}

TEST_F(PostgresDestinationTest, MetaTableAndSchemaAreOptions) {
  auto destination = MakeOpen({{"meta_schema", "Meta Data"}, {"meta_table", "flows"}});
  ASSERT_TRUE(Deliver(*destination, TestBatch(10).Insert(kTable, {"1", "a"})).ok());
  EXPECT_EQ(Rows("\"Meta Data\".flows", "commit_lsn"), "0/A;");
  EXPECT_EQ(MustQuery(*sql_, "SELECT to_regnamespace('wallaby') IS NULL"), "t");
}

TEST_F(PostgresDestinationTest, WhatWasNotCommittedIsGone) {
  auto destination = MakeOpen();
  ASSERT_TRUE(Deliver(*destination, TestBatch(10).Insert(kTable, {"1", "a"})).ok());
  ASSERT_TRUE(destination->Write(TestBatch(20).Insert(kTable, {"2", "b"}).get()).ok());
  auto progress = destination->Open();
  ASSERT_TRUE(progress.ok()) << progress.status();
  EXPECT_EQ(progress->commit.value, 10u);
  EXPECT_EQ(Rows("t"), "1,a;");
}

TEST_F(PostgresDestinationTest, ResetSnapshotForgetsRowsAndParts) {
  auto destination = MakeOpen();
  ASSERT_TRUE(destination->Write(TestBatch(10).Read(kTable, {"1", "a"}).get()).ok());
  ASSERT_TRUE(destination->Commit({.finished_parts = {"public.t/0:", "public.t2/0:"}}).ok());
  ASSERT_TRUE(destination->ResetSnapshot(*kTable, "public.t/").ok());
  EXPECT_EQ(Rows("t"), "");
  auto progress = destination->Open();
  ASSERT_TRUE(progress.ok());
  EXPECT_EQ(progress->snapshot_parts, (std::set<std::string>{"public.t2/0:"}));
  ASSERT_TRUE(Deliver(*destination, TestBatch(20).Insert(kTable, {"1", "a"})).ok());
  // No such table yet: nothing to do.
  ASSERT_TRUE(destination->ResetSnapshot(*MakeRelation("other", {{"id", kInt4, true}}), "public.other/").ok());
}

// ---- fencing ----

TEST_F(PostgresDestinationTest, AnOlderWorkersOpenTransactionCannotCommit) {
  auto older = MakeOpen({}, 1);
  ASSERT_TRUE(Deliver(*older, TestBatch(10).Insert(kTable, {"1", "a"})).ok());
  TestBatch many(20);
  for (int i = 100; i < 200; ++i) many.Insert(kTable, {std::to_string(i), "old"});
  ASSERT_TRUE(older->Write(many.get()).ok());  // by COPY: at the server, and not committed
  auto newer = MakeOpen({}, 2);
  const absl::Status status = older->Commit({.commit = Lsn{20}, .end = Lsn{21}});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_TRUE(absl::StartsWith(status.message(), "fenced")) << status;
  EXPECT_EQ(Rows("t"), "1,a;");
  const auto again = older->Open();
  EXPECT_EQ(again.status().code(), absl::StatusCode::kFailedPrecondition) << again.status();
  EXPECT_TRUE(absl::StartsWith(again.status().message(), "fenced")) << again.status();
  EXPECT_TRUE(Deliver(*newer, TestBatch(20).Insert(kTable, {"2", "b"})).ok());
  EXPECT_EQ(Rows("t"), "1,a;2,b;");
}

TEST_F(PostgresDestinationTest, AnOlderWorkerCannotResetASnapshot) {
  auto older = MakeOpen({}, 1);
  ASSERT_TRUE(Deliver(*older, TestBatch(10).Insert(kTable, {"1", "a"})).ok());
  auto newer = MakeOpen({}, 2);
  EXPECT_TRUE(absl::StartsWith(older->ResetSnapshot(*kTable, "public.t/").message(), "fenced"));
  EXPECT_EQ(Rows("t"), "1,a;");
}

TEST_F(PostgresDestinationTest, TheSameGenerationEndsItsLostTransaction) {
  auto lost = MakeOpen({}, 1);
  TestBatch many(10);
  for (int i = 0; i < 100; ++i) many.Insert(kTable, {std::to_string(i), "a"});
  ASSERT_TRUE(lost->Write(many.get()).ok());  // holds locks
  auto again = MakeOpen({}, 1);
  EXPECT_TRUE(Deliver(*again, many).ok());
  EXPECT_TRUE(IsTransient(lost->Commit({.commit = Lsn{10}, .end = Lsn{11}})));
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM t"), "100");
}

// ---- failures ----

TEST_F(PostgresDestinationTest, ACutConnectionIsUnavailableAndOpensAgain) {
  auto destination = MakeOpen();
  for (const bool many : {false, true}) {
    TestBatch batch(many ? 20 : 10);
    for (int i = 0; i < (many ? 100 : 1); ++i) batch.Insert(kTable, {std::to_string(many * 1000 + i), "a"});
    ASSERT_TRUE(destination->Write(batch.get()).ok());
    MustExecute(*sql_,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wallaby destination' "
                "AND datname = current_database()");
    absl::Status status = destination->Commit({.commit = Lsn{10}, .end = Lsn{11}});
    EXPECT_TRUE(IsTransient(status)) << status;
    EXPECT_FALSE(destination->Write(batch.get()).ok());
    ASSERT_TRUE(destination->Open().ok());
    ASSERT_TRUE(Deliver(*destination, batch).ok());
  }
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM t"), "101");
}

TEST_F(PostgresDestinationTest, WrongOptionsAreNamed) {
  DestinationConfig config;
  config.name = "copy";
  std::unique_ptr<Destination> destination;
  EXPECT_TRUE(absl::StrContains(MakePostgresDestination(config, &destination).message(), "dsn"));
  config.options = {{"dsn", "postgres://u:geheim@127.0.0.1:1/x"}};
  ASSERT_TRUE(MakePostgresDestination(config, &destination).ok());
  const auto progress = destination->Open();
  EXPECT_TRUE(IsTransient(progress.status())) << progress.status();
  EXPECT_FALSE(absl::StrContains(progress.status().message(), "geheim")) << progress.status();
}

// ---- checks ----

TEST_F(PostgresDestinationTest, CheckTableSaysWhatIsWrongAndChangesNothing) {
  MustExecute(
      *sql_,
      "CREATE TABLE nokey (id int, name text); CREATE TABLE partial (id int, name text);"
      "CREATE UNIQUE INDEX ON partial (id) WHERE name <> '';"
      "CREATE VIEW v AS SELECT 1 AS id; CREATE TABLE good (name text, id int); CREATE UNIQUE INDEX ON good (id)");
  auto destination = MakeOpen();
  auto check = [&](const char* name) {
    return destination->CheckTable(*MakeRelation(name, {{"id", kInt4, true}, {"name"}, {"more"}}));
  };
  for (const char* name : {"nokey", "partial"}) {
    const absl::Status status = check(name);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    const std::string sql = absl::StrCat("CREATE UNIQUE INDEX ON \"public\".\"", name, "\" (\"id\")");
    EXPECT_TRUE(absl::StrContains(status.message(), sql)) << status;
    MustExecute(*sql_, sql);
    EXPECT_TRUE(check(name).ok()) << check(name);
  }
  EXPECT_TRUE(absl::StrContains(check("v").message(), "not a table"));
  EXPECT_TRUE(check("good").ok()) << check("good");
  EXPECT_TRUE(check("missing").ok());
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM pg_attribute WHERE attname = 'more'"), "0");
  auto append = MakeOpen({{"write_mode", "append"}});
  EXPECT_TRUE(
      absl::StrContains(append->CheckTable(*MakeRelation("good", {{"id", kInt4, true}})).message(), "good_id_idx"));
  EXPECT_FALSE(append->CheckTable(*MakeRelation("x", {{"_wallaby_op"}})).ok());
}

TEST_F(PostgresDestinationTest, ARoleWithTheRightsOfTheDocumentationIsEnough) {
  MustExecute(*sql_, "DROP ROLE IF EXISTS wallaby_writer");
  const std::string database = MustQuery(*sql_, "SELECT current_database()");
  MustExecute(*sql_,
              "CREATE ROLE wallaby_writer LOGIN;"
              "CREATE SCHEMA wallaby AUTHORIZATION wallaby_writer;"
              "CREATE SCHEMA shop AUTHORIZATION wallaby_writer;"
              "CREATE TABLE existing (id int PRIMARY KEY, name text);"
              "GRANT USAGE ON SCHEMA public TO wallaby_writer;"
              "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON existing TO wallaby_writer");
  auto destination = MakeOpen({{"dsn", server_->Dsn(database, "wallaby_writer")}});
  auto shop = MakeRelation("t", {{"id", kInt4, true}, {"name"}}, ReplicaIdentity::kDefault, 1, "shop");
  auto existing = MakeRelation("existing", {{"id", kInt4, true}, {"name"}});
  EXPECT_TRUE(destination->CheckTable(*shop).ok()) << destination->CheckTable(*shop);
  EXPECT_TRUE(destination->CheckTable(*existing).ok()) << destination->CheckTable(*existing);
  TestBatch many(10);
  for (int i = 0; i < 100; ++i) many.Update(shop, {std::to_string(i), "a"}).Update(existing, {std::to_string(i), "a"});
  many.Truncate(existing);
  const absl::Status status = Deliver(*destination, many);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM shop.t"), "100");

  const absl::Status schema =
      destination->CheckTable(*MakeRelation("n", {{"id", kInt4, true}}, ReplicaIdentity::kDefault, 1, "new"));
  EXPECT_EQ(schema.code(), absl::StatusCode::kPermissionDenied) << schema;
  EXPECT_TRUE(absl::StrContains(schema.message(), "GRANT CREATE ON DATABASE")) << schema;
  auto column = MakeRelation("existing", {{"id", kInt4, true}, {"more"}});
  EXPECT_EQ(destination->CheckTable(*column).code(), absl::StatusCode::kPermissionDenied);
  MustExecute(*sql_, "REVOKE DELETE ON existing FROM wallaby_writer");
  EXPECT_TRUE(absl::StrContains(destination->CheckTable(*existing).message(), "GRANT DELETE ON"));
  destination.reset();
  MustExecute(*sql_, "DROP OWNED BY wallaby_writer; DROP ROLE wallaby_writer");
}

TEST_F(PostgresDestinationTest, TriggersFireForARoleThatMayNotSilenceThem) {
  MustExecute(
      *sql_,
      "DROP ROLE IF EXISTS wallaby_plain; CREATE ROLE wallaby_plain LOGIN;"
      "CREATE SCHEMA wallaby AUTHORIZATION wallaby_plain;"
      "CREATE TABLE t (id int PRIMARY KEY, name text); ALTER TABLE t OWNER TO wallaby_plain;"
      "CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.name := 'fired'; RETURN NEW; END$$;"
      "CREATE TRIGGER mark BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION mark()");
  const std::string dsn = server_->Dsn(MustQuery(*sql_, "SELECT current_database()"), "wallaby_plain");
  auto destination = MakeOpen({{"dsn", dsn}});
  ASSERT_TRUE(Deliver(*destination, TestBatch(10).Insert(kTable, {"1", "a"})).ok());
  std::string want = "1,fired;";
  if (server_->major() >= 15) {
    MustExecute(*sql_, "GRANT SET ON PARAMETER session_replication_role TO wallaby_plain");
    ASSERT_TRUE(destination->Open().ok());
    ASSERT_TRUE(Deliver(*destination, TestBatch(20).Insert(kTable, {"2", "b"})).ok());
    want += "2,b;";
  }
  EXPECT_EQ(Rows("t"), want);
  destination.reset();
  MustExecute(*sql_, "DROP OWNED BY wallaby_plain; DROP ROLE wallaby_plain");
}

// ---- parts of a snapshot ----

TEST_F(PostgresDestinationTest, ResetPartTakesItsRowsAndNoOthers) {
  for (const char* made : {"", "CREATE TABLE t (id text PRIMARY KEY, name text)"}) {
    MustExecute(*sql_, "DROP TABLE IF EXISTS t");
    auto destination = MakeOpen();
    EXPECT_TRUE(destination->capabilities().resets_parts);
    ASSERT_TRUE(destination->ResetPart(*kTable, "t/0", {"id", {}, -5}).ok());  // before the table exists
    MustExecute(*sql_, made);
    TestBatch rows(50);
    for (const char* id : {"-9", "-5", "0", "9", "10", "11"}) rows.Read(kTable, {id, "a"});
    ASSERT_TRUE(destination->Write(rows.get()).ok());
    ASSERT_TRUE(destination->Commit({.finished_parts = {"t/0", "t/1", "t/1x", "t/2"}}).ok());
    ASSERT_TRUE(destination->ResetPart(*kTable, "t/1", {"id", -5, 10}).ok());
    EXPECT_EQ(Rows("t", "id"), "-9;10;11;");
    auto next = Make();
    EXPECT_EQ(next->Open()->snapshot_parts, (std::set<std::string>{"t/0", "t/1x", "t/2"}));
    ASSERT_TRUE(next->ResetPart(*kTable, "t/2", {"id", 10, {}}).ok());
    ASSERT_TRUE(next->ResetPart(*kTable, "t/0", {"id", {}, -9}).ok());
    EXPECT_EQ(Rows("t", "id"), "-9;");
    TestBatch again(60);
    again.Read(kTable, {"0", "b"}).Read(kTable, {"11", "b"});
    ASSERT_TRUE(Deliver(*next, again).ok());
    ASSERT_TRUE(Deliver(*next, TestBatch(70).Insert(kTable, {"-9", "c"}).Insert(kTable, {"0", "c"})).ok());
    EXPECT_EQ(Rows("t"), "-9,c;0,c;11,b;");
  }
}

TEST_F(PostgresDestinationTest, ResetPartIsFencedAndNotForAppend) {
  auto older = MakeOpen();
  auto newer = MakeOpen({}, 2);
  EXPECT_TRUE(absl::StrContains(older->ResetPart(*kTable, "t/1", {"id", 1, 2}).message(), "fenced"));
  auto append = MakeOpen({{"write_mode", "append"}}, 3);
  EXPECT_FALSE(append->capabilities().resets_parts);
  EXPECT_TRUE(absl::IsUnimplemented(append->ResetPart(*kTable, "t/1", {"id", 1, 2})));
}

// ---- append mode ----

TEST_F(PostgresDestinationTest, AppendKeepsEveryChange) {
  auto destination = MakeOpen({{"write_mode", "append"}});
  TestBatch few(10);
  few.Insert(kTable, {"1", "it's"}).Update(kTable, {"1", kAbsent}).Delete(kTable, {"1", {}}).Truncate(kTable);
  ASSERT_TRUE(Deliver(*destination, few).ok());
  EXPECT_EQ(Rows("t", "id, name, _wallaby_op, _wallaby_lsn, _wallaby_seq, _wallaby_commit_time, _wallaby_unchanged"),
            "null,null,t,10,3,2023-11-14 22:13:20.123456+00,null;1,null,d,10,2,2023-11-14 22:13:20.123456+00,null;"
            "1,null,u,10,1,2023-11-14 22:13:20.123456+00,name;1,it's,c,10,0,2023-11-14 22:13:20.123456+00,null;");
  for (const bool binary : {false, true}) {
    MustExecute(*sql_, "TRUNCATE t");
    TestBatch many(20, binary);
    for (int i = 0; i < 100; ++i) many.Update(kTable, {"7", kAbsent});
    many.Read(kTable, {"8", "r"}).Truncate(kTable);
    ASSERT_TRUE(Deliver(*destination, many).ok());
    EXPECT_EQ(Rows("(SELECT DISTINCT id, name, _wallaby_op, _wallaby_commit_time, _wallaby_unchanged FROM t)"),
              "null,null,t,2023-11-14 22:13:20.123456+00,null;7,null,u,2023-11-14 22:13:20.123456+00,name;"
              "8,r,r,2023-11-14 22:13:20.123456+00,null;");
    EXPECT_EQ(MustQuery(*sql_, "SELECT count(DISTINCT _wallaby_seq) FROM t WHERE _wallaby_lsn = 20"), "102");
  }
  ASSERT_TRUE(destination->ResetSnapshot(*kTable, "public.t/").ok());
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM t WHERE _wallaby_op = 'r'"), "0");
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM t"), "101");
}

TEST_F(PostgresDestinationTest, AppendOfAnUpdateThatChangesTheKeyIsTwoRows) {
  auto destination = MakeOpen({{"write_mode", "append"}});
  const RelationPtr keyless = MakeRelation("keyless", {{"id", kInt4}, {"name"}}, ReplicaIdentity::kFull);
  // A few rows go by a statement, many by COPY.
  for (const int fill : {0, 100}) {
    for (const bool binary : {false, true}) {
      TestBatch batch(30, binary);
      batch.Update(kTable, {"2", "b"}, {"1", {}}, /*old_is_key=*/true)
          .Update(kTable, {"2", "c"}, {"2", "b"}, /*old_is_key=*/false)
          .Update(kTable, {"3", "c"}, {"2", "c"}, /*old_is_key=*/false)
          .Update(keyless, {"1", "b"}, {"1", "a"}, /*old_is_key=*/false);
      for (int i = 0; i < fill; ++i) batch.Insert(kTable, {"9", "x"}).Insert(keyless, {"9", "x"});
      ASSERT_TRUE(Deliver(*destination, batch).ok());
      const std::string columns = "_wallaby_seq, _wallaby_op, id, name";
      EXPECT_EQ(Rows("(SELECT " + columns + " FROM t WHERE id < 9)"), "0,d,1,null;0,u,2,b;1,u,2,c;2,d,2,c;2,u,3,c;");
      EXPECT_EQ(Rows("(SELECT " + columns + " FROM keyless WHERE id < 9)"), "3,d,1,a;3,u,1,b;");
      MustExecute(*sql_, "TRUNCATE t, keyless");
    }
  }
}

// ---- types ----

struct TypeCase {
  const char* type;
  const char* literal;  // SQL of the value
};

// Binary and text form of each value as the server sends them, then written and compared at the server.
constexpr TypeCase kTypes[] = {
    {"boolean", "true"},
    {"smallint", "-32768"},
    {"bigint", "9223372036854775807"},
    {"real", "'NaN'"},
    {"double precision", "0.1::double precision + 0.2"},
    {"numeric", "'123456789012345678901234567890.000100'"},
    {"numeric(10,2)", "-12.30"},
    {"numeric", "'NaN'"},
    {"text", "E'tab\\tback\\\\slash \\\\N ''quote'' \\n'"},
    {"character varying(5)", "'ab'"},
    {"character(5)", "'ab'"},
    {"bytea", "'\\x00ff5c6e27'"},
    {"date", "'infinity'"},
    {"date", "'0044-03-15 BC'"},
    {"time without time zone", "'24:00:00'"},
    {"time with time zone", "'12:30:00.5+05:45'"},
    {"timestamp without time zone", "'2024-02-29 23:59:59.999999'"},
    {"timestamp with time zone", "'-infinity'"},
    {"interval", "'1 year -3 days 04:05:06.7'"},
    {"uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"},
    {"json", "'{\"b\": 1,  \"a\": [1, \"\\\\n\"]}'"},
    {"jsonb", "'{\"b\": 1, \"a\": 2}'"},
    {"integer[]", "'{1,NULL,3}'"},
    {"text[]", "ARRAY['a,b', NULL, '\"', '\\']"},
    {"int4range", "'[1,5)'"},
    {"inet", "'10.0.0.1/8'"},
    {"bit varying(8)", "B'1010'"},
    {"point", "'(1.5,-2)'"},
    {"money", "12.5"},
    {"tsvector", "'a:1 b:2'"},
    {"xml", "'<a>x</a>'"},
    {"pg_lsn", "'16/B374D848'"},
};

// The value of `sql` as the server sends it in the binary format, taken out of a COPY of one column.
std::string BinaryForm(PgConnection& sql, const std::string& select) {
  EXPECT_TRUE(sql.BeginCopyOut("COPY (" + select + ") TO STDOUT (FORMAT binary)").ok());
  std::string all;
  std::string_view row;
  for (auto more = sql.GetCopyRow(&row); more.ok() && *more; more = sql.GetCopyRow(&row)) all.append(row);
  return all.substr(19 + 2 + 4, ReadBigEndian32(all.data() + 21));
}

TEST_F(PostgresDestinationTest, TypesInTextAndBinaryByStatementAndCopy) {
  MustExecute(*sql_, "SET TimeZone TO 'UTC'; SET extra_float_digits TO 3; SET bytea_output TO hex");
  auto destination = MakeOpen();
  int number = 0;
  for (const TypeCase& c : kTypes) {
    SCOPED_TRACE(absl::StrCat(c.type, " ", c.literal));
    const std::string value = absl::StrCat("(", c.literal, ")::", c.type);
    MustExecute(*sql_, absl::StrCat("DROP TABLE IF EXISTS want; CREATE TABLE want (v ", c.type, ")"));
    const auto oid = static_cast<uint32_t>(std::stoul(
        MustQuery(*sql_, "SELECT atttypid FROM pg_attribute WHERE attrelid = 'want'::regclass AND attnum = 1")));
    const int typmod = std::stoi(
        MustQuery(*sql_, "SELECT atttypmod FROM pg_attribute WHERE attrelid = 'want'::regclass AND attnum = 1"));
    const std::string text = MustQuery(*sql_, "SELECT " + value);
    const PgType type = BuiltinType(oid, typmod);
    for (const bool binary : {false, true}) {
      if (binary && !type.binary) continue;
      const std::string bytes = binary ? BinaryForm(*sql_, "SELECT " + value) : text;
      for (const int rows : {1, 60}) {
        const std::string name = absl::StrCat("types", ++number);
        const RelationPtr relation = MakeRelation(name, {{"id", kInt4, true}, {"v", oid, false, typmod}});
        ChangeBatch batch;
        batch.AddTransaction({.commit = Lsn{10}, .end = Lsn{11}});
        const uint32_t index = batch.AddRelation(relation);
        for (int i = 0; i < rows; ++i) {
          std::string tuple;
          TupleBuilder builder(&tuple, 2);
          const uint32_t id = __builtin_bswap32(static_cast<uint32_t>(i));
          builder.Binary({reinterpret_cast<const char*>(&id), 4});
          binary ? builder.Binary(bytes) : builder.Text(bytes);
          Change change;
          change.kind = ChangeKind::kUpdate;  // through the stage
          change.relation = index;
          change.seq = static_cast<uint32_t>(i);
          change.new_row = batch.AddRow(tuple);
          batch.AddChange(change);
        }
        absl::Status status = destination->Write(batch);
        if (status.ok()) status = destination->Commit({.commit = Lsn{10}, .end = Lsn{11}});
        ASSERT_TRUE(status.ok()) << status;
        EXPECT_EQ(MustQuery(*sql_, absl::StrCat("SELECT count(*) FROM ", name, " WHERE v::text = (", value, ")::text")),
                  std::to_string(rows));
        EXPECT_EQ(
            MustQuery(*sql_,
                      absl::StrCat("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '", name,
                                   "'::regclass AND attname = 'v'")),
            MustQuery(*sql_,
                      "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'want'::regclass "
                      "AND attname = 'v'"));
      }
    }
  }
}

TEST_F(PostgresDestinationTest, AMappedColumnIsText) {
  auto table = MakeRelation("t", {{"id", kInt4, true}, {"n", kInt8}});
  auto destination = MakeOpen({{"type_mappings", "bigint=text"}});
  TestBatch many(10, /*binary=*/true);
  for (int i = 0; i < 100; ++i) many.Insert(table, {std::to_string(i), "-9223372036854775808"});
  ASSERT_TRUE(Deliver(*destination, many).ok());
  EXPECT_EQ(MustQuery(*sql_, "SELECT pg_typeof(n) || n FROM t LIMIT 1"), "text-9223372036854775808");
}

TEST_F(PostgresDestinationTest, SchemaAndTableAreOptions) {
  auto destination = MakeOpen({{"schema", "mirror"}, {"table", "other"}});
  ASSERT_TRUE(Deliver(*destination, TestBatch(10).Insert(kTable, {"1", "a"})).ok());
  EXPECT_EQ(Rows("mirror.other"), "1,a;");
}

}  // namespace
}  // namespace wallaby
