#include "destination/mapped_destination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "destination/mapping_options.h"
#include "destination/registry.h"

namespace wallaby {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint32_t kInt8 = 20, kText = 25;

// What reaches the destination behind the mapping, in words.
std::vector<std::string>& Calls() {
  static auto* calls = new std::vector<std::string>;
  return *calls;
}
std::map<std::string, std::string>& OptionsBehind() {
  static auto* options = new std::map<std::string, std::string>;
  return *options;
}

std::string Columns(const Relation& relation) {
  return absl::StrCat(relation.QualifiedName(), "(",
                      absl::StrJoin(relation.columns, ",", [](std::string* out, const Column& c) { *out += c.name; }),
                      ")");
}

class Recorder : public Destination {
 public:
  Capabilities capabilities() const override { return {.resets_parts = true}; }
  absl::StatusOr<Progress> Open() override { return Progress{.commit = Lsn{5}}; }
  absl::Status CheckTable(const Relation& relation) override { return Note("check ", Columns(relation)); }
  absl::Status CheckPresent(const Relation& relation) override { return Note("present ", Columns(relation)); }
  absl::Status Write(const ChangeBatch& batch) override {
    std::string text;
    for (const Change& change : batch.changes()) absl::StrAppend(&text, " ", Columns(batch.relation(change)));
    last_ = &batch;
    return Note("write", text + (batch.continues() ? " ..." : ""));
  }
  absl::Status Commit(const CommitPoint&) override { return Note("commit", ""); }
  absl::Status Tend() override { return Note("tend", ""); }
  absl::Status ResetSnapshot(const Relation& relation, std::string_view prefix) override {
    return Note("reset ", absl::StrCat(Columns(relation), " ", prefix));
  }
  absl::Status ResetPart(const Relation& relation, std::string_view, const KeyRange& range) override {
    return Note("reset part ", absl::StrCat(relation.QualifiedName(), " ", range.column));
  }
  std::vector<std::string> DdlStatements(const SchemaChange& change) const override {
    return {"follow " + change.Table()};
  }
  absl::Status ApplyDdl(const SchemaChange& change) override { return Note("follow ", change.Table()); }
  absl::Status Resend(const PushRequest& request) override { return Note("resend ", request.key); }

  static const ChangeBatch* last_;

 private:
  static absl::Status Note(std::string_view what, const std::string& of) {
    Calls().push_back(absl::StrCat(what, of));
    return absl::OkStatus();
  }
};
const ChangeBatch* Recorder::last_ = nullptr;

RelationPtr Orders(uint32_t oid = 1, const std::string& name = "orders") {
  auto relation = std::make_shared<Relation>();
  relation->oid = oid;
  relation->schema = "public";
  relation->name = name;
  relation->columns = {{"id", BuiltinType(kInt8, -1), true}, {"note", BuiltinType(kText, -1)}};
  relation->key = {0};
  return relation;
}

ChangeBatch Insert(const RelationPtr& relation) {
  ChangeBatch batch;
  batch.AddTransaction({.commit = Lsn{10}, .end = Lsn{11}});
  Change change;
  change.relation = batch.AddRelation(relation);
  std::string tuple;
  TupleBuilder row(&tuple, 2);
  row.Text("1");
  row.Text("n");
  change.new_row = batch.AddRow(tuple);
  batch.AddChange(change);
  return batch;
}

class MappedDestinationTest : public testing::Test {
 protected:
  MappedDestinationTest() {
    Calls().clear();
    for (const char* type : {"null", "postgres"}) {
      RegisterDestination(
          type, +[](const DestinationConfig& config, std::unique_ptr<Destination>* out) {
            OptionsBehind() = config.options;
            *out = std::make_unique<Recorder>();
            return absl::OkStatus();
          });
    }
  }

  absl::StatusOr<std::unique_ptr<Destination>> TryMake(std::map<std::string, std::string> options,
                                                       const std::string& type = "null") {
    config_.name = "d";
    config_.options = std::move(options);
    return MakeDestination(type, config_);
  }
  std::unique_ptr<Destination> Make(const std::string& mapping, std::map<std::string, std::string> options = {}) {
    options["mapping"] = mapping;
    auto made = TryMake(std::move(options));
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : nullptr;
  }
  std::string Refusal(std::map<std::string, std::string> options, const std::string& type = "null") {
    const auto made = TryMake(std::move(options), type);
    return made.ok() ? "no error" : std::string(made.status().message());
  }

