// Values in binary form, printed here and by a real PostgreSQL: they must be equal to the last byte, and reading either
// form must give the same. The seed is printed on failure.
#include <libpq-fe.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/numeric/bits.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "change/value.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

constexpr uint32_t kBytea = 17, kOid = 26, kFloat4 = 700, kFloat8 = 701, kDate = 1082, kTime = 1083, kTimestamp = 1114,
                   kTimestampTz = 1184, kNumeric = 1700, kUuid = 2950;

struct FreeResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
struct FinishConnection {
  void operator()(PGconn* conn) const { PQfinish(conn); }
};
using Result = std::unique_ptr<PGresult, FreeResult>;

template <typename Int>
std::string Big(Int value) {
  std::string out;
  for (int shift = (sizeof(Int) - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> shift));
  }
  return out;
}

class ValueAgainstPostgres : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* source = std::getenv("WALLABY_SOURCE_DIR");
    const std::string command =
        absl::StrCat(source != nullptr ? source : ".", "/test/servers/postgres start 15 --owner ", getpid());
    FILE* pipe = popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    char line[1024] = "";
    const bool answered = fgets(line, sizeof(line), pipe) != nullptr;
    ASSERT_TRUE(pclose(pipe) == 0 && answered) << command;
    const std::string answer = line;
    const std::string dsn = answer.substr(0, answer.find('\t'));
    conn_.reset(PQconnectdb(dsn.c_str()));
    ASSERT_EQ(PQstatus(conn_.get()), CONNECTION_OK) << PQerrorMessage(conn_.get());
    Result set(PQexec(conn_.get(),
                      "SET DateStyle = ISO; SET TimeZone = UTC; SET IntervalStyle = postgres; "
                      "SET extra_float_digits = 3; SET bytea_output = hex"));
    ASSERT_EQ(PQresultStatus(set.get()), PGRES_COMMAND_OK);
  }
  static void TearDownTestSuite() { conn_.reset(); }

  void SetUp() override { RecordProperty("seed", absl::StrCat(seed_)); }

  // What PostgreSQL prints for binary values of a type.
  std::vector<std::string> PrintThere(uint32_t oid, uint32_t array_oid, const std::vector<std::string>& values) {
    std::string array =
        Big(int32_t{1}) + Big(int32_t{0}) + Big(oid) + Big(static_cast<int32_t>(values.size())) + Big(int32_t{1});
    for (const std::string& value : values) {
      array += Big(static_cast<int32_t>(value.size())) + value;
    }
    const char* data = array.data();
    const int length = static_cast<int>(array.size());
    const int binary = 1;
    Result result(PQexecParams(conn_.get(),
                               "SELECT format('%s', v) FROM unnest($1) WITH ORDINALITY AS u(v, n) ORDER BY n", 1,
                               &array_oid, &data, &length, &binary, 0));
    EXPECT_EQ(PQresultStatus(result.get()), PGRES_TUPLES_OK) << PQerrorMessage(conn_.get());
    std::vector<std::string> texts;
    for (int i = 0; i < PQntuples(result.get()); ++i) {
      texts.emplace_back(PQgetvalue(result.get(), i, 0), static_cast<size_t>(PQgetlength(result.get(), i, 0)));
    }
    return texts;
  }

  void ExpectSame(uint32_t oid, uint32_t array_oid, const std::vector<std::string>& values) {
    const PgType type = BuiltinType(oid, -1);
    const std::vector<std::string> expected = PrintThere(oid, array_oid, values);
    ASSERT_EQ(expected.size(), values.size());
    int failures = 0;
    for (size_t i = 0; i < values.size() && failures < 10; ++i) {
      const Field binary{FieldKind::kBinary, values[i]}, text{FieldKind::kText, expected[i]};
      std::string printed;
      const absl::Status status = AppendText(binary, type, &printed);
      const bool same = status.ok() && printed == expected[i] && SameValue(type, binary, text);
      failures += !same;
      EXPECT_TRUE(same) << type.sql_name << " \\x" << absl::BytesToHexString(values[i]) << ": PostgreSQL "
                        << expected[i] << ", here " << printed << " " << status << ", seed " << seed_;
    }
  }

  template <typename T, typename Read>
  static bool SameRead(Read read, const Field& a, const Field& b) {
    T from_a{}, from_b{};
    const absl::Status status_a = read(a, &from_a), status_b = read(b, &from_b);
    if (!status_a.ok() || !status_b.ok()) return status_a.code() == status_b.code();
    return from_a == from_b || (from_a != from_a && from_b != from_b);
  }

  static bool SameValue(const PgType& type, const Field& a, const Field& b) {
    switch (type.logical) {
      case LogicalType::kUInt32:
        return SameRead<uint32_t>(ReadUint32, a, b);
      case LogicalType::kFloat32:
        return SameRead<float>(ReadFloat32, a, b);
      case LogicalType::kFloat64:
        return SameRead<double>(ReadFloat64, a, b);
      case LogicalType::kDate:
        return SameRead<int32_t>(ReadDate, a, b);
      case LogicalType::kTime:
        return SameRead<int64_t>(ReadTime, a, b);
      case LogicalType::kTimestamp:
      case LogicalType::kTimestampTz:
        return SameRead<int64_t>(ReadTimestamp, a, b);
      case LogicalType::kUuid: {
        unsigned char x[16], y[16];
        return ReadUuid(a, x).ok() && ReadUuid(b, y).ok() && std::equal(x, x + 16, y);
      }
      case LogicalType::kBytes: {
        std::string s, t;
        std::string_view x, y;
        return ReadBytes(a, &s, &x).ok() && ReadBytes(b, &t, &y).ok() && x == y;
      }
      default:
        return true;
    }
  }

  int64_t Between(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  static inline std::unique_ptr<PGconn, FinishConnection> conn_;
  const uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
};

