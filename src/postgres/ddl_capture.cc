#include "postgres/ddl_capture.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "change/json_integer.h"
#include "nlohmann/json.hpp"
#include "postgres/ddl_capture_sql.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;

// Whether functions, triggers and state table are there, enabled and of this version.
absl::StatusOr<bool> IsInstalled(PgConnection& sql, const SourceOptions& options) {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query("SELECT pg_catalog.obj_description(p.oid, 'pg_proc') = $3"
                " AND (SELECT count(*) FROM pg_catalog.pg_event_trigger t WHERE t.evtfoid = p.oid"
                "      AND t.evtname IN ($2::text, $2::text || '_drop') AND t.evtenabled IN ('O', 'A')) = 2"
                " AND pg_catalog.to_regclass($4) IS NOT NULL"
                " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
                " WHERE n.nspname = $1 AND p.proname = $2::text",
                {options.ddl_trigger_schema, options.ddl_trigger_name, DdlCaptureMark(sql.server_major()),
                 SqlTable(options.state_schema, options.state_table)}));
  return rows.size() == 1 && rows.Bool(0, 0);
}

// ---- messages ----

PgType Resolve(TypeCatalog& types, uint32_t oid, int32_t typmod, absl::Status* status) {
  absl::StatusOr<PgType> type = types.Resolve(oid, typmod);
  if (type.ok()) return *std::move(type);
  *status = type.status();
  return {};
}

ReplicaIdentity Identity(const Json& json) {
  const auto text = json.get<std::string>();
  if (text.size() != 1 || !IsReplicaIdentity(text[0])) throw std::out_of_range("no replica identity: " + text);
  return static_cast<ReplicaIdentity>(text[0]);
}

std::vector<int> Numbers(const Json& json) {
  std::vector<int> numbers;
  if (!json.is_array()) return numbers;
  for (const Json& number : json) numbers.push_back(JsonInteger<int>(number));
  return numbers;
}

bool Contains(const std::vector<int>& numbers, int number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

ColumnDetail ReadDetail(const Json& column) {
  ColumnDetail detail;
  detail.attnum = JsonInteger<int>(column.at("num"));
  detail.not_null = column.at("not_null").get<bool>();
  if (column.at("default").is_string()) detail.default_sql = column.at("default").get<std::string>();
  if (column.at("fill").is_string()) detail.fill = column.at("fill").get<std::string>();
  detail.filled_by_rewrite = column.at("rewritten").get<bool>();
  return detail;
}

// Which of the table's columns a publication sends. Before 15 the list is null; before 18 generated columns never go.
bool IsSent(const Json& column, const Json& sent, int server_major) {
  if (server_major < 18 && column.at("generated").get<bool>()) return false;
  if (!sent.is_array()) return !column.at("generated").get<bool>();
  return std::find(sent.begin(), sent.end(), column.at("name")) != sent.end();
}

// Nothing when the publication does not have the table. The key by the rule of change/relation.h.
std::optional<TableShape> ReadShape(const Json& json, const std::string& publication, int server_major,
                                    TypeCatalog& types, absl::Status* status) {
  if (!json.is_object() || !json.at("publications").contains(publication)) return std::nullopt;
  const Json& sent = json.at("publications").at(publication);
  TableShape shape;
  Relation& relation = shape.relation;
  relation.oid = JsonInteger<uint32_t>(json.at("oid"));
  relation.schema = json.at("schema").get<std::string>();
  relation.name = json.at("name").get<std::string>();
  relation.identity = Identity(json.at("identity"));
  const bool full = relation.identity == ReplicaIdentity::kFull;
  std::vector<int> key;
  if (relation.identity == ReplicaIdentity::kIndex) {
    key = Numbers(json.at("ri"));
  } else if (relation.identity != ReplicaIdentity::kNothing) {
    key = Numbers(json.at("pk"));
  }
  for (const Json& entry : json.at("columns")) {
    if (!IsSent(entry, sent, server_major)) continue;
    Column column;
    column.name = entry.at("name").get<std::string>();
    column.type =
        Resolve(types, JsonInteger<uint32_t>(entry.at("type")), JsonInteger<int32_t>(entry.at("typmod")), status);
    const bool identifies = Contains(key, JsonInteger<int>(entry.at("num")));
    column.key = full || identifies;
    if (identifies) relation.key.push_back(static_cast<int>(relation.columns.size()));
    relation.columns.push_back(std::move(column));
    shape.details.push_back(ReadDetail(entry));
  }
  if (relation.key.size() != key.size()) relation.key.clear();
  return shape;
}

}  // namespace

