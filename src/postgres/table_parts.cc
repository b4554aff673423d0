#include <algorithm>

#include "absl/numeric/int128.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "postgres/table_copy.h"

namespace wallaby {
namespace {

constexpr int64_t kSmallPages = 8192;
constexpr int64_t kRowsPerPart = 125'000;
constexpr int64_t kPagesPerPart = 16'384;
constexpr int kMaxParts = 512;

int PartCount(const PublishedTable& table, int wanted) {
  if (wanted > 0) return std::min(wanted, kMaxParts);
  if (table.pages < kSmallPages) return 1;
  const int64_t by_size = std::max(table.estimated_rows / kRowsPerPart, table.pages / kPagesPerPart);
  return static_cast<int>(std::clamp<int64_t>(by_size, 1, kMaxParts));
}

bool IsInteger(const PgType& type) {
  return type.logical == LogicalType::kInt16 || type.logical == LogicalType::kInt32 ||
         type.logical == LogicalType::kInt64;
}

// The column to cut by; null for none.
const Column* PartitionColumn(const Relation& relation, const std::string& wanted) {
  for (const Column& column : relation.columns) {
    if (!wanted.empty() && column.name == wanted) return &column;
  }
  if (relation.key.size() != 1) return nullptr;
  const Column& key = relation.columns[relation.key[0]];
  return IsInteger(key.type) ? &key : nullptr;
}

// Inner bounds of about equally full ranges, as the last ANALYZE saw the column; empty when it saw too little.
absl::StatusOr<std::vector<std::string>> HistogramBounds(PgConnection& sql, const Relation& relation,
                                                         const Column& column, int parts, bool inherited) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query("SELECT pg_catalog.unnest(histogram_bounds::text::text[]) FROM pg_catalog.pg_stats"
                             " WHERE schemaname = $1 AND tablename = $2 AND attname = $3 AND inherited = $4",
                             {relation.schema, relation.name, column.name, inherited ? "true" : "false"}));
  std::vector<std::string> bounds;
  const int ranges = rows.size() - 1;
  if (ranges < parts) return bounds;
  for (int i = 1; i < parts; ++i) {
    bounds.emplace_back(rows.Text(static_cast<int>(int64_t{i} * ranges / parts), 0));
    if (bounds.size() > 1 && bounds.back() == bounds[bounds.size() - 2]) bounds.pop_back();
  }
  return bounds;
}

// Ranges of equal width between the least and the greatest value.
absl::StatusOr<std::vector<std::string>> EvenBounds(PgConnection& sql, const Relation& relation, const Column& column,
                                                    int parts) {
  const std::string name = SqlIdentifier(column.name);
  ASSIGN_OR_RETURN(const PgRows rows, sql.Query(absl::StrCat("SELECT pg_catalog.min(", name, "), pg_catalog.max(", name,
                                                             ") FROM ", SqlTable(relation.schema, relation.name))));
  std::vector<std::string> bounds;
  if (rows.IsNull(0, 0)) return bounds;
  const absl::int128 least = rows.Int(0, 0);
  const absl::int128 width = absl::int128(rows.Int(0, 1)) - least;
  for (int i = 1; i < parts; ++i) {
    const std::string bound = absl::StrCat(static_cast<int64_t>(least + width * i / parts));
    if (bounds.empty() || bounds.back() != bound) bounds.push_back(bound);
  }
  return bounds;
}

TablePart MakePart(const Relation& relation, size_t index, std::string condition, bool by_key) {
  TablePart part;
  part.name = absl::StrCat(relation.schema, ".", relation.name, "/", index, ":", condition.empty() ? "all" : condition);
  part.condition = std::move(condition);
  part.by_key = by_key;
  return part;
}

// Parts below, between and above the bounds: one more than there are bounds.
std::vector<TablePart> PartsBetween(const Relation& relation, const std::string& expression,
                                    const std::vector<std::string>& bounds, bool by_key, bool nullable) {
  std::vector<TablePart> parts;
  for (size_t i = 0; i <= bounds.size(); ++i) {
    std::string condition;
    if (i > 0) condition = absl::StrCat(expression, " >= ", bounds[i - 1]);
    if (i < bounds.size()) absl::StrAppend(&condition, condition.empty() ? "" : " AND ", expression, " < ", bounds[i]);
    // Null is in no range.
    if (i == 0 && nullable && !bounds.empty()) absl::StrAppend(&condition, " OR ", expression, " IS NULL");
    parts.push_back(MakePart(relation, i, std::move(condition), by_key && !bounds.empty()));
  }
  return parts;
}

