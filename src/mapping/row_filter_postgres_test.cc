// Random conditions on random rows, evaluated here and by a real PostgreSQL: on values in text and in binary form, with
// nulls. The language is a part of PostgreSQL's, so that both read the same text. The seed is printed on failure.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mapping/bound_filter.h"
#include "mapping/row_filter.h"
#include "mapping/test_rows.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

constexpr int kRows = 300;
constexpr int kConditions = 600;

struct KindOfColumn {
  const char* name;
  const char* type;
  uint32_t oid;
  std::vector<std::string> values;  // as SQL literals
  bool ordered = true;
  bool text = false;
};

const std::vector<KindOfColumn>& Columns() {
  static const auto* columns = new std::vector<KindOfColumn>{
      {"small", "smallint", 21, {"0", "1", "-1", "32767", "-32768", "7"}},
      {"number", "integer", 23, {"0", "1", "-1", "2147483647", "-2147483648", "42"}},
      {"big", "bigint", 20, {"0", "9223372036854775807", "-9223372036854775808", "5", "-5"}},
      {"big2", "bigint", 20, {"0", "5", "-5", "6"}},
      {"money", "numeric(12,2)", 1700, {"0", "0.01", "-0.01", "100", "99.99", "1234567890.12", "100.5"}},
      {"exact",
       "numeric",
       1700,
       {"0", "'NaN'", "'Infinity'", "'-Infinity'", "1.5", "1.50", "-1.5", "0.00000000000000000001",
        "123456789012345678901234567890.5", "10000", "9999.9999", "-10000"}},
      {"single", "real", 700, {"0", "0.1", "'0.1'", "-1.5", "'NaN'", "'Infinity'", "1.5"}},
      {"wide", "double precision", 701, {"0", "0.1", "-1.5", "'NaN'", "'-Infinity'", "1.5"}},
      {"flag", "boolean", 16, {"true", "false"}},
      {"word",
       "text",
       25,
       {"''", "'a'", "'A'", "'ab'", "'a%'", "'ä'", "'äb'", "'it''s'", "'a_c'", "'zebra'", "' '"},
       true,
       true},
      {"word2", "varchar(20)", 1043, {"''", "'a'", "'ab'", "'ä'"}, true, true},
      {"padded", "char(4)", 1042, {"'a'", "'ab'", "'a   '", "'zz'", "''"}, true, true},
      {"uid",
       "uuid",
       2950,
       {"'00000000-0000-0000-0000-000000000000'", "'123e4567-e89b-12d3-a456-426614174000'",
        "'ffffffff-ffff-ffff-ffff-ffffffffffff'"}},
      {"bytes", "bytea", 17, {"'\\x'", "'\\x00'", "'\\xff'", "'\\x0001'", "'\\x41'"}},
      {"day",
       "date",
       1082,
       {"'2024-02-29'", "'1969-12-31'", "'infinity'", "'-infinity'", "'0044-03-15 BC'", "'2024-03-01'"}},
      {"clock", "time", 1083, {"'00:00:00'", "'23:59:59.999999'", "'12:00:00'", "'24:00:00'"}},
      {"moment", "timestamp", 1114, {"'2024-02-29 12:00:00'", "'1969-12-31 23:59:59.5'", "'infinity'", "'2024-02-29'"}},
      {"zoned",
       "timestamptz",
       1184,
       {"'2024-02-29 12:00:00+00'", "'2024-02-29 14:00:00+02'", "'2024-02-29 06:30:00-05:30'", "'-infinity'"}},
      {"object", "oid", 26, {"0", "1", "4294967295", "42"}},
  };
  return *columns;
}

class Conditions {
 public:
  explicit Conditions(uint32_t seed) : random_(seed) {}

