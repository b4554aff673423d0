// Against messages of Debezium itself: testdata/debezium.
#include "codec/debezium_codec.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "codec/debezium_value.h"
#include "codec/test_batches.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;

struct Sample {
  const char* name;
  uint32_t oid;
  const char* text;             // in the row of id 1
  const char* other = nullptr;  // in the row of id 3
  int32_t typmod = -1;
};

constexpr int32_t Numeric(int precision, int scale) {
  return (precision << 16 | scale) + 4;
}

// shop.everything of testdata/debezium, as PostgreSQL prints its values; extension types are known by no number.
constexpr Sample kEverything[] = {
    {"id", 20, "1", "3"},
    {"b", 16, "t"},
    {"i2", 21, "-2"},
    {"i4", 23, "3"},
    {"o", 26, "4294967295"},
    {"f4", 700, "1.5"},
    {"f8", 701, "1e+300", "NaN"},
    {"n", 1700, "12.50", "-0.01", Numeric(10, 2)},
    {"nn", 1700, "123456789012345678901234567890.123", "-5"},
    {"t", 25, "long", ""},
    {"v", 1043, "v", nullptr, 14},
    {"c", 1042, "c    ", nullptr, 9},
    {"by", 17, "\\x0001ff"},
    {"d", 1082, "2024-05-01", "infinity"},
    {"tm", 1083, "12:34:56.789012"},
    {"tm3", 1083, "12:34:56.789", nullptr, 3},
    {"ttz", 1266, "12:34:56.789012+02"},
    {"ts", 1114, "2024-05-01 12:34:56.789012", "infinity"},
    {"ts3", 1114, "2024-05-01 12:34:56.789", nullptr, 3},
    {"tstz", 1184, "2024-05-01 10:34:56.789012+00", "-infinity"},
    {"iv", 1186, "1 year 2 mons 3 days 04:05:06.789", "-1 days"},
    {"u", 2950, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
    {"j", 114, "{\"a\": 1}"},
    {"jb", 3802, "{\"b\": 2.50}"},
    {"x", 142, "<a/>"},
    {"bt1", 1560, "1", nullptr, 1},
    {"bt", 1560, "10101", nullptr, 5},
    {"vb", 1562, "110", nullptr, 9},
    {"m", 790, "$12.34"},
    {"ine", 869, "10.0.0.1"},
    {"ci", 650, "10.0.0.0/8"},
    {"ma", 829, "08:00:2b:01:02:03"},
    {"pt", 600, "(1,2)"},
    {"r4", 3904, "[1,5)"},
    {"rt", 3910, "[\"2024-01-01 00:00:00+00\",)"},
    {"ai", 1007, "{1,NULL,3}"},
    {"at", 1009, "{\"a b\",NULL,c}"},
    {"an", 1231, "{1.5,2.5}", nullptr, Numeric(5, 1)},
    {"ad", 1182, "{2024-05-01}"},
    {"md", 100001, "ok"},
    {"dm", 23, "5"},
    {"hs", 100002, R"("a"=>"1", "b"=>NULL)"},
    {"cx", 100003, "CiText"},
    {"lt", 100004, "a.b"},
    {"ch", 18, "q"},
    {"ts0", 1114, "2024-05-01 12:34:56", nullptr, 0},
    {"n38", 1700, "12345678901234567890123456789012345678", nullptr, Numeric(38, 0)},
    {"ji", 3802, "null"},
};

std::string Read(const std::string& name) {
  const char* source = std::getenv("WALLABY_SOURCE_DIR");
  std::ifstream file(std::string(source != nullptr ? source : ".") + "/src/codec/testdata/debezium/" + name);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::unique_ptr<Codec> Make(bool schemas) {
  CodecOptions options;
  options.json_envelope = JsonEnvelope::kDebezium;
  options.json_schemas = schemas;
  options.database = "postgres";
  auto codec = MakeCodec(std::move(options));
  EXPECT_TRUE(codec.ok()) << codec.status();
  return *std::move(codec);
}

// What both sides are compared by: what differs by design is made equal.
Json Normal(Json message) {
  if (message["value"].is_null()) return message;
  for (const char* image : {"before", "after"}) {
    Json& row = message["value"][image];
    if (!row.is_object() || !row.contains("n38")) continue;
    row.erase("hs");  // JSON there, as PostgreSQL prints it here
    if (message["value"]["op"] == "d" && row["t"] == "") row["t"] = nullptr;  // a NOT NULL column that was not sent
    // Debezium reckons an infinite date wrongly: -2147472692.
    if (row["d"].is_number() && std::abs(row["d"].get<int64_t>()) > 1'000'000) row["d"] = "infinite";
  }
  Json source;
  for (const char* name : {"connector", "name", "snapshot", "db", "schema", "table", "xmin"}) {
    source[name] = message["value"]["source"][name];
  }
  message["value"]["source"] = source;
  for (const char* name : {"ts_ms", "ts_us", "ts_ns"}) message["value"].erase(name);
  return message;
}

class Messages {
 public:
  explicit Messages(bool schemas) : codec_(Make(schemas)) {}
  void Add(const TestBatch& batch) {
    const std::string topic = "wallaby." + batch.batch().relations()[0]->QualifiedName();
    auto records = AllRecords(*codec_, batch.slice());
    ASSERT_TRUE(records.ok()) << records.status();
    for (const KeptRecord& record : *records) {
      Json& message = all_.emplace_back();
      message["topic"] = topic;
      message["key"] = record.has_key ? Json::parse(record.key) : Json();
      message["value"] = record.tombstone ? Json() : Json::parse(record.value);
    }
  }
  const std::vector<Json>& all() const { return all_; }

 private:
  std::unique_ptr<Codec> codec_;
  std::vector<Json> all_;
};

RelationPtr EverythingRelation() {
  std::vector<TestColumn> columns;
  for (const Sample& sample : kEverything) columns.push_back({sample.name, sample.oid, sample.typmod});
  return TestRelation(columns, 1, "everything");
}

Messages SameStatements(bool schemas) {
  TestRow first, other, key;
  for (const Sample& sample : kEverything) {
    first.emplace_back(sample.text);
    other.push_back(sample.other == nullptr ? std::nullopt : std::optional<std::string>(sample.other));
    key.push_back(std::nullopt);
  }
  const size_t i4 = 3, t = 9;
  TestRow updated = first;
  updated[i4] = "4";
  updated[t] = kAbsent;
  TestRow moved = updated, old_key = key, new_key = key;
  moved[0] = "2";
  old_key[0] = "1";
  new_key[0] = "2";
  Messages messages(schemas);
  messages.Add(TestBatch(EverythingRelation())
                   .Insert(first)
                   .Update(updated)
                   .UpdateKey(old_key, moved)
                   .Insert(other)
                   .Delete(new_key));
  messages.Add(TestBatch(TestRelation({{"id", 23}, {"note"}}, 1, "fullrow"))
                   .Insert({"1", "a"})
                   .UpdateFull({"1", "a"}, {"1", "b"})
                   .Delete({"1", "b"}, false));
  messages.Add(TestBatch(TestRelation({{"a", 23}, {"b"}}, 0, "nokey"))
                   .Insert({"1", "a"})
                   .UpdateFull({"1", "a"}, {"1", "b"})
                   .Delete({"1", "b"}, false));
  return messages;
}

TEST(DebeziumCodecTest, TheSameMessagesAsDebezium) {
  std::vector<Json> expected;
  std::istringstream lines(Read("messages.jsonl"));
  for (std::string line; std::getline(lines, line);) expected.push_back(Json::parse(line));
  const Messages messages = SameStatements(false);
  ASSERT_EQ(messages.all().size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const Json want = Normal(expected[i]), got = Normal(messages.all()[i]);
    EXPECT_EQ(want, got) << "message " << i << ": " << Json::diff(want, got).dump();
  }
}

TEST(DebeziumCodecTest, TheSameSchemasAsDebezium) {
  Json expected = Json::parse(Read("schema.json"));
  const Messages messages = SameStatements(true);
  Json got;
  got["key"] = messages.all()[0]["key"]["schema"];
  got["value"] = messages.all()[0]["value"]["schema"];
  EXPECT_EQ(messages.all()[0]["key"]["payload"], Json::parse(R"({"id":1})"));
  for (int image = 0; image < 2; ++image) {
    for (size_t i = 0; i < std::size(kEverything); ++i) {
      Json& want = expected["value"]["fields"][image]["fields"][i];
      Json& have = got["value"]["fields"][image]["fields"][i];
      // Not known here: that a column is NOT NULL, an enum's labels, extension types.
      if (want["field"] == "t") want["optional"] = true;
      for (const char* name : {"md", "hs", "lt"}) {
        if (want["field"] != name) continue;
        for (const char* part : {"name", "version", "parameters"}) want.erase(part);
      }
      EXPECT_EQ(want, have);
    }
  }
  EXPECT_EQ(expected, got);
}

TEST(DebeziumCodecTest, UnchangedValues) {
  const RelationPtr relation =
      TestRelation({{"id", 23}, {"t"}, {"by", 17}, {"at", 1009}, {"ai", 1007}, {"n", 1700}, {"j", 3802}});
  const TestBatch batch = TestBatch(relation).Update({"1", kAbsent, kAbsent, kAbsent, kAbsent, kAbsent, kAbsent});
  auto records = AllRecords(*Make(false), batch.slice());
  ASSERT_TRUE(records.ok());
  const Json after = Json::parse((*records)[0].value)["after"];
  const std::string placeholder = "__debezium_unavailable_value";
  EXPECT_EQ(after["t"], placeholder);
  EXPECT_EQ(after["j"], placeholder);
  EXPECT_EQ(after["by"], "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==");
  EXPECT_EQ(after["at"], Json::array({placeholder}));
  EXPECT_FALSE(after.contains("ai")) << "never null";
  EXPECT_FALSE(after.contains("n"));
}

TEST(DebeziumCodecTest, PositionsAndSnapshots) {
  const TestBatch batch = TestBatch().Read({"1", "1.00", "a"}).Truncate();
  auto records = AllRecords(*Make(false), batch.slice());
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 2u);
  const Json read = Json::parse((*records)[0].value), truncate = Json::parse((*records)[1].value);
  EXPECT_EQ(read["op"], "r");
  EXPECT_EQ(read["source"]["snapshot"], "true");
  EXPECT_EQ(read["source"]["lsn"], 0x16B3748);
  EXPECT_EQ(read["source"]["txId"], 700);
  EXPECT_EQ(read["source"]["ts_us"], 1'714'566'896'789'012);
  EXPECT_EQ(truncate["op"], "t");
  EXPECT_EQ(truncate["source"]["sequence"], "[\"23803720\",\"1\"]");
  EXPECT_FALSE((*records)[1].has_key);
}

std::string Value(uint32_t oid, std::string_view text, int32_t typmod = -1) {
  std::string scratch, out;
  const DebeziumType type = DebeziumType::Of(BuiltinType(oid, typmod), true);
  const absl::Status status = AppendDebeziumValue({FieldKind::kText, text}, type, &scratch, &out);
  return status.ok() ? out : std::string(absl::StatusCodeToString(status.code()));
}

TEST(DebeziumCodecTest, ValuesAtTheEdge) {
  EXPECT_EQ(Value(1184, "0044-03-15 12:00:00+00 BC"), "\"-0043-03-15T12:00:00Z\"");
  EXPECT_EQ(Value(1184, "0001-01-01 00:00:00+00 BC"), "\"0000-01-01T00:00:00Z\"");
  EXPECT_EQ(Value(1184, "12024-05-01 12:34:56+00"), "\"+12024-05-01T12:34:56Z\"");
  EXPECT_EQ(Value(1266, "00:30:00+05:30"), "\"19:00:00Z\"");
  EXPECT_EQ(Value(1266, "23:30:00.5-01"), "\"00:30:00.5Z\"");
  EXPECT_EQ(Value(1266, "23:30:00"), "INVALID_ARGUMENT");
  EXPECT_EQ(Value(1186, "-00:00:00.5"), "-500000");
  EXPECT_EQ(Value(1186, "1 mon -1 days +100:00:00"), "2903400000000");
  EXPECT_EQ(Value(1186, "1 fortnight"), "INVALID_ARGUMENT");
  EXPECT_EQ(Value(1186, "178000000 years"), "INVALID_ARGUMENT");
  EXPECT_EQ(Value(1114, "1969-12-31 23:59:59.9999", 3), "-1");
  EXPECT_EQ(Value(790, "-$1,234.56"), "\"/h3A\"");
  EXPECT_EQ(Value(790, "1.234,56 €"), "INVALID_ARGUMENT");
  EXPECT_EQ(Value(1700, "NaN"), "OUT_OF_RANGE");
  EXPECT_EQ(Value(1007, "{{1,2},{3,4}}"), "INVALID_ARGUMENT");
  EXPECT_EQ(Value(600, "(NaN,1)"), "INVALID_ARGUMENT");
  EXPECT_EQ(Value(1560, "102", 3), "INVALID_ARGUMENT");
}

}  // namespace
}  // namespace wallaby