TEST_F(ValueAgainstPostgres, DoublesOfAllBitPatterns) {
  std::vector<std::string> values;
  const auto add = [&](double value) { values.push_back(Big(absl::bit_cast<uint64_t>(value))); };
  for (int i = 0; i < 60'000; ++i) values.push_back(Big(random_()));
  // Numbers with few digits, whole numbers around and above 2^53 with all kinds of neighbours, powers of two and ten.
  for (int i = 0; i < 30'000; ++i) {
    add(static_cast<double>(Between(-99999, 99999)) * std::pow(10, static_cast<double>(Between(-30, 30))));
    add(std::ldexp(static_cast<double>(Between(1LL << 52, (1LL << 53) - 1)), static_cast<int>(Between(0, 30))));
    add(static_cast<double>(Between(0, std::numeric_limits<int64_t>::max())));
  }
  for (int e = -1074; e < 1024; ++e) {
    for (const double neighbour : {0.0, 1e308, -1e308}) {
      add(neighbour == 0 ? std::ldexp(1.0, e) : std::nextafter(std::ldexp(1.0, e), neighbour));
    }
  }
  for (int e = -323; e < 309; ++e) add(std::strtod(absl::StrCat("1e", e).c_str(), nullptr));
  ExpectSame(kFloat8, 1022, values);
}

TEST_F(ValueAgainstPostgres, FloatsOfAllBitPatterns) {
  std::vector<std::string> values;
  for (int i = 0; i < 100'000; ++i) values.push_back(Big(static_cast<uint32_t>(random_())));
  for (int i = 0; i < 100'000; ++i) {
    const float value =
        std::ldexp(static_cast<float>(Between(1 << 23, (1 << 24) - 1)), static_cast<int>(Between(-10, 20)));
    values.push_back(Big(absl::bit_cast<uint32_t>(value)));
  }
  for (int e = -149; e < 128; ++e) {
    values.push_back(Big(absl::bit_cast<uint32_t>(std::ldexp(1.0f, e))));
  }
  ExpectSame(kFloat4, 1021, values);
}

TEST_F(ValueAgainstPostgres, DatesOfTheWholeRange) {
  std::vector<std::string> values = {Big(std::numeric_limits<int32_t>::max()), Big(std::numeric_limits<int32_t>::min()),
                                     Big(int32_t{-2451545}), Big(int32_t{2145031948})};
  for (int i = 0; i < 40'000; ++i) {
    values.push_back(Big(static_cast<int32_t>(Between(-2451545, 2145031948))));
    values.push_back(Big(static_cast<int32_t>(Between(-1'000'000, 1'000'000))));
  }
  ExpectSame(kDate, 1182, values);
}

TEST_F(ValueAgainstPostgres, TimesAndTimestampsOfTheWholeRange) {
  constexpr int64_t kFirst = -211813488000000000, kLast = 9223371331199999999;
  std::vector<std::string> stamps = {Big(std::numeric_limits<int64_t>::max()), Big(std::numeric_limits<int64_t>::min()),
                                     Big(kFirst), Big(kLast)};
  for (int i = 0; i < 30'000; ++i) {
    stamps.push_back(Big(Between(kFirst, kLast)));
    stamps.push_back(Big(Between(-2'000'000'000, 2'000'000'000) * 1'000'000));
    stamps.push_back(Big(Between(-2'000'000'000'000, 2'000'000'000'000) * 1000));
    stamps.push_back(Big(Between(kFirst, 0)));
  }
  ExpectSame(kTimestamp, 1115, stamps);
  ExpectSame(kTimestampTz, 1185, stamps);
  std::vector<std::string> times = {Big(int64_t{86'400'000'000}), Big(int64_t{0})};
  for (int i = 0; i < 30'000; ++i) times.push_back(Big(Between(0, 86'400'000'000)));
  ExpectSame(kTime, 1183, times);
}

TEST_F(ValueAgainstPostgres, UuidsOidsAndBytes) {
  std::vector<std::string> uuids, oids, bytes = {""};
  for (int i = 0; i < 5'000; ++i) {
    uuids.push_back(Big(random_()) + Big(random_()));
    oids.push_back(Big(static_cast<uint32_t>(random_())));
    bytes.push_back(Big(random_()).substr(0, static_cast<size_t>(Between(0, 8))));
  }
  ExpectSame(kUuid, 2951, uuids);
  ExpectSame(kOid, 1028, oids);
  ExpectSame(kBytea, 1001, bytes);
}

TEST_F(ValueAgainstPostgres, NumericsOfAllSizes) {
  std::vector<std::string> texts = {"0",
                                    "0.000",
                                    "-0.0001",
                                    "NaN",
                                    "Infinity",
                                    "-Infinity",
                                    "10000",
                                    "0.0000000100",
                                    std::string(131072, '9'),
                                    "-1" + std::string(131071, '0'),
                                    "0." + std::string(16382, '0') + "1",
                                    std::string(131072, '7') + "." + std::string(16383, '3')};
  const auto digits = [&](int64_t n) {
    std::string out;
    const bool sparse = Between(0, 2) == 0;
    for (int64_t i = 0; i < n; ++i) {
      out.push_back(static_cast<char>('0' + (sparse && Between(0, 9) != 0 ? 0 : Between(0, 9))));
    }
    return out;
  };
  for (int i = 0; i < 20'000; ++i) {
    const int64_t longest = i % 100 == 0 ? 2000 : 25;
    std::string text = (Between(0, 1) ? "-" : "") + digits(Between(1, longest));
    if (Between(0, 3) != 0) text += "." + digits(Between(1, longest));
    texts.push_back(text);
  }
  const std::string array = absl::StrCat("{", absl::StrJoin(texts, ","), "}");
  const char* data = array.c_str();
  Result result(PQexecParams(conn_.get(),
                             "SELECT v::text, encode(numeric_send(v), 'hex') FROM unnest($1::numeric[]) "
                             "WITH ORDINALITY AS u(v, n) ORDER BY n",
                             1, nullptr, &data, nullptr, nullptr, 0));
  ASSERT_EQ(PQresultStatus(result.get()), PGRES_TUPLES_OK) << PQerrorMessage(conn_.get());
  ASSERT_EQ(PQntuples(result.get()), static_cast<int>(texts.size()));
  const PgType type = BuiltinType(kNumeric, -1);
  int decimals = 0;
  for (int i = 0; i < PQntuples(result.get()); ++i) {
    const std::string expected = PQgetvalue(result.get(), i, 0);
    const std::string bytes = absl::HexStringToBytes(PQgetvalue(result.get(), i, 1));
    const Field binary{FieldKind::kBinary, bytes}, text{FieldKind::kText, expected};
    std::string printed;
    ASSERT_TRUE(AppendText(binary, type, &printed).ok()) << expected.substr(0, 100);
    ASSERT_EQ(printed, expected) << "seed " << seed_;
    for (const auto& [precision, scale] : {std::pair{38, 10}, {38, 38}, {38, 0}, {20, 7}, {12, 12}, {30, 9}}) {
      const PgType decimal = BuiltinType(kNumeric, (precision << 16 | scale) + 4);
      absl::int128 a = 0, b = 0;
      const absl::Status from_binary = ReadDecimal(binary, decimal, &a);
      const absl::Status from_text = ReadDecimal(text, decimal, &b);
      ASSERT_EQ(from_binary.code(), from_text.code()) << expected << " " << decimal.sql_name;
      if (!from_binary.ok()) continue;
      ASSERT_EQ(a, b) << expected << " as " << decimal.sql_name << ", seed " << seed_;
      ++decimals;
    }
  }
  EXPECT_GT(decimals, 1000);
}

TEST_F(ValueAgainstPostgres, NamesOfTypesWithTheirModifiers) {
  Result result(PQexec(conn_.get(),
                       "SELECT oid, -1, format_type(oid, -1) FROM pg_type WHERE oid < 10000 AND typtype <> 'p' "
                       "UNION ALL SELECT oid, m, format_type(oid, m) FROM pg_type, "
                       "  unnest(ARRAY[0, 3, 6]) m WHERE oid IN (1083, 1114, 1184, 1266, 1115) "
                       "UNION ALL SELECT oid, m, format_type(oid, m) FROM pg_type, "
                       "  unnest(ARRAY[5, 24, 10004]) m WHERE oid IN (1042, 1043, 1560, 1562, 1015, 1561) "
                       "UNION ALL SELECT t.oid, ((p << 16) | (s & 2047)) + 4, "
                       "  format_type(t.oid, ((p << 16) | (s & 2047)) + 4) FROM pg_type t, "
                       "  unnest(ARRAY[1, 10, 38, 39, 1000]) p, unnest(ARRAY[-1000, -2, 0, 5, 1000]) s "
                       "  WHERE t.oid IN (1700, 1231) "
                       "UNION ALL SELECT 1186, m, format_type(1186, m) FROM (SELECT (f << 16) | d FROM "
                       "  unnest(ARRAY[32767, 4, 2, 8, 1024, 2048, 4096, 6, 1032, 3080, 7176, 3072, 7168, 6144]) f, "
                       "  unnest(ARRAY[65535, 0, 3]) d) i(m)"));
  ASSERT_EQ(PQresultStatus(result.get()), PGRES_TUPLES_OK) << PQerrorMessage(conn_.get());
  int compared = 0;
  for (int i = 0; i < PQntuples(result.get()); ++i) {
    const std::string expected = PQgetvalue(result.get(), i, 2);
    const auto oid = static_cast<uint32_t>(std::stoul(PQgetvalue(result.get(), i, 0)));
    const PgType type = BuiltinType(oid, std::stoi(PQgetvalue(result.get(), i, 1)));
    EXPECT_EQ(type.source_name.find("type "), std::string::npos) << expected << " is not known";
    if (type.sql_name == "text" && expected != "text") continue;  // kept as text on purpose
    EXPECT_EQ(type.sql_name, expected);
    ++compared;
  }
  EXPECT_GT(compared, 200);
}

}  // namespace
}  // namespace wallaby
