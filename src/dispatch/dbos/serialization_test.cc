#include "dispatch/dbos/serialization.h"

#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

TEST(DbosSerializationTest, InputsOfEveryClient) {
  const std::string object = R"({"flow_id":"shop","generation":7,"max_empty_reads":1})";
  const std::vector<std::pair<std::string, std::string>> forms = {
      {"portable_json", R"({"positionalArgs":[)" + object + R"(],"namedArgs":{}})"},
      {"portable_json", R"({"positionalArgs":["shop",7,1],"namedArgs":{}})"},
      {"portable_json", R"({"positionalArgs":["shop"],"namedArgs":{"generation":7,"max_empty_reads":1}})"},
      {"portable_json", R"({"positionalArgs":null,"namedArgs":)" + object + "}"},
      {"DBOS_JSON", absl::Base64Escape(object)},
      {"js_superjson", R"({"json":["shop",7,1],"__dbos_serializer":"superjson"})"},
      {"js_superjson", R"({"json":[)" + object + R"(]})"},
      {"", object},
      {"", absl::Base64Escape(object)},
      {"", R"({"args":["shop"],"kwargs":{"generation":"7","max_empty_reads":1}})"},
      {"", R"({"json":["shop",7,1],"__dbos_serializer":"superjson"})"},
  };
  for (const auto& [serialization, text] : forms) {
    const auto input = ParseRunFlowInput(serialization, text);
    ASSERT_TRUE(input.ok()) << text << ": " << input.status();
    EXPECT_EQ(input->flow_id, "shop") << text;
    EXPECT_EQ(input->generation, 7) << text;
    EXPECT_EQ(input->max_empty_reads, 1) << text;
  }
}

TEST(DbosSerializationTest, WhatIsWrittenIsReadAgain) {
  const auto input = ParseRunFlowInput(kPortableJson, PortableInput({"a\"b", 3, 0}));
  ASSERT_TRUE(input.ok()) << input.status();
  EXPECT_EQ(input->flow_id, "a\"b");
  EXPECT_EQ(input->generation, 3);
  EXPECT_EQ(PortableText("ok"), "\"ok\"");
  EXPECT_EQ(PortableError("E", "what\n"), R"({"message":"what\n","name":"E"})");
}

TEST(DbosSerializationTest, RefusalsSayWhatToDo) {
  const std::vector<std::array<std::string, 3>> bad = {
      {"py_pickle", "gASVBgAAAAAAAACMAmZmlC4=", "format py_pickle; enqueue it with portable JSON"},
      {"DBOS_GOB", "xx", "format DBOS_GOB"},
      {"portable_json", "{bad", "portable_json"},
      {"", "}{", "neither JSON nor base64"},
      {"", "", "names no flow"},
      {"DBOS_JSON", "__DBOS_NIL", "names no flow"},
      {"portable_json", R"({"positionalArgs":[],"namedArgs":{}})", "names no flow"},
      {"portable_json", R"({"positionalArgs":[5]})", "flow_id is 5"},
      {"portable_json", R"({"positionalArgs":["f",-1]})", "generation is -1"},
      {"portable_json", R"({"positionalArgs":["f",1,"many"]})", "max_empty_reads is \"many\""},
  };
  for (const auto& [serialization, text, says] : bad) {
    const auto input = ParseRunFlowInput(serialization, text);
    ASSERT_FALSE(input.ok()) << text;
    EXPECT_THAT(std::string(input.status().message()), HasSubstr(says));
  }
}

}  // namespace
}  // namespace wallaby
