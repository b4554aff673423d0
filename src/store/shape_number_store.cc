// The numbers of tables' shapes.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/stable_hash.h"
#include "base/status.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

struct NumberedShape {
  int64_t number = 0;
  Lsn from;
  int64_t shape = 0;
};

// Two shapes of one table are told apart by it. Nothing in it depends on how the values are read.
int64_t ShapeHash(const Relation& relation) {
  std::string text(1, static_cast<char>(relation.identity));
  for (const Column& column : relation.columns) {
    absl::StrAppend(&text, ";", column.name.size(), ":", column.name, ":", column.type.oid, ":", column.type.typmod);
  }
  for (const int column : relation.key) absl::StrAppend(&text, ";k", column);
  return static_cast<int64_t>(StableHash64(text));
}

absl::StatusOr<std::vector<NumberedShape>> NumberedShapes(SqlSession& session, const std::string& flow_id,
                                                          const std::string& table) {
  ASSIGN_OR_RETURN(const SqlRows rows,
                   session.Query("SELECT number, from_lsn, shape FROM @shape_numbers WHERE flow_id = $1 AND "
                                 "table_name = $2 ORDER BY number",
                                 {flow_id, table}));
  std::vector<NumberedShape> shapes;
  for (int row = 0; row < rows.size(); ++row) {
    shapes.push_back({rows.Int(row, 0), LsnFromStored(rows.Int(row, 1)), rows.Int(row, 2)});
  }
  return shapes;
}

// The number that the shape has at `lsn`; 0: none yet. It may be the one that the transaction found, one that it or an
// earlier try of it made, or one that somebody saw first who was further in the stream.
int64_t FindNumber(const std::vector<NumberedShape>& shapes, int64_t shape, Lsn lsn) {
  const auto first = std::find_if(shapes.begin(), shapes.end(), [lsn](const auto& s) { return s.from >= lsn; });
  if (first != shapes.begin() && std::prev(first)->shape == shape) return std::prev(first)->number;
  const auto later = std::find_if(first, shapes.end(), [shape](const auto& s) { return s.shape == shape; });
  return later == shapes.end() ? 0 : later->number;
}

}  // namespace

absl::StatusOr<int64_t> SqlStore::ShapeNumber(const std::string& flow_id, const Relation& relation, Lsn lsn) {
  const std::string table = relation.QualifiedName();
  const int64_t shape = ShapeHash(relation);
  int64_t number = 0;
  const auto find = [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<NumberedShape> shapes, NumberedShapes(session, flow_id, table));
    number = FindNumber(shapes, shape, lsn);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, find));
  if (number > 0) return number;
  RETURN_IF_ERROR(Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    // One at a time: the flow and its lanes may ask at once.
    RETURN_IF_ERROR(session.Query("SELECT 1 FROM @flows WHERE id = $1 {for_update}", {flow_id}).status());
    ASSIGN_OR_RETURN(const std::vector<NumberedShape> shapes, NumberedShapes(session, flow_id, table));
    number = FindNumber(shapes, shape, lsn);
    if (number > 0) return absl::OkStatus();
    // Numbers rise with positions: what comes to light late is put behind what is known.
    number = shapes.empty() ? 1 : shapes.back().number + 1;
    ASSIGN_OR_RETURN(const int64_t from, StoredLsn(shapes.empty() ? lsn : std::max(lsn, shapes.back().from)));
    return session
        .Query("INSERT INTO @shape_numbers (flow_id, table_name, number, from_lsn, shape) VALUES ($1, $2, $3, $4, $5)",
               {flow_id, table, number, from, shape})
        .status();
  }));
  return number;
}

}  // namespace wallaby