  std::string Next(int depth = 3) {
    const uint32_t dice = Below(depth > 0 ? 10 : 5);
    if (dice < 5) return Predicate();
    if (dice < 7) return absl::StrCat(Operand(depth), " AND ", Operand(depth));
    if (dice < 9) return absl::StrCat(Operand(depth), " OR ", Operand(depth));
    return absl::StrCat("NOT ", Operand(depth));
  }
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }

  // A row's value as SQL.
  std::string Value(const KindOfColumn& column) { return Below(5) == 0 ? "NULL" : Literal(column); }

 private:
  // With and without parentheses, so that precedence is tried too.
  std::string Operand(int depth) {
    const std::string inner = Next(depth - 1);
    return Below(2) == 0 ? absl::StrCat("(", inner, ")") : inner;
  }
  std::string Literal(const KindOfColumn& column) { return column.values[Below(column.values.size())]; }
  std::string Comparison(bool equality_only) {
    static constexpr const char* kAll[] = {"=", "<>", "!=", "<", "<=", ">", ">="};
    return kAll[Below(equality_only ? 3 : 7)];
  }
  // Of any type that the column may be compared with: whole columns with fractions and what is beyond their range.
  std::string Compared(const KindOfColumn& column) {
    static constexpr const char* kNumbers[] = {"0.5", "-0.5", "1.0", "99999999999999999999", "-99999999999999999999.5",
                                               "7"};
    const bool whole = column.oid == 20 || column.oid == 21 || column.oid == 23;
    return whole && Below(2) == 0 ? kNumbers[Below(6)] : Literal(column);
  }

  std::string Predicate() {
    const KindOfColumn& column = Columns()[Below(Columns().size())];
    const std::string bytewise = column.text ? " COLLATE \"C\"" : "";
    switch (Below(9)) {
      case 0:
        return absl::StrCat(column.name, Below(2) == 0 ? " IS NULL" : " is not null");
      case 1:
        return absl::StrCat(column.name, Below(2) == 0 ? " IN (" : " NOT IN (", Literal(column), ", ", Literal(column),
                            ", ", Literal(column), ")");
      case 2:
        return absl::StrCat(column.name, bytewise, Below(2) == 0 ? " BETWEEN " : " NOT BETWEEN ", Compared(column),
                            " AND ", Compared(column));
      case 3: {
        static constexpr const char* kPatterns[] = {"'%'",     "'a%'",   "'_'", "'%b'",  "'a\\%'",
                                                    "'a\\_c'", "'%z%a'", "''",  "'_b%'", "'a   '"};
        static constexpr const char* kTexts[] = {"word", "word2", "padded"};
        return absl::StrCat(kTexts[Below(3)], Below(3) == 0 ? " NOT LIKE " : " LIKE ", kPatterns[Below(10)]);
      }
      case 4: {
        static constexpr const char* kFlags[] = {
            "flag", "flag IS TRUE", "flag IS NOT TRUE", "flag IS FALSE", "flag is not false", "TRUE", "false"};
        return kFlags[Below(7)];
      }
      case 5: {
        static constexpr const char* kPairs[] = {
            "big = big2",     "big < big2",     "number >= big", "word = word2", "word COLLATE \"C\" > word2",
            "money <= exact", "small <> number"};
        return kPairs[Below(7)];
      }
      case 6:  // the literal to the left
        return absl::StrCat(Compared(column), " ", Comparison(false), " ", column.name, bytewise);
      default: {
        const bool equality = column.text && Below(2) == 0;
        return absl::StrCat(column.name, equality ? "" : bytewise, " ", Comparison(equality), " ", Compared(column));
      }
    }
  }

  std::mt19937 random_;
};

using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

class RowFilterAgainstPostgres : public testing::Test {
 protected:
  RowFilterAgainstPostgres()
      : conn_(PQconnectdb(TestPostgres::Shared(15).CreateDatabase().c_str()), PQfinish),
        seed_(std::random_device{}()),
        conditions_(seed_) {
    RecordProperty("seed", absl::StrCat(seed_));
    Run("SET timezone = 'UTC'; SET extra_float_digits = 3; SET datestyle = ISO");
  }

