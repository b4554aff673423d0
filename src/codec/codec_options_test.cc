#include "codec/codec_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wallaby {
namespace {

using testing::HasSubstr;
using Options = std::map<std::string, std::string>;

absl::StatusOr<CodecConfig> Parse(const Options& options, WireFormat otherwise = WireFormat::kJson) {
  return ParseCodecOptions(options, otherwise, " of destination 'd'");
}

TEST(CodecOptionsTest, Defaults) {
  const auto config = Parse({{"brokers", "not ours"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->codec.format, WireFormat::kJson);
  EXPECT_EQ(config->codec.json_envelope, JsonEnvelope::kWallaby);
  EXPECT_EQ(config->registry.kind, "none");
}

TEST(CodecOptionsTest, All) {
  const auto json = Parse({{"format", "json"}, {"json_envelope", "debezium"}, {"json_schemas", "true"}});
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->codec.json_envelope, JsonEnvelope::kDebezium);
  EXPECT_TRUE(json->codec.json_schemas);
  const auto avro = Parse({{"format", "avro"},
                           {"schema_registry", "csr"},
                           {"schema_registry_url", "http://r"},
                           {"schema_registry_username", "u"},
                           {"schema_registry_password", "p"},
                           {"schema_registry_token", "t"},
                           {"schema_registry_dsn", "d"},
                           {"schema_registry_subject", "s"},
                           {"schema_registry_subject_mode", "topic_record"}});
  ASSERT_TRUE(avro.ok()) << avro.status();
  EXPECT_EQ(avro->registry.url, "http://r");
  EXPECT_EQ(avro->registry.password, "p");
  EXPECT_EQ(avro->registry.dsn, "d");
  EXPECT_EQ(avro->codec.subjects.fixed, "s");
  EXPECT_EQ(avro->codec.subjects.mode, SubjectMode::kTopicRecord);
}

TEST(CodecOptionsTest, Refusals) {
  const std::pair<Options, const char*> kCases[] = {
      {{{"format", "xml"}},
       "option format of destination 'd': got 'xml'; allowed: arrow, parquet, avro, proto or json"},
      {{{"json_envelope", "cloudevents"}}, "allowed: wallaby or debezium"},
      {{{"json_schemas", "maybe"}, {"json_envelope", "debezium"}}, "true or false"},
      {{{"json_schemas", "true"}}, "goes with json_envelope debezium"},
      {{{"format", "avro"}, {"json_envelope", "debezium"}}, "the format is avro"},
      {{{"format", "parquet"}, {"compression", "brotli"}}, "none, snappy, gzip, zstd or lz4"},
      {{{"schema_registry", "csr"}}, "the format is json"},
      {{{"format", "avro"}, {"schema_registry_url", "http://r"}}, "no schema_registry"},
      {{{"format", "avro"},
        {"schema_registry", "csr"},
        {"schema_registry_url", "http://r"},
        {"schema_registry_subject_mode", "x"}},
       "topic, record"},
      {{{"format", "avro"}, {"schema_registry", "csr"}},
       "option schema_registry of destination 'd': schema_registry_url must be"},
      {{{"format", "avro"}, {"schema_registry", "apicurio"}, {"schema_registry_url", "r:8080"}}, "must be http://"},
      {{{"format", "proto"}, {"schema_registry", "csr"}, {"schema_registry_url", "http://u:hush@r"}},
       "holds a user; put it into schema_registry_username"},
      {{{"format", "avro"}, {"schema_registry", "local"}}, "it names a folder"},
      {{{"format", "avro"}, {"schema_registry", "postgres"}}, "schema_registry_dsn is missing"},
      {{{"format", "avro"}, {"schema_registry", "karapace"}}, "got 'karapace'"}};
  for (const auto& [options, words] : kCases) {
    const absl::Status status = Parse(options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }
}

}  // namespace
}  // namespace wallaby
