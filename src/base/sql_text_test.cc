#include "base/sql_text.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

namespace wallaby {
namespace {

TEST(SqlText, OnlyTheQuoteIsSpecial) {
  EXPECT_EQ(SqlIdentifier("orders"), R"("orders")");
  EXPECT_EQ(SqlIdentifier(R"(a"b""c)"), R"("a""b""""c")");
  EXPECT_EQ(SqlIdentifier(R"(it's \ $1; --)"), R"("it's \ $1; --")");
  EXPECT_EQ(SqlIdentifier(""), R"("")");
  EXPECT_EQ(SqlLiteral("it's"), "'it''s'");
  EXPECT_EQ(SqlLiteral("'; DROP TABLE t; --"), "'''; DROP TABLE t; --'");
  EXPECT_EQ(SqlLiteral(R"(\' "x")"), R"('\'' "x"')");
  EXPECT_EQ(SqlLiteral(""), "''");
  EXPECT_EQ(SqlTable("My\"Schema", "t"), R"("My""Schema"."t")");
}

TEST(SqlText, Appends) {
  std::string sql = "VALUES ('";
  AppendSqlQuoted("O'Brien's", &sql);
  EXPECT_EQ(sql, "VALUES ('O''Brien''s");
}

// Code that doubles quotes by itself has begun a second place. So has code that puts quotes around a value in SQL; the
// words before such a quote tell SQL from an error's text.
TEST(SqlText, IsTheOnlyPlaceThatQuotes) {
  const char* root = std::getenv("WALLABY_SOURCE_DIR");
  if (root == nullptr) GTEST_SKIP() << "WALLABY_SOURCE_DIR, which ctest sets, is not there";
  const std::regex doubles(R"re(\{"'", "''"\}|\{"\\"", "\\"\\""\})re");
  const std::regex quotes(R"re((=|IN \(|VALUES \(|LIKE|SNAPSHOT|_slot\() ?'", )re");
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(root) + "/src")) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".cc") && !path.ends_with(".h")) continue;
    if (path.ends_with("_test.cc") || path.find("/test_") != path.npos) continue;
    ++files;
    std::ifstream in(path);
    int number = 0;
    for (std::string line; std::getline(in, line);) {
      ++number;
      EXPECT_FALSE(std::regex_search(line, doubles) || std::regex_search(line, quotes))
          << path << ":" << number << " quotes by itself; base/sql_text.h does it\n"
          << line;
    }
  }
  EXPECT_GT(files, 200);
}

}  // namespace
}  // namespace wallaby
