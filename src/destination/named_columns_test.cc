#include "destination/named_columns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wallaby {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Relation Table(const std::string& name, std::vector<std::string> columns) {
  Relation relation;
  relation.schema = "shop";
  relation.name = name;
  for (std::string& column : columns) relation.columns.push_back({std::move(column), BuiltinType(1700, -1), false});
  return relation;
}

class NamedColumnsTest : public testing::Test {
 protected:
  std::vector<std::string> Problems(const std::string& type, std::map<std::string, std::string> options) {
    std::vector<std::string> texts;
    for (const absl::Status& problem : CheckNamedColumns(type, Config(std::move(options)), tables_)) {
      texts.emplace_back(problem.message());
    }
    return texts;
  }
  static DestinationConfig Config(std::map<std::string, std::string> options) {
    return {.flow_id = "f", .name = "d", .options = std::move(options)};
  }
  std::vector<Relation> tables_ = {Table("orders", {"id", "total"}), Table("lines", {"id", "placed"})};
};

TEST_F(NamedColumnsTest, PartitionBy) {
  EXPECT_THAT(Problems("parquet", {{"path", "/p"}, {"partition_by", "placed:day, id"}}), IsEmpty());
  EXPECT_THAT(Problems("parquet", {{"path", "/p"}, {"partition_by", "nosuch:day,id"}}),
              ElementsAre("option partition_by of destination 'd': no table of the flow has a column nosuch"));
  // As the mapping calls it.
  const std::string mapping = "tables: {shop.orders: {columns: {total: {to: sum}}}}";
  EXPECT_THAT(Problems("parquet", {{"path", "/p"}, {"partition_by", "sum"}, {"mapping", mapping}}), IsEmpty());
  EXPECT_THAT(Problems("parquet", {{"path", "/p"}, {"partition_by", "total"}, {"mapping", mapping}}),
              ElementsAre(HasSubstr("has a column total")));
  tables_.clear();
  EXPECT_THAT(Problems("parquet", {{"path", "/p"}, {"partition_by", "nosuch"}}), IsEmpty()) << "they may come";
}

TEST_F(NamedColumnsTest, TypeMappings) {
  const auto mappings = [](const std::string& text) {
    return std::map<std::string, std::string>{{"url", "http://h/"}, {"type_mappings", text}};
  };
  EXPECT_THAT(Problems("http", mappings("shop.orders.totl=text,shop.lines.placed=text,shop.later.x=text")),
              ElementsAre("option type_mappings of destination 'd': table shop.orders has no column totl; columns: id, "
                          "total"));
  EXPECT_THAT(Problems("http", mappings("numerik=text")), IsEmpty()) << "the source knows its types";
  EXPECT_THAT(
      NamedTypes("http", Config(mappings("numerik=text,numeric=text,mood=text,shop.orders.totl=text")), tables_),
      ElementsAre("mood", "numerik"));
  EXPECT_TRUE(NamesColumns("http", Config(mappings("numeric=text"))));
  EXPECT_FALSE(NamesColumns("http", Config({{"url", "http://h/"}})));
}

}  // namespace
}  // namespace wallaby
