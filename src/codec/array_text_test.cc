#include "codec/array_text.h"

#include <gtest/gtest.h>

#include <vector>

namespace wallaby {
namespace {

std::string Elements(std::string_view array) {
  std::string scratch, out;
  const absl::Status status = ForEachElement(array, &scratch, [&](const Field& element) {
    out.append(element.is_null() ? "null" : "'" + std::string(element.bytes) + "'").push_back(' ');
    return absl::OkStatus();
  });
  return status.ok() ? out : "refused";
}

TEST(ArrayTextTest, Elements) {
  EXPECT_EQ(Elements("{}"), "");
  EXPECT_EQ(Elements("{1,NULL,3}"), "'1' null '3' ");
  EXPECT_EQ(Elements(R"({"a b","NULL","","x\"y\\z",c})"), R"('a b' 'NULL' '' 'x"y\z' 'c' )");
  EXPECT_EQ(Elements(R"({"{1,2}"})"), "'{1,2}' ");
}

TEST(ArrayTextTest, Refusals) {
  for (const char* bad : {"", "{", "}", "1", "{1", "1}", "{1,}", "{,1}", "{1,2}}", "{{1,2},{3,4}}", "[0:1]={1,2}",
                          "{\"a}", "{\"a\"b}", "{a\\}", "{}}", "{\"a\\\"}"}) {
    EXPECT_EQ(Elements(bad), "refused") << bad;
  }
}

}  // namespace
}  // namespace wallaby
