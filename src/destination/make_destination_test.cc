#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "destination/destination.h"
#include "destination/registry.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;

DestinationConfig Config(std::map<std::string, std::string> options) {
  DestinationConfig config;
  config.name = "d";
  config.options = std::move(options);
  return config;
}

TEST(MakeDestination, MissingModuleNamesTheFileAndTheBuildOption) {
  setenv("WALLABY_MODULE_DIR", "/nowhere", 1);
  const absl::Status status = MakeDestination("duckdb", Config({{"dsn", "a"}})).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/duckdb.so"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("WALLABY_WITH_DUCKDB"));
  unsetenv("WALLABY_MODULE_DIR");
}

TEST(MakeDestination, ChecksOptionsBeforeItLooksForTheModule) {
  const absl::Status status = MakeDestination("duckdb", Config({})).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
}

TEST(MakeDestination, RegisteredTypesNeedNoModule) {
  static int calls = 0;
  RegisterDestination(
      "postgres", +[](const DestinationConfig&, std::unique_ptr<Destination>*) {
        ++calls;
        return absl::OkStatus();
      });
  EXPECT_TRUE(MakeDestination("postgres", Config({{"dsn", "a"}})).ok());
  EXPECT_EQ(calls, 1);
}

TEST(MakeDestination, UnknownType) {
  EXPECT_TRUE(absl::IsNotFound(MakeDestination("mysql", Config({})).status()));
}

}  // namespace
}  // namespace wallaby
