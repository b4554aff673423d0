#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "flow/flow.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kYaml = R"(
id: shop
name: Shop orders
source:
  name: shop
  type: postgres
  options:
    dsn: postgres://app:secret@db/shop
    slot: shop
    batch_size: 500
    binary: true
    publication: "2026"
destinations:
  - name: lake
    type: duckdb
    options: {dsn: /data/shop.duckdb, write_mode: append}
  - name: copy
    type: Postgres
wire_format: arrow
parallelism: 4
config:
  ack_policy: all
  failure_mode: hold_slot
  give_up_policy: on_retry_exhaustion
  ddl: {gate: false, auto_apply: true}
)";

TEST(FlowFile, AMappingBesideTheOptions) {
  const auto flow = ParseFlow(R"(
name: x
source: {name: s, type: postgres, options: {dsn: d}}
destinations:
  - name: d
    type: "null"
    mapping: {tables: {public.t: {columns: {a: {mask: null}, b: {drop: true}}}}, metadata: [lsn]}
)");
  ASSERT_TRUE(flow.ok()) << flow.status();
  EXPECT_EQ(flow->destinations[0].options.at("mapping"),
            R"({"metadata":["lsn"],"tables":{"public.t":{"columns":{"a":{"mask":null},"b":{"drop":"true"}}}}})");
  EXPECT_EQ(ParseFlow(FlowToJson(*flow)).value(), *flow);
  const std::string twice = R"({"name": "x", "source": {}, "destinations": [
      {"name": "d", "type": "null", "mapping": {}, "options": {"mapping": "{}"}}]})";
  EXPECT_THAT(std::string(ParseFlow(twice).status().message()),
              HasSubstr("destinations[0].mapping: the options have a mapping too; give one of them"));
  const std::string text = R"({"name": "x", "source": {}, "destinations": [{"name": "d", "mapping": "tables"}]})";
  EXPECT_THAT(std::string(ParseFlow(text).status().message()), HasSubstr("destinations[0].mapping: must be a map"));
}

TEST(FlowFile, YamlWithEveryKey) {
  const absl::StatusOr<Flow> flow = ParseFlow(kYaml);
  ASSERT_TRUE(flow.ok()) << flow.status();
  EXPECT_EQ(flow->id, "shop");
  EXPECT_EQ(flow->name, "Shop orders");
  EXPECT_EQ(flow->source.options.at("batch_size"), "500");
  EXPECT_EQ(flow->source.options.at("binary"), "true");
  EXPECT_EQ(flow->source.options.at("publication"), "2026");
  ASSERT_EQ(flow->destinations.size(), 2u);
  EXPECT_EQ(flow->destinations[1].type, "postgres");
  EXPECT_EQ(flow->wire_format, WireFormat::kArrow);
  EXPECT_EQ(flow->parallelism, 4);
  EXPECT_EQ(flow->config.give_up_policy, GiveUpPolicy::kOnRetryExhaustion);
  EXPECT_EQ(flow->config.ddl.gate, std::optional<bool>(false));
  EXPECT_EQ(flow->config.ddl.auto_approve, std::nullopt);
}

TEST(FlowFile, JsonGoesThereAndBack) {
  Flow flow = *ParseFlow(kYaml);
  EXPECT_EQ(*ParseFlow(FlowToJson(flow)), flow);
  flow.name = "quote\" back\\slash \xF0\x9F\x98\x80 tab\t";
  flow.source.options["dsn"] = "password='it\\'s' # not a comment: x";
  flow.config.ack_policy = AckPolicy::kPrimary;
  flow.config.primary_destination = "lake";
  flow.config.failure_mode = FailureMode::kDropSlot;
  flow.config.ddl = {true, false, true, DdlScope::kLinked};
  EXPECT_EQ(*ParseFlow(FlowToJson(flow)), flow);
  Flow empty;
  EXPECT_EQ(*ParseFlow(FlowToJson(empty)), empty);
}

TEST(FlowFile, TypeNullIsTheDestinationOfThatName) {
  const auto flow =
      ParseFlow("name: n\nsource: {name: s, type: postgres}\ndestinations:\n  - name: nowhere\n    type: null\n");
  ASSERT_TRUE(flow.ok()) << flow.status();
  EXPECT_EQ(flow->destinations.at(0).type, "null");
}

TEST(FlowFile, JsonNumbersAndEscapes) {
  const auto flow = ParseFlow(R"(  {"name":"a\u00e9\ud83d\ude00\/", "parallelism": 2,
      "source":{"name":"s","type":"postgres","options":{"batch_size":9007199254740993,"binary":false}},
      "destinations":[]})");
  ASSERT_TRUE(flow.ok()) << flow.status();
  EXPECT_EQ(flow->name, "a\xC3\xA9\xF0\x9F\x98\x80/");
  EXPECT_EQ(flow->source.options.at("batch_size"), "9007199254740993");
  EXPECT_EQ(flow->source.options.at("binary"), "false");
  EXPECT_EQ(flow->parallelism, 2);
}

struct Bad {
  std::string text;
  std::string says;
};