std::vector<TablePart> PagesParts(const PublishedTable& table, int count) {
  std::vector<std::string> bounds;
  for (int i = 1; i < count; ++i) {
    const int64_t page = table.pages * i / count;
    const std::string bound = absl::StrCat("'(", page, ",0)'::tid");
    if (page > 0 && (bounds.empty() || bounds.back() != bound)) bounds.push_back(bound);
  }
  return PartsBetween(table.relation, "ctid", bounds, /*by_key=*/false, /*nullable=*/false);
}

absl::StatusOr<std::vector<int64_t>> Integers(const Relation& relation, const Column& column,
                                              const std::vector<std::string>& bounds) {
  std::vector<int64_t> integers;
  for (const std::string& bound : bounds) {
    if (!absl::SimpleAtoi(bound, &integers.emplace_back())) {
      return absl::InternalError(absl::StrCat("the statistics of ", relation.QualifiedName(), ".", column.name,
                                              " hold a bound that is no number: ", bound));
    }
  }
  return integers;
}

absl::StatusOr<std::vector<TablePart>> KeyParts(PgConnection& sql, const PublishedTable& table, const Column& column,
                                                int count) {
  const Relation& relation = table.relation;
  ASSIGN_OR_RETURN(std::vector<std::string> bounds,
                   HistogramBounds(sql, relation, column, count, table.partitioned_root));
  if (bounds.empty() && IsInteger(column.type)) {
    ASSIGN_OR_RETURN(bounds, EvenBounds(sql, relation, column, count));
  }
  if (relation.key.size() == 1 && relation.columns[relation.key[0]].name == column.name && IsInteger(column.type)) {
    ASSIGN_OR_RETURN(const std::vector<int64_t> integers, Integers(relation, column, bounds));
    return KeyRangeParts(relation, column.name, integers);
  }
  for (std::string& bound : bounds) {
    // Unquoted, a negative number would be an operator on a number.
    if (!IsInteger(column.type) || bound.starts_with('-')) bound = SqlLiteral(bound);
  }
  return PartsBetween(relation, SqlIdentifier(column.name), bounds, /*by_key=*/true, /*nullable=*/!column.key);
}

}  // namespace

std::vector<TablePart> KeyRangeParts(const Relation& relation, const std::string& column,
                                     const std::vector<int64_t>& bounds) {
  std::vector<std::string> literals;
  // Unquoted, a negative number would be an operator on a number.
  for (const int64_t bound : bounds)
    literals.push_back(bound < 0 ? SqlLiteral(absl::StrCat(bound)) : absl::StrCat(bound));
  std::vector<TablePart> parts =
      PartsBetween(relation, SqlIdentifier(column), literals, /*by_key=*/true, /*nullable=*/false);
  if (bounds.empty()) return parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i].column = column;
    if (i > 0) parts[i].from = bounds[i - 1];
    if (i < bounds.size()) parts[i].to = bounds[i];
  }
  return parts;
}

absl::StatusOr<uint32_t> TableFile(PgConnection& sql, const Relation& relation) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query("SELECT pg_catalog.pg_relation_filenode($1)", {absl::StrCat(relation.oid)}));
  return static_cast<uint32_t>(rows.Int(0, 0));
}

absl::StatusOr<std::vector<TablePart>> PlanTableParts(PgConnection& sql, const PublishedTable& table,
                                                      const PartitionOptions& options) {
  const int count = PartCount(table, options.count);
  std::vector<TablePart> parts;
  const Column* column = PartitionColumn(table.relation, options.column);
  if (count > 1 && column != nullptr) {
    ASSIGN_OR_RETURN(parts, KeyParts(sql, table, *column, count));
  }
  // No statistics for the column, or one value only.
  if (parts.size() <= 1 && count > 1 && !table.partitioned_root) parts = PagesParts(table, count);
  if (parts.empty()) parts.push_back(MakePart(table.relation, 0, "", /*by_key=*/false));
  ASSIGN_OR_RETURN(const uint32_t file, TableFile(sql, table.relation));
  for (TablePart& part : parts) part.file = file;
  return parts;
}

}  // namespace wallaby
