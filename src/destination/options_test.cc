#include "destination/options.h"

#include <cstdio>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wallaby {
namespace {

using ::testing::HasSubstr;
using Map = std::map<std::string, std::string>;

DestinationConfig Config(Map options) {
  DestinationConfig config;
  config.name = "lake";
  config.options = std::move(options);
  return config;
}

absl::Status Parse(std::string_view type, Map options) {
  return ParseTableOptions(type, Config(std::move(options))).status();
}

TEST(Options, Defaults) {
  auto options = ParseTableOptions("duckdb", Config({{"dsn", "a.db"}}));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->write_mode, WriteMode::kTarget);
  EXPECT_EQ(options->meta_schema, "wallaby");
  EXPECT_EQ(options->meta_table, "progress");
  Relation relation;
  relation.schema = "shop";
  relation.name = "orders";
  EXPECT_EQ(options->TargetSchema(relation), "shop");
  EXPECT_EQ(options->TargetTable(relation), "orders");
  options->schema = "main";
  options->table = "o";
  EXPECT_EQ(options->TargetSchema(relation), "main");
  EXPECT_EQ(options->TargetTable(relation), "o");
}

TEST(Options, RefusalsShowNoSecret) {
  const auto refused = [](std::string_view type, Map options) {
    const absl::Status status = Parse(type, std::move(options));
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), ::testing::Not(HasSubstr("SECRET"))) << type;
    return std::string(status.message());
  };
  EXPECT_THAT(refused("http", {{"url", "http://u:SECRETPW@127.0.0.1:1/SECRETPATH?access_token=SECRETTOK"}}),
              HasSubstr("a user and password belong into headers"));
  refused("http", {{"url", "hook.example/services/SECRETPATH"}});
  EXPECT_THAT(refused("s3", {{"bucket", "b"}, {"endpoint", "https://AK:SECRETJ@s3.example"}}),
              HasSubstr("got 'https://AK:******@s3.example'"));
  refused("s3", {{"bucket", "b"}, {"endpoint", "https:/AK:SECRETJ@s3.example"}});
  refused("gcs", {{"bucket", "b"}, {"endpoint", "https://AK:SECRETJ@gcs.example?sig=SECRET"}});
  refused("azure", {{"container", "c"}, {"account", "a"}, {"endpoint", "https://AK:SECRETJ@azure.example"}});
  refused("grpc", {{"endpoint", "https://u:SECRET@h:1"}});
  refused("kafka", {{"brokers", "h:1"}, {"claim_check_bucket", "b"}, {"claim_check_endpoint", "https://u:SECRET@h"}});
  refused("duckdb", {{"dsn", ":memory:?motherduck_token=SECRET"}});
}

TEST(Options, AUrlMayBeAReference) {
  EXPECT_EQ(Parse("http", {{"url", "env:HOOK"}}), absl::OkStatus());
  EXPECT_EQ(Parse("http", {{"url", "file:/run/hook"}}), absl::OkStatus());
}

TEST(Options, RefusalNamesOptionAndWhatIsAllowed) {
  EXPECT_EQ(Parse("duckdb", {{"dsn", "a"}, {"write_mode", "merge"}}).message(),
            "option write_mode of destination 'lake': got 'merge'; allowed: target or append");
  const absl::Status unknown = Parse("duckdb", {{"dsn", "a"}, {"writemode", "target"}});
  EXPECT_TRUE(absl::IsInvalidArgument(unknown));
  EXPECT_THAT(unknown.message(), HasSubstr("option writemode of destination 'lake' does not exist"));
  EXPECT_THAT(unknown.message(), HasSubstr("write_mode"));
  EXPECT_THAT(Parse("duckdb", {}).message(), HasSubstr("option dsn"));
  EXPECT_THAT(Parse("duckdb", {{"dsn", ":memory:"}}).message(), HasSubstr("not outlive"));
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("duckdb", {{"dsn", "a"}, {"threads", "0"}})));
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("duckdb", {{"dsn", "a"}, {"memory_limit", "1MB"}})));
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("duckdb", {{"dsn", "a"}, {"format", "xml"}})));
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("parquet", {})));
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("parquet", {{"path", "a"}, {"bucket", "b"}})));
  EXPECT_TRUE(Parse("parquet", {{"path", "a"}}).ok());
  EXPECT_TRUE(Parse("s3", {{"bucket", "b"}}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("s3", {})));
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("s3", {{"bucket", "b"}, {"use_fips", "perhaps"}})));
}

