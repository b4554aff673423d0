#include "postgres/slot_history.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "pgoutput/messages.h"
#include "postgres/walsender_stream.h"

namespace wallaby {

absl::StatusOr<std::optional<Transaction>> LastSent(PgConnection& sql, const std::string& slot,
                                                    const std::string& publication, Lsn upto, Sent sent) {
  StreamOptions options;
  options.publication = publication;
  options.messages = sent == Sent::kAnything;
  std::string plugin;
  for (const auto& [option, value] : PluginOptions(options)) {
    absl::StrAppend(&plugin, ", ", SqlLiteral(option), ", ", SqlLiteral(value));
  }
  // By the messages' first bytes: the begin of the last transaction, or of the last one that has an I, U, D or T.
  const std::string_view before =
      sent == Sent::kAnything ? "" : " AND n < (SELECT max(n) FROM sent WHERE kind IN (73, 85, 68, 84))";
  const std::string query = absl::StrCat(
      "WITH sent AS MATERIALIZED (SELECT n, get_byte(data, 0) AS kind, CASE get_byte(data, 0) WHEN 66 THEN data END AS "
      "begins FROM pg_catalog.pg_logical_slot_peek_binary_changes(",
      SqlLiteral(slot), ", ", SqlLiteral(upto.ToString()), ", NULL", plugin,
      ") WITH ORDINALITY AS peeked(lsn, xid, data, n)) SELECT encode(begins, 'hex') FROM sent WHERE kind = 66", before,
      " ORDER BY n DESC LIMIT 1");
  const auto rows = sql.Query(query);
  if (!rows.ok()) {
    if (absl::StrContains(rows.status().message(), "is active for PID")) {
      return absl::UnavailableError(rows.status().message());
    }
    return Annotate(rows.status(), "asking what the slot would send again");
  }
  if (rows->size() == 0) return std::nullopt;
  pgoutput::Begin begin;
  RETURN_IF_ERROR(pgoutput::ParseBegin(absl::HexStringToBytes(rows->Text(0, 0)), &begin));
  return Transaction{
      .commit = begin.commit, .end = Lsn{}, .commit_time_micros = begin.commit_time_micros, .xid = begin.xid};
}

}  // namespace wallaby
