#include "stream/segments.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

// As many as one pull may touch. Those behind them are for the next.
constexpr int kSegmentsOfRead = 64;
// Of a message in an answer, beside its texts.
constexpr int kMessageOverhead = 128;
constexpr int64_t kMicrosFrom1970To2000 = 946684800LL * 1000000;

// Columns of the binary form, in the order of ReadSql().
enum Column { kId, kLsn, kSeq, kCommittedAt, kCreatedAt, kOperation, kSpace, kTable, kKey, kPayload, kSize, kNext };

int64_t BigEndian64(std::string_view bytes) {
  WALLABY_CHECK(bytes.size() == 8, "the column is of eight bytes");
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return static_cast<int64_t>(__builtin_bswap64(value));
}

absl::Time BinaryTime(std::string_view bytes) {
  return absl::FromUnixMicros(BigEndian64(bytes) + kMicrosFrom1970To2000);
}

std::string ReadSql(const std::string& segment, IdRange range, int64_t limit, int64_t bytes) {
  return absl::StrCat(
      "SELECT id, lsn, seq, committed_at, created_at, operation, namespace, table_name, key, payload, size, next FROM "
      "(SELECT m.*, sum(size) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING)::bigint AS total, "
      "lead(id) OVER (ORDER BY id) AS next FROM "
      "(SELECT *, (octet_length(payload) + coalesce(octet_length(key), 0) + octet_length(namespace) + "
      "octet_length(table_name) + ",
      kMessageOverhead, ")::bigint AS size FROM ", segment, " WHERE id BETWEEN ", range.first, " AND ", range.last,
      " ORDER BY id LIMIT ", limit, ") m) t WHERE total <= ", bytes, " OR total = size ORDER BY id");
}

// The first id in segments that `segment_condition` picks whose message meets `condition`.
absl::StatusOr<int64_t> Find(PgConnection& sql, const StreamTables& tables, int64_t stream_id,
                             const std::string& segment_condition, const std::string& condition) {
  ASSIGN_OR_RETURN(const PgRows segments,
                   sql.Query(absl::StrCat("SELECT first_id FROM ", tables.segments(), " WHERE stream_id = ", stream_id,
                                          " AND last_id >= first_id AND ", segment_condition, " ORDER BY first_id")));
  for (int i = 0; i < segments.size(); ++i) {
    ASSIGN_OR_RETURN(const PgRows found,
                     sql.Query(absl::StrCat("SELECT id FROM ", tables.segment(stream_id, segments.Int(i, 0)), " WHERE ",
                                            condition, " ORDER BY id LIMIT 1")));
    if (found.size() > 0) return found.Int(0, 0);
  }
  ASSIGN_OR_RETURN(const PgRows last,
                   sql.Query(absl::StrCat("SELECT last_id FROM ", tables.streams(), " WHERE id = ", stream_id)));
  if (last.size() == 0) return absl::NotFoundError("the stream is gone");
  return last.Int(0, 0) + 1;
}

}  // namespace

absl::StatusOr<std::vector<Segment>> LoadSegments(PgConnection& sql, const StreamTables& tables, int64_t stream_id,
                                                  int64_t from) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query(absl::StrCat("SELECT first_id, last_id, wire_format FROM ", tables.segments(),
                                          " WHERE stream_id = ", stream_id, " AND last_id >= ", from,
                                          " ORDER BY first_id LIMIT ", kSegmentsOfRead)));
  std::vector<Segment> segments;
  for (int i = 0; i < rows.size(); ++i) {
    segments.push_back({{rows.Int(i, 0), rows.Int(i, 1)}, std::string(rows.Text(i, 2))});
  }
  return segments;
}

MessageReader::MessageReader(PgConnection& sql, const StreamTables& tables, int64_t stream_id,
                             std::vector<Segment> segments, int64_t max_messages, int64_t max_bytes, Sink sink)
    : sql_(sql),
      tables_(tables),
      stream_id_(stream_id),
      segments_(std::move(segments)),
      messages_left_(max_messages),
      bytes_left_(max_bytes),
      sink_(sink) {}

int64_t MessageReader::FirstKept(int64_t id) const {
  for (const Segment& segment : segments_) {
    if (segment.ids.last >= id) return std::max(id, segment.ids.first);
  }
  return id;
}

absl::StatusOr<int64_t> MessageReader::Read(IdRange range, const Claim& like, std::vector<Claim>* read) {
  for (const Segment& segment : segments_) {
    const IdRange part = {std::max(range.first, segment.ids.first), std::min(range.last, segment.ids.last)};
    if (part.first > part.last) continue;
    ASSIGN_OR_RETURN(const int64_t through, ReadSegment(segment, part, like, read));
    if (full_) return through;
  }
  return std::min(range.last, reach());
}

