#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "postgres/catalog.h"

namespace wallaby {

absl::StatusOr<PgType> TypeCatalog::Resolve(uint32_t oid, int32_t typmod) {
  if (sql_ == nullptr || IsBuiltinOid(oid)) return BuiltinType(oid, typmod);
  const std::pair key(oid, typmod);
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql_->Query(
          "SELECT t.typtype, t.typbasetype, t.typtypmod, n.nspname || '.' || coalesce(e.typname || '[]', t.typname)"
          " FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace"
          " LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid WHERE t.oid = $1",
          {absl::StrCat(oid)}));
  PgType type;
  type.oid = oid;
  type.typmod = typmod;
  if (rows.size() == 0) {
    // Dropped since the row was written.
    type.source_name = absl::StrCat("type ", oid);
    return type;
  }
  const std::string name(rows.Text(0, 3));
  const std::string_view kind = rows.Text(0, 0);
  if (kind == "e") {
    type = EnumType(oid, name);
  } else if (kind == "d") {
    // A domain of a domain ends at its base. The column has no typmod of its own then.
    ASSIGN_OR_RETURN(type, Resolve(static_cast<uint32_t>(rows.Int(0, 1)), static_cast<int32_t>(rows.Int(0, 2))));
    type.source_name = name;
  } else {
    type.source_name = name;
  }
  known_[key] = type;
  return type;
}

}  // namespace wallaby