absl::Status EnsureDdlCapture(PgConnection& sql, const SourceOptions& options) {
  ASSIGN_OR_RETURN(const bool installed, IsInstalled(sql, options));
  if (installed) return absl::OkStatus();
  if (!options.ensure_state) {
    return absl::FailedPreconditionError(
        absl::StrCat("the DDL capture is not installed, or not in this version, and option ensure_state is false; set "
                     "it to true, or capture_ddl to false"));
  }
  absl::Status status = sql.Execute(DdlCaptureSql(options, sql.server_major()));
  if (status.ok()) return status;
  sql.Execute("ROLLBACK").IgnoreError();
  const std::string doing = absl::StrCat("installing the DDL capture (event trigger ", options.ddl_trigger_name, ")");
  if (!absl::IsPermissionDenied(status)) return Annotate(status, doing);
  return absl::PermissionDeniedError(absl::StrCat(
      doing, ": ", status.message(),
      "; an event trigger needs a superuser: run this flow once as one, then go on with the usual role, or set option "
      "capture_ddl to false"));
}

absl::StatusOr<DdlMessage> ParseDdlMessage(std::string_view content, const std::string& publication,
                                           TypeCatalog& types) {
  DdlMessage message;
  absl::Status status;
  try {
    const Json json = Json::parse(content);
    if (JsonInteger<int>(json.at("v")) != kDdlCaptureVersion) {
      return absl::DataLossError(absl::StrCat("a DDL message has version ", JsonInteger<int>(json.at("v")),
                                              ", and this program knows version ", kDdlCaptureVersion));
    }
    const int major = JsonInteger<int>(json.at("server"));
    message.tag = json.at("tag").get<std::string>();
    if (json.at("sql").is_string()) message.sql = json.at("sql").get<std::string>();
    const Json none;
    const Json& before = json.contains("before") ? json.at("before") : none;
    const Json& after = json.contains("after") ? json.at("after") : none;
    message.before = ReadShape(before, publication, major, types, &status);
    message.after = ReadShape(after, publication, major, types, &status);
    message.first_seen = !before.is_object();
  } catch (const std::exception& error) {
    return absl::DataLossError(absl::StrCat("a DDL message cannot be read: ", error.what()));
  }
  if (!status.ok()) return status;
  return message;
}

absl::StatusOr<TableShape> ShapeFromCatalog(PgConnection& sql, const Relation& announced) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query(absl::StrCat("SELECT a.attname, a.attnum, ", kColumnDetailSql,
                                          " FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d"
                                          " ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
                                          " WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped"),
                             {absl::StrCat(announced.oid)}));
  std::map<std::string, ColumnDetail, std::less<>> by_name;
  for (int i = 0; i < rows.size(); ++i) {
    ColumnDetail detail;
    detail.attnum = static_cast<int>(rows.Int(i, 1));
    detail.not_null = rows.Bool(i, 2);
    detail.default_sql = rows.Text(i, 3);
    if (!rows.IsNull(i, 4)) detail.fill = std::string(rows.Text(i, 4));
    detail.filled_by_rewrite = rows.Bool(i, 5);
    by_name[std::string(rows.Text(i, 0))] = std::move(detail);
  }
  TableShape shape{.relation = announced};
  for (const Column& column : announced.columns) {
    const auto found = by_name.find(column.name);
    shape.details.push_back(found == by_name.end() ? ColumnDetail() : found->second);
  }
  return shape;
}

}  // namespace wallaby
