#include "codec/avro_compatibility.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

std::string Record(std::string_view fields) {
  return absl::StrCat(R"({"name":"a.b.R","type":"record","fields":[)", fields, "]}");
}
std::string Field(std::string_view name, std::string_view type, std::string_view more = "") {
  return absl::StrCat(R"({"name":")", name, R"(","type":)", type, more, "}");
}

TEST(AvroCompatibilityTest, Primitives) {
  EXPECT_TRUE(AvroCanRead("\"long\"", "\"int\"").ok());
  EXPECT_TRUE(AvroCanRead("\"double\"", "\"float\"").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(AvroCanRead("\"int\"", "\"long\"")));
  EXPECT_TRUE(AvroCanRead(R"(["null","string"])", "\"string\"").ok());
  EXPECT_TRUE(AvroCanRead(R"(["null","long"])", R"(["null","int"])").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(AvroCanRead("\"string\"", R"(["null","string"])")));
  const std::string two = R"({"type":"bytes","logicalType":"decimal","precision":10,"scale":2})";
  const std::string three = R"({"type":"bytes","logicalType":"decimal","precision":10,"scale":3})";
  EXPECT_TRUE(AvroCanRead(two, two).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(AvroCanRead(three, two)));
}

TEST(AvroCompatibilityTest, Records) {
  const std::string id = Field("id", "\"int\"");
  const std::string note = Field("note", R"(["null","string"])", ",\"default\":null");
  EXPECT_TRUE(AvroCanRead(Record(id + "," + note), Record(id)).ok());
  EXPECT_TRUE(AvroCanRead(Record(id), Record(id + "," + note)).ok());
  const absl::Status status = AvroCanRead(Record(id + "," + Field("n", "\"int\"")), Record(id));
  EXPECT_EQ(status, absl::FailedPreconditionError("at /n: a new field without a default"));
  EXPECT_TRUE(absl::IsFailedPrecondition(AvroCanRead(Record(Field("id", "\"boolean\"")), Record(id))));
}

TEST(AvroCompatibilityTest, NamesTheFieldWithinAUnion) {
  const auto envelope = [](const std::string& type) {
    return absl::StrCat(R"({"name":"E","type":"record","fields":[{"name":"before","type":["null",)",
                        Record(Field("id", "\"int\"") + "," + Field("n", type)), "]}]}");
  };
  EXPECT_EQ(AvroCanRead(envelope("\"string\""), envelope("\"int\"")).message(),
            "at /before/n: the new type string does not read the old int");
  EXPECT_EQ(AvroCanRead(R"(["null","string"])", "\"int\"").message(), "at /: none of the new types reads the old int");
}

TEST(AvroCompatibilityTest, NamesAndRecursion) {
  const std::string list = Record(Field("next", R"(["null","R"])") + "," + Field("again", R"(["null","a.b.R"])"));
  EXPECT_TRUE(AvroCanRead(list, list).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(AvroCanRead(Record(Field("x", "\"Nowhere\"")), Record(Field("x", "\"int\"")))));
  const std::string both = Record(Field("p", R"({"name":"P","type":"record","fields":[{"name":"v","type":"int"}]})") +
                                  "," + Field("q", "\"P\""));
  EXPECT_TRUE(AvroCanRead(both, both).ok());
}

TEST(AvroCompatibilityTest, Others) {
  const std::string ab = R"({"name":"E","type":"enum","symbols":["a","b"]})",
                    a = R"({"name":"E","type":"enum","symbols":["a"]})";
  EXPECT_TRUE(AvroCanRead(ab, a).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(AvroCanRead(a, ab)));
  EXPECT_TRUE(AvroCanRead(R"({"type":"array","items":"long"})", R"({"type":"array","items":"int"})").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(
      AvroCanRead(R"({"type":"map","values":"int"})", R"({"type":"map","values":"string"})")));
  for (const char* bad : {"", "{", "{}", "7", R"({"type":"record"})", R"({"type":"array"})", R"({"type":{}})", "[7]"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(AvroCanRead(bad, "\"int\""))) << bad;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(AvroCanRead(std::string(2000, '['), "\"int\"")));
}

}  // namespace
}  // namespace wallaby