  Result Run(const std::string& sql, bool binary = false) {
    Result result(PQexecParams(conn_.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, binary ? 1 : 0),
                  PQclear);
    if (sql.find(';') != sql.npos) result.reset(PQexec(conn_.get(), sql.c_str()));
    const ExecStatusType status = PQresultStatus(result.get());
    EXPECT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) << PQerrorMessage(conn_.get()) << sql;
    return result;
  }

  void FillTable() {
    std::vector<std::string> columns, rows;
    for (const KindOfColumn& column : Columns()) columns.push_back(absl::StrCat(column.name, " ", column.type));
    Run(absl::StrCat("CREATE TABLE t (n serial PRIMARY KEY, ", absl::StrJoin(columns, ", "), ")"));
    for (int i = 0; i < kRows; ++i) {
      std::vector<std::string> values = {absl::StrCat(i)};
      for (const KindOfColumn& column : Columns()) values.push_back(conditions_.Value(column));
      rows.push_back(absl::StrCat("(", absl::StrJoin(values, ", "), ")"));
    }
    Run(absl::StrCat("INSERT INTO t VALUES ", absl::StrJoin(rows, ", ")));
  }

  // Without n, as tuples.
  std::vector<std::string> Tuples(bool binary) {
    const Result result = Run("SELECT * FROM t ORDER BY n", binary);
    std::vector<std::string> tuples;
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      TupleBuilder builder(&tuples.emplace_back(), PQnfields(result.get()) - 1);
      for (int column = 1; column < PQnfields(result.get()); ++column) {
        const std::string_view value(PQgetvalue(result.get(), row, column),
                                     static_cast<size_t>(PQgetlength(result.get(), row, column)));
        if (PQgetisnull(result.get(), row, column)) {
          builder.Null();
        } else {
          binary ? builder.Binary(value) : builder.Text(value);
        }
      }
    }
    return tuples;
  }

  static std::shared_ptr<Relation> Table() {
    auto relation = std::make_shared<Relation>();
    relation->schema = "public";
    relation->name = "t";
    for (const KindOfColumn& column : Columns()) {
      const int32_t typmod = std::string_view(column.type) == "numeric(12,2)" ? ((12 << 16) | 2) + 4 : -1;
      relation->columns.push_back({column.name, BuiltinType(column.oid, typmod)});
    }
    return relation;
  }

  std::unique_ptr<PGconn, decltype(&PQfinish)> conn_;
  const uint32_t seed_;
  Conditions conditions_;
};

char Letter(Truth truth) {
  return "ftn?"[static_cast<int>(truth)];
}

TEST_F(RowFilterAgainstPostgres, RandomConditionsOnRandomRows) {
  FillTable();
  const std::shared_ptr<Relation> table = Table();
  const std::vector<std::string> text = Tuples(false), binary = Tuples(true);
  ASSERT_EQ(text.size(), static_cast<size_t>(kRows));
  TupleFields fields;
  int differences = 0, trues = 0;
  for (int i = 0; i < kConditions && differences < 5; ++i) {
    const std::string condition = conditions_.Next();
    const auto filter = RowFilter::Parse(condition);
    ASSERT_TRUE(filter.ok()) << condition << ": " << filter.status();
    const auto bound = BoundFilter::Bind(*filter, *table);
    ASSERT_TRUE(bound.ok()) << condition << ": " << bound.status();
    const Result expected = Run(absl::StrCat("SELECT ", condition, " FROM t ORDER BY n"));
    ASSERT_EQ(PQntuples(expected.get()), kRows) << condition;
    for (int row = 0; row < kRows; ++row) {
      const char there = PQgetisnull(expected.get(), row, 0) ? 'n' : *PQgetvalue(expected.get(), row, 0);
      trues += there == 't';
      for (const auto* tuples : {&text, &binary}) {
        fields.Parse((*tuples)[static_cast<size_t>(row)].data());
        Truth truth = Truth::kAbsent;
        const absl::Status status = bound->Evaluate(fields, nullptr, &truth);
        if (status.ok() && Letter(truth) == there) continue;
        ++differences;
        ADD_FAILURE() << condition << " on row " << row << (tuples == &text ? " in text" : " in binary")
                      << ": PostgreSQL " << there << ", here " << Letter(truth) << " " << status << "\n"
                      << ShowRow(*table, TupleCursor(text[static_cast<size_t>(row)].data())) << "\nseed " << seed_;
        break;
      }
    }
  }
  EXPECT_GT(trues, 1000) << "seed " << seed_;  // the conditions say something
}

}  // namespace
}  // namespace wallaby
