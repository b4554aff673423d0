#include "postgres/slot_holders.h"

#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

// In whole units, the largest alone: "12s", "5m", "3h", "2d".
std::string AgeText(absl::Duration age) {
  if (age < absl::Minutes(1)) return absl::StrCat(absl::ToInt64Seconds(age), "s");
  if (age < absl::Hours(1)) return absl::StrCat(absl::ToInt64Minutes(age), "m");
  if (age < absl::Hours(48)) return absl::StrCat(absl::ToInt64Hours(age), "h");
  return absl::StrCat(absl::ToInt64Hours(age) / 24, "d");
}

}  // namespace

std::string SlotHolder::Describe() const {
  const std::string shown = age ? AgeText(*age) : "age hidden";
  const std::string whose = absl::StrCat(" of role ", role, " in database ", database);
  if (pid == 0) return absl::StrCat("prepared transaction ", SqlLiteral(gid), " (", shown, ")", whose);
  return absl::StrCat("pid ", pid, " (", state.empty() ? "" : absl::StrCat(state, ", "), shown, ")", whose);
}

std::string SlotHolder::EndSql() const {
  if (pid == 0) return absl::StrCat("ROLLBACK PREPARED ", SqlLiteral(gid), ";");
  return absl::StrCat("SELECT pg_terminate_backend(", pid, ");");
}

std::string SlotHolder::EndAs() const {
  if (pid == 0) return absl::StrCat("role ", role, " in database ", database, "; or COMMIT PREPARED, to keep its rows");
  return absl::StrCat("role ", role, ", or a member of pg_signal_backend");
}

absl::StatusOr<std::vector<SlotHolder>> FindSlotHolders(PgConnection& sql) {
  // Ages of other roles' sessions are hidden from most roles, their transaction numbers are not. What replays WAL or
  // sends it holds nothing by a transaction of its own.
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query("SELECT a.pid, '' AS gid, coalesce(a.usename, ''), coalesce(a.datname, ''), coalesce(a.state, ''),"
                " extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::bigint,"
                " pg_catalog.age(a.backend_xid) AS since"
                " FROM pg_catalog.pg_stat_activity a"
                " WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()"
                " UNION ALL SELECT 0, p.gid, p.owner, p.database, '',"
                " extract(epoch FROM pg_catalog.clock_timestamp() - p.prepared)::bigint,"
                " pg_catalog.age(p.transaction) FROM pg_catalog.pg_prepared_xacts p ORDER BY since DESC, 1, 2"));
  std::vector<SlotHolder> holders;
  for (int i = 0; i < rows.size(); ++i) {
    SlotHolder& holder = holders.emplace_back();
    holder.pid = static_cast<int>(rows.Int(i, 0));
    holder.gid = rows.Text(i, 1);
    holder.role = rows.Text(i, 2);
    holder.database = rows.Text(i, 3);
    holder.state = rows.Text(i, 4);
    if (!rows.IsNull(i, 5)) holder.age = absl::Seconds(rows.Int(i, 5));
    holder.transactions = rows.Int(i, 6);
  }
  return holders;
}

}  // namespace wallaby
