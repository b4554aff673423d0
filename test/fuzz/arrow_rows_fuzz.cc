// Rows to Arrow columns: a table with a column of every logical type. For each field a byte for its kind (null, absent,
// text, binary), one for its length, and its bytes. The rows as sent and the same rows in text form give equal columns.
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "arrow/compare.h"
#include "arrow/record_batch.h"
#include "change/value.h"
#include "codec/arrow_rows.h"
#include "fuzz.h"

namespace wallaby {
namespace {

const Relation& Table() {
  static const Relation table = [] {
    constexpr std::array<std::pair<uint32_t, int32_t>, 19> kTypes{{{16, -1},
                                                                   {17, -1},
                                                                   {20, -1},
                                                                   {21, -1},
                                                                   {23, -1},
                                                                   {25, -1},
                                                                   {26, -1},
                                                                   {114, -1},
                                                                   {700, -1},
                                                                   {701, -1},
                                                                   {1082, -1},
                                                                   {1083, -1},
                                                                   {1114, -1},
                                                                   {1184, -1},
                                                                   {1700, -1},
                                                                   {1700, (12 << 16 | 3) + 4},
                                                                   {2950, -1},
                                                                   {3802, -1},
                                                                   {1186, -1}}};
    Relation relation;
    relation.schema = "public";
    relation.name = "t";
    for (const auto& [oid, typmod] : kTypes) {
      relation.columns.push_back({"c" + std::to_string(relation.columns.size()), BuiltinType(oid, typmod)});
    }
    return relation;
  }();
  return table;
}

std::vector<ArrowColumn> Columns() {
  std::vector<ArrowColumn> columns;
  for (size_t i = 0; i < Table().columns.size(); ++i) {
    const Column& column = Table().columns[i];
    columns.push_back({column.name, ArrowSource::kRow, static_cast<int>(i), column.type});
  }
  columns.push_back({"op", ArrowSource::kOp});
  columns.push_back({"unchanged", ArrowSource::kUnchanged});
  columns.push_back({"lsn", ArrowSource::kLsn});
  return columns;
}

std::string Row(fuzz::Input* in) {
  std::string tuple;
  TupleBuilder builder(&tuple, static_cast<int>(Table().columns.size()));
  for (size_t i = 0; i < Table().columns.size(); ++i) {
    const uint8_t kind = in->Byte() % 4;
    if (kind == 0) {
      builder.Null();
    } else if (kind == 1) {
      builder.Unchanged();
    } else {
      const std::string_view bytes = in->Take(in->Byte());
      kind == 2 ? builder.Text(bytes) : builder.Binary(bytes);
    }
  }
  return tuple;
}

// Every field in text form; false where one has none.
bool AsText(const std::string& tuple, std::string* out) {
  TupleBuilder builder(out, static_cast<int>(Table().columns.size()));
  for (TupleCursor cursor(tuple.data()); !cursor.done(); cursor.Next()) {
    const Field& field = cursor.field();
    std::string text;
    if (field.is_null() || field.is_absent()) {
      builder.Add(field);
    } else if (AppendText(field, Table().columns[static_cast<size_t>(cursor.index())].type, &text).ok()) {
      builder.Text(text);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  ArrowRows rows(Table(), Columns());
  ArrowRows texts(Table(), Columns());
  int64_t count = 0;
  while (!in.empty()) {
    const std::string tuple = Row(&in);
    RowExtras extras;
    extras.lsn = static_cast<uint64_t>(count);
    const absl::Status status = rows.Append(tuple.data(), extras);
    std::string text;
    const bool printed = AsText(tuple, &text);
    if (!status.ok()) {
      REQUIRE(absl::IsInvalidArgument(status) || absl::IsOutOfRange(status), status.message());
      if (printed) REQUIRE(!texts.Append(text.data(), extras).ok(), status.message());
      return 0;
    }
    REQUIRE(printed, "a row that was taken has no text");
    const absl::Status same = texts.Append(text.data(), extras);
    REQUIRE(same.ok(), same.message());
    ++count;
  }
  REQUIRE(rows.rows() == count, "rows are counted wrong");
  const auto batch = rows.Finish();
  const auto text_batch = texts.Finish();
  REQUIRE(batch.ok() && text_batch.ok(), "a batch cannot be finished");
  REQUIRE((*batch)->num_rows() == count, "a batch of another length");
  REQUIRE((*batch)->Validate().ok(), "a batch that is not valid");
  REQUIRE((*batch)->Equals(**text_batch, /*check_metadata=*/true, arrow::EqualOptions().nans_equal(true)),
          "as sent and as text, the columns differ");
  return 0;
}