TEST(Options, WhatABucketNeedsIsCheckedBeforeAWorkerStarts) {
  const std::pair<Map, const char*> cases[] = {
      {{{"access_key", "a"}}, "option secret_key of destination 'lake': is missing"},
      {{{"secret_key", "geheim"}}, "option access_key of destination 'lake': is missing"},
      {{{"session_token", "geheim"}}, "option session_token"},
      {{{"bucket", "b/lake"}}, "option prefix"},
      {{{"prefix", "/lake"}}, "like lake/orders"},
      {{{"endpoint", "http://h:9000/lake"}}, "without a path"},
      {{{"endpoint", "s3://h"}}, "without a path"},
      {{{"endpoint", "http://h"}, {"use_fips", "true"}}, "endpoint says which host"},
      {{{"use_dualstack", "maybe"}}, "true or false"},
      {{{"write_mode", "target"}}, "allowed: append"},
      {{{"bucket", ""}, {"path", "/lake"}, {"access_key", "a"}}, "it goes with bucket"},
      {{{"bucket", ""}, {"path", "s3://b/lake"}}, "a local folder"},
  };
  for (const char* type : {"s3", "parquet"}) {
    for (const auto& [options, words] : cases) {
      Map all = options;
      all.emplace("bucket", "b");
      const absl::Status status = Parse(type, all);
      EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
      EXPECT_THAT(std::string(status.message()), testing::AllOf(HasSubstr(words), testing::Not(HasSubstr("geheim"))));
    }
  }
  for (const Map& fine :
       {Map{{"access_key", "a"}, {"secret_key", "file:/run/key"}, {"session_token", "env:TOKEN"}},
        Map{{"endpoint", "http://minio:9000/"}}, Map{{"endpoint", "minio:9000"}, {"prefix", "a/b"}}}) {
    Map all = fine;
    all.emplace("bucket", "b");
    EXPECT_TRUE(Parse("s3", all).ok()) << Parse("s3", all);
  }
}

TEST(Options, SecretsDoNotAppearInErrors) {
  const absl::Status status = Parse("postgres", {{"dsn", "postgres://u:geheim@h/d"}, {"nope", "1"}});
  EXPECT_THAT(std::string(status.message()), testing::Not(HasSubstr("geheim")));
}

TEST(Options, ChoicesOfTheContractThatAreNotCarriedOutAreRefusedInWords) {
  const Map fine = {{"dsn", "a"},           {"batch_mode", "target"},       {"batch_resolution", "none"},
                    {"soft_delete", "off"}, {"meta_table_enabled", "true"}, {"staging_table", ""}};
  EXPECT_TRUE(Parse("postgres", fine).ok());
  const Map refused = {{"batch_mode", "staging"},
                       {"batch_resolution", "append"},
                       {"meta_table_enabled", "false"},
                       {"staging_schema", "s"},
                       {"staging_suffix", "_s"}};
  for (const auto& [name, value] : refused) {
    const absl::Status status = Parse("postgres", {{"dsn", "a"}, {name, value}});
    EXPECT_TRUE(absl::IsUnimplemented(status)) << name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not implemented yet"));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("postgres", {{"dsn", "a"}, {"batch_mode", "x"}})));
  EXPECT_TRUE(absl::IsInvalidArgument(Parse("postgres", {{"dsn", "a"}, {"soft_delete", "x"}})));
}

TEST(Options, TypesThatDoNotExist) {
  EXPECT_TRUE(absl::IsNotFound(DestinationOptions("mysql").status()));
  const absl::Status snowflake = DestinationOptions("snowflake").status();
  EXPECT_TRUE(absl::IsUnimplemented(snowflake));
  EXPECT_THAT(std::string(snowflake.message()), HasSubstr("duckdb, parquet, postgres, null"));
}

TEST(Options, TypeMappings) {
  const std::string path = testing::TempDir() + "/mappings.txt";
  std::ofstream(path) << "# carried as text\nuuid=text\n\n public.a=b.c = text \n";
  auto options = ParseTableOptions("postgres", Config({{"dsn", "d"},
                                                       {"type_mappings", "numeric=text, public.orders.total=text"},
                                                       {"type_mappings_file", path}}));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->type_mappings.size(), 4u);
  EXPECT_TRUE(options->type_mappings.contains("public.a=b.c"));

  Relation relation;
  relation.schema = "public";
  relation.name = "orders";
  auto mapped = [&](std::string name, uint32_t oid, int32_t typmod = -1) {
    return options->MappedType(relation, Column{std::move(name), BuiltinType(oid, typmod), false});
  };
  const PgType price = mapped("price", 1700, ((10 << 16) | 2) + 4);
  EXPECT_EQ(price.logical, LogicalType::kText);
  EXPECT_EQ(price.sql_name, "text");
  EXPECT_EQ(price.oid, 1700u);
  EXPECT_EQ(mapped("id", 2950).logical, LogicalType::kText);
  EXPECT_EQ(mapped("total", 23).logical, LogicalType::kText);
  EXPECT_EQ(mapped("count", 23).logical, LogicalType::kInt32);
}

TEST(Options, TypeMappingsRefused) {
  for (const char* bad : {"numeric=double", "numeric", "=text"}) {
    const absl::Status status = Parse("duckdb", {{"dsn", "a"}, {"type_mappings", bad}});
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("option type_mappings"));
  }
  EXPECT_THAT(std::string(Parse("duckdb", {{"dsn", "a"}, {"type_mappings_file", "/nowhere"}}).message()),
              HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace wallaby
