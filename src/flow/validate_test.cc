#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "flow/flow.h"

namespace wallaby {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Flow Good() {
  Flow flow;
  flow.id = "shop-1.eu_west";
  flow.name = "Shop";
  flow.source = {"shop", "postgres", {{"dsn", "postgres://u:hunter2@h/db"}, {"slot", "shop"}, {"publication", "shop"}}};
  flow.destinations = {{"copy", "postgres", {{"dsn", "host=h password=hunter2"}}}};
  return flow;
}

TEST(ValidateFlow, GoodOnes) {
  EXPECT_TRUE(ValidateFlow(Good()).ok()) << ValidateFlow(Good());
  Flow flow = Good();
  flow.id = "";  // the server makes one
  flow.parallelism = 64;
  flow.wire_format = WireFormat::kAvro;
  flow.config.failure_mode = FailureMode::kDropSlot;
  flow.config.give_up_policy = GiveUpPolicy::kOnRetryExhaustion;
  flow.config.ddl = {true, false, std::nullopt};
  flow.config.ack_policy = AckPolicy::kPrimary;
  flow.config.primary_destination = "copy";
  EXPECT_TRUE(ValidateFlow(flow).ok()) << ValidateFlow(flow);
  flow.config.ack_policy = AckPolicy::kAll;
  flow.destinations.push_back({"second", "postgres", {{"dsn", "host=h2"}, {"write_mode", "append"}}});
  EXPECT_TRUE(ValidateFlow(flow).ok()) << ValidateFlow(flow);
}

struct Bad {
  std::function<void(Flow&)> damage;
  std::string says;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};

TEST(ValidateFlow, BadOnesAreRefusedByName) {
  const auto second = [](Flow& f) { f.destinations.push_back({"two", "postgres", {{"dsn", "host=h2"}}}); };
  const absl::StatusCode kUnbuilt = absl::StatusCode::kUnimplemented;
  const Bad kBad[] = {
      {[](Flow& f) { f.id = "-x"; }, "id: got '-x'"},
      {[](Flow& f) { f.id = "a b"; }, "id"},
      {[](Flow& f) { f.id = "../x"; }, "id"},
      {[](Flow& f) { f.id = "a/b"; }, "id"},
      {[](Flow& f) { f.id = std::string(64, 'a'); }, "id"},
      {[](Flow& f) { f.id = "\xC3\xA9"; }, "id"},
      {[](Flow& f) { f.name = ""; }, "name: is missing"},
      {[](Flow& f) { f.name = " x"; }, "name"},
      {[](Flow& f) { f.name = "a\nb"; }, "name"},
      {[](Flow& f) { f.name = std::string(129, 'a'); }, "name"},
      {[](Flow& f) { f.source.type = "mysql"; }, "source.type: got 'mysql'; allowed: postgres"},
      {[](Flow& f) { f.source.type = ""; }, "source.type"},
      {[](Flow& f) { f.source.name = "a b"; }, "source.name"},
      {[](Flow& f) { f.source.options.erase("dsn"); }, "option dsn of source 'shop'"},
      {[](Flow& f) { f.source.options.erase("slot"); }, "option slot of source 'shop'"},
      {[](Flow& f) { f.source.options["slto"] = "x"; }, "slto"},
      {[](Flow& f) { f.source.options["slot"] = "My-Slot"; }, "option slot"},
      {[](Flow& f) { f.source.options["batch_timeout"] = "fast"; }, "option batch_timeout"},
      {[](Flow& f) { f.source.options["flow_id"] = "other"; }, "option flow_id"},
      {[](Flow& f) { f.source.options["dsn"] = "postgres://u:******@h/db"; }, "still shows ******"},
      {[](Flow& f) { f.source.options["state_table"] = std::string("a\0b", 3); }, "zero byte"},
      {[](Flow& f) { f.source.options["dsn"] = std::string(70000, 'x'); }, "64 KiB"},
      {[](Flow& f) { f.destinations.clear(); }, "at least one"},
      {[](Flow& f) { f.destinations.resize(17, f.destinations[0]); }, "up to 16"},
      {[](Flow& f) { f.destinations.push_back(f.destinations[0]); }, "'copy' is used twice"},
      {[](Flow& f) { f.destinations[0].name = ""; }, "destinations[0].name"},
      {[](Flow& f) { f.destinations[0].name = "a/b"; }, "destinations[0].name"},
      {[](Flow& f) { f.destinations[0].type = "csv"; }, "csv"},
      {[](Flow& f) { f.destinations[0].options["mapping"] = "tables: {a.b: {rows: c >}}"; },
       "option mapping of destination 'copy': line 1: tables.a.b.rows: at character 4"},
      {[](Flow& f) { f.destinations[0].options["mapping"] = "tables: {a.b: {columns: {c: {mask: hash}}}}"; },
       "option mask_secret of destination 'copy' is missing"},
      {[](Flow& f) { f.destinations[0].options["mapping_file"] = "x"; }, "wallaby-admin reads the file"},
      {[](Flow& f) { f.destinations[0].type = "snowflake"; }, "snowflake", kUnbuilt},
      {[](Flow& f) { f.destinations[0].options.clear(); }, "option dsn of destination 'copy'"},
      {[](Flow& f) { f.destinations[0].options["dns"] = "x"; }, "dns"},
      {[](Flow& f) { f.destinations[0].options["write_mode"] = "merge"; }, "target or append"},
      {[](Flow& f) { f.parallelism = 65; }, "parallelism: got 65; allowed: 0 to 64"},
      {[](Flow& f) { f.parallelism = -1; }, "parallelism"},
      {[](Flow& f) { f.config.primary_destination = "x"; }, "there is no destination 'x'; allowed: copy"},
      {[&](Flow& f) {
         second(f);
         f.config.ack_policy = AckPolicy::kPrimary;
       },
       "config.primary_destination: is missing"},
  };
  for (const Bad& bad : kBad) {
    Flow flow = Good();
    bad.damage(flow);
    const absl::Status status = ValidateFlow(flow);
    EXPECT_EQ(status.code(), bad.code) << status << " for " << bad.says;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(bad.says), Not(HasSubstr("hunter2"))));
  }
}

}  // namespace
}  // namespace wallaby
