// The numbers of tables' shapes.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/stable_hash.h"
#include "base/status.h"
#include "store/shape_number.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

// Of one table, or of all: "".
absl::StatusOr<std::vector<ShapeNumber>> Numbers(SqlSession& session, const std::string& flow_id,
                                                 const std::string& table) {
  ASSIGN_OR_RETURN(
      const SqlRows rows,
      session.Query("SELECT table_name, number, from_lsn, shape FROM @shape_numbers WHERE flow_id = $1 AND "
                    "($2 = '' OR table_name = $2) ORDER BY table_name, number",
                    {flow_id, table}));
  std::vector<ShapeNumber> numbers;
  for (int row = 0; row < rows.size(); ++row) {
    numbers.push_back({rows.Text(row, 0), rows.Int(row, 1), LsnFromStored(rows.Int(row, 2)), rows.Int(row, 3)});
  }
  return numbers;
}

}  // namespace

int64_t ShapeHash(const Relation& relation) {
  std::string text(1, static_cast<char>(relation.identity));
  for (const Column& column : relation.columns) {
    absl::StrAppend(&text, ";", column.name.size(), ":", column.name, ":", column.type.oid, ":", column.type.typmod);
  }
  for (const int column : relation.key) absl::StrAppend(&text, ";k", column);
  return static_cast<int64_t>(StableHash64(text));
}

// It may be the one that the transaction found, one that it or an earlier try of it made, or one that somebody saw
// first who was further in the stream.
int64_t FindShapeNumber(const std::vector<ShapeNumber>& numbers, const Relation& relation, Lsn lsn) {
  const std::string table = relation.QualifiedName();
  const int64_t shape = ShapeHash(relation);
  const ShapeNumber* found = nullptr;  // what the transaction finds
  for (const ShapeNumber& one : numbers) {
    if (one.table == table && one.from < lsn) found = &one;
  }
  if (found != nullptr && found->shape == shape) return found->number;
  const auto later = std::find_if(numbers.begin(), numbers.end(), [&](const ShapeNumber& one) {
    return one.table == table && one.from >= lsn && one.shape == shape;
  });
  return later == numbers.end() ? 0 : later->number;
}

absl::StatusOr<std::vector<ShapeNumber>> SqlStore::ShapeNumbers(const std::string& flow_id) {
  std::vector<ShapeNumber> numbers;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(numbers, Numbers(session, flow_id, ""));
    return absl::OkStatus();
  }));
  return numbers;
}

absl::StatusOr<int64_t> SqlStore::NumberShape(const std::string& flow_id, const Relation& relation, Lsn lsn) {
  const std::string table = relation.QualifiedName();
  int64_t number = 0;
  const auto find = [&](SqlSession& session) -> absl::StatusOr<std::vector<ShapeNumber>> {
    ASSIGN_OR_RETURN(std::vector<ShapeNumber> numbers, Numbers(session, flow_id, table));
    number = FindShapeNumber(numbers, relation, lsn);
    return numbers;
  };
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) { return find(session).status(); }));
  if (number > 0) return number;
  RETURN_IF_ERROR(Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    // One at a time: the flow and its lanes may ask at once.
    RETURN_IF_ERROR(session.Query("SELECT 1 FROM @flows WHERE id = $1 {for_update}", {flow_id}).status());
    ASSIGN_OR_RETURN(const std::vector<ShapeNumber> numbers, find(session));
    if (number > 0) return absl::OkStatus();
    // Numbers rise with positions: what comes to light late is put behind what is known.
    number = numbers.empty() ? 1 : numbers.back().number + 1;
    ASSIGN_OR_RETURN(const int64_t from, StoredLsn(numbers.empty() ? lsn : std::max(lsn, numbers.back().from)));
    return session
        .Query("INSERT INTO @shape_numbers (flow_id, table_name, number, from_lsn, shape) VALUES ($1, $2, $3, $4, $5)",
               {flow_id, table, number, from, ShapeHash(relation)})
        .status();
  }));
  return number;
}

}  // namespace wallaby