absl::StatusOr<int64_t> MessageReader::ReadSegment(const Segment& segment, IdRange range, const Claim& like,
                                                   std::vector<Claim>* read) {
  ASSIGN_OR_RETURN(const PgRows rows, sql_.QueryBinary(ReadSql(tables_.segment(stream_id_, segment.ids.first), range,
                                                               messages_left_, bytes_left_)));
  int64_t through = range.first - 1;
  for (int i = 0; i < rows.size(); ++i) {
    const int64_t size = BigEndian64(rows.Text(i, kSize));
    // The server gives the first of a segment whatever its size.
    full_ = !first_ && size > bytes_left_;
    if (full_) return through;
    MessageRow row;
    row.id = BigEndian64(rows.Text(i, kId));
    row.lsn = Lsn{static_cast<uint64_t>(BigEndian64(rows.Text(i, kLsn)))};
    row.seq = BigEndian64(rows.Text(i, kSeq));
    if (!rows.IsNull(i, kCommittedAt)) row.committed_at = BinaryTime(rows.Text(i, kCommittedAt));
    row.created_at = BinaryTime(rows.Text(i, kCreatedAt));
    row.operation = rows.Text(i, kOperation);
    row.space = rows.Text(i, kSpace);
    row.table = rows.Text(i, kTable);
    row.key = rows.Text(i, kKey);
    row.payload = rows.Text(i, kPayload);
    row.wire_format = segment.wire_format;
    row.deliveries = like.deliveries;
    RETURN_IF_ERROR(sink_(row));
    Append(row.id, like, read);
    through = row.id;
    first_ = false;
    bytes_left_ -= size;
    --messages_left_;
  }
  // More were there than the answer may hold.
  full_ = messages_left_ <= 0 || (rows.size() > 0 && !rows.IsNull(rows.size() - 1, kNext));
  return full_ ? through : range.last;
}

absl::StatusOr<int64_t> FindByLsn(PgConnection& sql, const StreamTables& tables, int64_t stream_id, Lsn lsn) {
  const std::string text = SqlLiteral(lsn.ToString());
  return Find(sql, tables, stream_id, absl::StrCat("max_lsn >= ", text), absl::StrCat("lsn >= ", text));
}

absl::StatusOr<int64_t> FindByTime(PgConnection& sql, const StreamTables& tables, int64_t stream_id, absl::Time time) {
  const std::string text = SqlLiteral(absl::FormatTime("%Y-%m-%d %H:%M:%E6S+00", time, absl::UTCTimeZone()));
  return Find(sql, tables, stream_id, absl::StrCat("last_at >= ", text), absl::StrCat("created_at >= ", text));
}

// ---- retention ----

namespace {

// Segments that may go, the oldest first.
std::string OldSegmentsSql(const StreamTables& tables, int64_t stream_id, const Retention& retention) {
  std::string old = "false";
  if (retention.age) {
    absl::StrAppend(&old, " OR last_at < now() - interval '", absl::ToInt64Seconds(*retention.age), " seconds'");
  }
  if (retention.bytes) absl::StrAppend(&old, " OR bytes_behind >= ", *retention.bytes);
  if (retention.messages) absl::StrAppend(&old, " OR messages_behind >= ", *retention.messages);
  std::string read;
  if (!retention.drop_unread) {
    read = absl::StrCat(" AND last_id < ALL (SELECT least(g.next_id, (SELECT min(c.first_id) FROM ", tables.claims(),
                        " c WHERE c.stream_id = g.stream_id AND c.consumer_group = g.name)) FROM ", tables.groups(),
                        " g WHERE g.stream_id = ", stream_id, ")");
  }
  return absl::StrCat(
      "SELECT first_id FROM (SELECT first_id, last_id, last_at, lead(first_id) OVER w AS next, "
      "sum(bytes) OVER behind AS bytes_behind, sum(last_id - first_id + 1) OVER behind AS messages_behind FROM ",
      tables.segments(), " WHERE stream_id = ", stream_id,
      " WINDOW w AS (ORDER BY first_id), "
      "behind AS (ORDER BY first_id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) s WHERE next IS NOT NULL "
      "AND (",
      old, ")", read, " ORDER BY first_id");
}

}  // namespace

absl::StatusOr<int> DropSegments(PgConnection& sql, const StreamTables& tables, int64_t stream_id,
                                 const Retention& retention) {
  if (retention.keeps_all()) return 0;
  ASSIGN_OR_RETURN(const PgRows old, sql.Query(OldSegmentsSql(tables, stream_id, retention)));
  int dropped = 0;
  for (int i = 0; i < old.size(); ++i) {
    const int64_t first_id = old.Int(i, 0);
    RETURN_IF_ERROR(sql.Execute("BEGIN; SET LOCAL lock_timeout = '2s'"));
    absl::Status status = sql.Execute(absl::StrCat("DELETE FROM ", tables.segments(), " WHERE stream_id = ", stream_id,
                                                   " AND first_id = ", first_id, "; DROP TABLE IF EXISTS ",
                                                   tables.segment(stream_id, first_id), "; COMMIT"));
    if (!status.ok()) {
      RETURN_IF_ERROR(sql.Execute("ROLLBACK"));
      if (absl::IsUnavailable(status)) break;  // somebody reads it
      return status;
    }
    ++dropped;
  }
  return dropped;
}

}  // namespace wallaby