TEST(FlowFile, BadInputsAreRefusedByName) {
  const std::string rest = "source: {type: postgres}\ndestinations: []\n";
  const Bad kBad[] = {
      {"", "empty"},
      {"   \n\t", "empty"},
      {"just text", "map"},
      {"[1, 2]", "map"},
      {"name: x\n", "source"},
      {"name: x\nsource: {type: postgres}\n", "destinations"},
      {rest + "nmae: x\n", "line 3: nmae: unknown key 'nmae'; known here: id, name"},
      {"name: x\nsource: {type: postgres, dns: x}\ndestinations: []", "source.dns: unknown key 'dns'"},
      {"source: {type: postgres}\ndestinations:\n  - name: a\n    option: {}\n", "line 4: destinations[0].option"},
      {rest + "config: {ack: all}", "known here: ack_policy"},
      {rest + "config: {ddl: {gates: true}}", "known here: gate"},
      {rest + "config: {ddl: {gate: maybe}}", "config.ddl.gate"},
      {rest + "config: {ddl: {scope: tables}}", "config.ddl.scope: got 'tables'; allowed: flow, table or linked"},
      {rest + "config: {ack_policy: some}", "config.ack_policy: got 'some'; allowed: all or primary"},
      {rest + "config: {failure_mode: x}", "hold_slot or drop_slot"},
      {rest + "config: {give_up_policy: x}", "never or on_retry_exhaustion"},
      {rest + "wire_format: xml", "arrow, parquet, avro, proto or json"},
      {rest + "parallelism: many", "parallelism: got 'many'"},
      {rest + "parallelism: 99999999999", "parallelism"},
      {rest + "parallelism: 1.5", "parallelism"},
      {rest + "config: 5", "config: must be a map"},
      {"source: 5\ndestinations: []", "source: must be a map"},
      {"source: {options: [a]}\ndestinations: []", "source.options: must be a map"},
      {"source: {options: {dsn: [a]}}\ndestinations: []", "source.options.dsn: must be a single value"},
      {"source: {options: {dsn: }}\ndestinations: []", "source.options.dsn: has no value"},
      {"source: {}\ndestinations: {name: a}", "destinations: must be a list"},
      {"source: {}\ndestinations: [a]", "destinations[0]: must be a map"},
      {"name: a\nname: b\n" + rest, "twice"},
      {"a: {b: 1, b: 2}", "a.b: the key stands twice"},
      {"{\"name\":\"a\",\"name\":\"b\"}", "key 'name' stands twice"},
      {"{\"name\":\"hunter2\",\n \"source\" }", "line 2, column 11"},
      {"{\"name\":", "not valid JSON"},
      {"{", "not valid JSON"},
      {"{\"source\":{},\"destinations\":[],\"parallelism\":null}", "parallelism: has no value"},
      {"name: [unclosed", "not valid YAML at line"},
      {"name: \"unclosed", "not valid YAML"},
      {"a: b: c", "not valid YAML"},
      {"\tname: x", "not valid YAML"},
      {"name: *nowhere", "not valid YAML"},
      {rest + "---\n" + rest, "something follows the first YAML document"},
      {"&" + FlowToJson(Flow()), "flow file"},
      {"? [a, b]\n: c\n", "plain text"},
      {std::string(2 << 20, 'x'), "1 MiB"},
      {"{\"source\":" + std::string(500, '[') + std::string(500, ']') + "}", "too deeply"},
      {"a: " + std::string(100, '[') + std::string(100, ']'), "too deeply"},
      {std::string(60000, '['), "YAML"},
  };
  for (const Bad& bad : kBad) {
    const auto flow = ParseFlow(bad.text);
    ASSERT_FALSE(flow.ok()) << bad.text.substr(0, 100);
    EXPECT_EQ(flow.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(flow.status().message()), HasSubstr(bad.says)) << bad.text.substr(0, 100);
    EXPECT_THAT(std::string(flow.status().message()), ::testing::Not(HasSubstr("hunter2")));
  }
}

// The store would keep another text in its place.
TEST(FlowFile, OnlyUtf8) {
  std::string yaml(kYaml);
  yaml.replace(yaml.find("secret"), 6, "s\xff\xfe!");
  const absl::StatusOr<Flow> flow = ParseFlow(yaml);
  EXPECT_EQ(flow.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(flow.status().message()), testing::HasSubstr("UTF-8"));
}

TEST(FlowFile, AliasesThatGrowAreStopped) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += (j ? ", " : "") + below;
    text += "]\n";
  }
  EXPECT_THAT(std::string(ParseFlow(text).status().message()), HasSubstr("too many values"));
}

// Cuts and changes a good file at random: it must end in a flow or a clean error.
TEST(FlowFile, DamagedFilesNeverCrash) {
  std::mt19937 random(20260101);
  const std::string json = FlowToJson(*ParseFlow(kYaml));
  for (int round = 0; round < 4000; ++round) {
    std::string text = round % 2 ? json : std::string(kYaml);
    const int changes = 1 + random() % 4;
    for (int i = 0; i < changes && !text.empty(); ++i) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text.erase(at, 1 + random() % 20);
          break;
        case 1:
          text.insert(at, 1, static_cast<char>(random()));
          break;
        case 2:
          text[at] = "{}[]:,\"'&*#|>-\n \t%@"[random() % 19];
          break;
        default:
          text.resize(at + 1);
      }
    }
    const auto flow = ParseFlow(text);
    if (flow.ok()) FlowToJson(*flow);
  }
}

}  // namespace
}  // namespace wallaby