  DestinationConfig config_;
};

TEST_F(MappedDestinationTest, EveryCallIsMapped) {
  const auto destination = Make("tables: {public.orders: {to: lake.o, columns: {id: {to: key}, note: {to: text}}}}",
                                {{"schema", "elsewhere"}, {"type_mappings", "json=text"}});
  EXPECT_THAT(OptionsBehind(), IsEmpty());
  EXPECT_EQ(destination->Open()->commit, Lsn{5});
  ASSERT_TRUE(destination->CheckTable(*Orders()).ok());
  ASSERT_TRUE(destination->CheckPresent(*Orders()).ok());
  ASSERT_TRUE(destination->Write(Insert(Orders())).ok());
  ASSERT_TRUE(destination->Commit({}).ok());
  ASSERT_TRUE(destination->Tend().ok());
  ASSERT_TRUE(destination->ResetSnapshot(*Orders(), "public.orders/").ok());
  ASSERT_TRUE(destination->ResetPart(*Orders(), "p", {.column = "id"}).ok());
  ASSERT_TRUE(destination->CheckTable(*Orders(2, "others")).ok());
  ASSERT_TRUE(destination->Resend({.key = "k"}).ok());
  EXPECT_THAT(Calls(), ElementsAre("check lake.o(key,text)", "present lake.o(key,text)", "write lake.o(key,text)",
                                   "commit", "tend", "reset lake.o(key,text) public.orders/", "reset part lake.o key",
                                   "check elsewhere.others(id,note)", "resend k"));
}

TEST_F(MappedDestinationTest, OwnColumnsNeedNotBeThere) {
  const auto destination = Make("metadata: [lsn]", {{"soft_delete", "true"}});
  ASSERT_TRUE(destination->CheckTable(*Orders()).ok());
  ASSERT_TRUE(destination->CheckPresent(*Orders()).ok());
  EXPECT_THAT(Calls(), ElementsAre("check public.orders(id,note,_wallaby_deleted,_wallaby_deleted_at,_wallaby_lsn)",
                                   "present public.orders(id,note)"));
  Relation bare = *Orders();
  bare.columns.clear();
  ASSERT_TRUE(Make("tables: {public.orders: {to: o, only: [id, note]}}")->CheckPresent(bare).ok());
  EXPECT_EQ(Calls().back(), "present public.o()");
}

TEST_F(MappedDestinationTest, WhatNothingMapsIsNotCopied) {
  const auto destination = Make("tables: {public.orders: {drop: true}}");
  const ChangeBatch batch = Insert(Orders(2, "others"));
  ASSERT_TRUE(destination->Write(batch).ok());
  EXPECT_EQ(Recorder::last_, &batch);
}

TEST_F(MappedDestinationTest, WhatIsLeftOutIsNotThere) {
  const auto destination = Make("tables: {public.orders: {drop: true}}");
  ASSERT_TRUE(destination->CheckTable(*Orders()).ok());
  ASSERT_TRUE(destination->CheckPresent(*Orders()).ok());
  ASSERT_TRUE(destination->Write(Insert(Orders())).ok());
  ASSERT_TRUE(destination->ResetSnapshot(*Orders(), "").ok());
  TableShape shape{.relation = *Orders(), .details = std::vector<ColumnDetail>(2)};
  const SchemaChange drop = CompareShapes(&shape, nullptr);
  EXPECT_THAT(destination->DdlStatements(drop), ElementsAre("-- nothing: the mapping leaves it out"));
  ASSERT_TRUE(destination->ApplyDdl(drop).ok());
  EXPECT_THAT(Calls(), IsEmpty());
}

TEST_F(MappedDestinationTest, TheEndOfATransactionThatHasBegunIsWritten) {
  const auto destination = Make("tables: {public.orders: {drop: true}}");
  ChangeBatch first = Insert(Orders(2, "others"));
  first.set_continues(true);
  ASSERT_TRUE(destination->Write(first).ok());
  ASSERT_TRUE(destination->Write(Insert(Orders())).ok());
  ASSERT_TRUE(destination->Write(Insert(Orders())).ok());
  EXPECT_THAT(Calls(), ElementsAre("write public.others(id,note) ...", "write"));
}

TEST_F(MappedDestinationTest, TwoTablesUnderOneName) {
  const auto destination = Make("tables: {public.others: {to: orders}}");
  ASSERT_TRUE(destination->CheckTable(*Orders()).ok());
  EXPECT_THAT(std::string(destination->CheckTable(*Orders(2, "others")).message()),
              HasSubstr("tables public.orders and public.others would both be public.orders at the destination"));
}

TEST_F(MappedDestinationTest, ARenameThatWouldShowWhatIsHidden) {
  const auto destination = Make("tables: {'public.*': {columns: {note: {mask: redact}}}}");
  ASSERT_TRUE(destination->CheckTable(*Orders()).ok());
  auto renamed = std::make_shared<Relation>(*Orders());
  renamed->columns[1].name = "text";
  EXPECT_THAT(std::string(destination->Write(Insert(renamed)).message()),
              HasSubstr("may be the same under another name"));
  EXPECT_FALSE(destination->capabilities().resets_parts);
  EXPECT_TRUE(Make("tables: {public.orders: {to: o}}")->capabilities().resets_parts);
}

TEST_F(MappedDestinationTest, DdlThatCannotBeFollowed) {
  const auto destination = Make("tables: {public.orders: {rows: \"note = 'x'\"}}");
  TableShape before{.relation = *Orders(), .details = {{.attnum = 1}, {.attnum = 2}}};
  TableShape after = before;
  after.relation.columns.pop_back();
  after.details.pop_back();
  const SchemaChange change = CompareShapes(&before, &after);
  EXPECT_THAT(
      destination->DdlStatements(change),
      ElementsAre(HasSubstr("-- cannot be followed: mapping of table public.orders: rows: there is no column note")));
  EXPECT_FALSE(destination->ApplyDdl(change).ok());
}

TEST_F(MappedDestinationTest, Options) {
  EXPECT_THAT(Refusal({{"mapping", "tables: ["}}),
              HasSubstr("option mapping of destination 'd': not valid YAML at line 1"));
  EXPECT_THAT(Refusal({{"mapping_file", "/etc/passwd"}}), HasSubstr("wallaby-admin reads the file"));
  const std::string hash = "tables: {public.orders: {columns: {note: {mask: hash}}}}";
  EXPECT_THAT(Refusal({{"mapping", hash}}), HasSubstr("option mask_secret of destination 'd' is missing"));
  EXPECT_THAT(Refusal({{"mapping", hash}, {"mask_secret", "short"}}), HasSubstr("at least 16 characters"));
  EXPECT_EQ(Refusal({{"mapping", hash}, {"mask_secret", "0123456789abcdef"}}), "no error");
  EXPECT_EQ(Refusal({{"soft_delete", "true"}}), "no error");
  EXPECT_THAT(Refusal({{"soft_delete", "perhaps"}}), HasSubstr("option soft_delete"));
  EXPECT_THAT(Refusal({{"dsn", "x"}, {"soft_delete", "true"}, {"write_mode", "append"}}, "postgres"),
              HasSubstr("every delete is kept anyway"));
  EXPECT_EQ(Refusal({{"type_mappings", "numeric=numeric(20,4),public.orders.id=text"}}), "no error");
  EXPECT_THAT(Refusal({{"type_mappings", "numeric=real"}}), HasSubstr("got 'real'; allowed: text, integer"));
}

TEST_F(MappedDestinationTest, TypesThatOnlyTheMappingKnows) {
  ASSERT_TRUE(TryMake({{"type_mappings", "json=text"}}).ok());
  EXPECT_EQ(OptionsBehind().size(), 1u);  // the destination's own
  auto made = TryMake({{"type_mappings", "bigint=numeric(20)"}});
  ASSERT_TRUE(made.ok());
  EXPECT_THAT(OptionsBehind(), IsEmpty());
  ASSERT_TRUE((*made)->Write(Insert(Orders())).ok());
  EXPECT_EQ(Recorder::last_->relations()[0]->columns[0].type.sql_name, "numeric(20,0)");
}

TEST_F(MappedDestinationTest, ChecksAgainstTheSource) {
  config_.name = "d";
  config_.options["mapping"] = R"(
tables:
  public.orders: {columns: {nope: {mask: redact}}, rows: "note > 'x'"}
  public.typo: {drop: true}
  "public.o*": {columns: {nothing: {mask: redact}}}
  "audit.*": {drop: true}
)";
  std::vector<std::string> problems;
  for (const absl::Status& status : CheckMapping("null", config_, {*Orders(), *Orders(2, "others")})) {
    problems.emplace_back(status.message());
  }
  EXPECT_THAT(problems,
              ElementsAre(HasSubstr("mapping of table public.orders: the table has no column nope"),
                          HasSubstr("no published table that follows the rule 'public.o*' has a column nothing"),
                          HasSubstr("no published table follows the rule 'public.typo'")));
  config_.options.clear();
  EXPECT_TRUE(CheckMapping("null", config_, {*Orders()}).empty());
}

}  // namespace
}  // namespace wallaby
