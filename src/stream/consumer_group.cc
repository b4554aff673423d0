#include "stream/consumer_group.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"

namespace wallaby {
namespace {

// As many as one pull looks at: consumers that took single messages and died leave many.
constexpr int kExpiredOfPull = 200;

absl::StatusOr<double> Number(std::string_view text) {
  double value = 0;
  if (!absl::SimpleAtod(text, &value)) return absl::InternalError("the server gave no number");
  return value;
}

}  // namespace

absl::StatusOr<std::optional<int64_t>> FindStreamId(PgConnection& sql, const StreamTables& tables,
                                                    const std::string& name) {
  ASSIGN_OR_RETURN(const PgRows there, sql.Query(tables.AreThereSql()));
  if (!there.Bool(0, 0)) return std::nullopt;
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql.Query(absl::StrCat("SELECT id FROM ", tables.streams(), " WHERE name = ", SqlLiteral(name))));
  if (rows.size() == 0) return std::nullopt;
  return rows.Int(0, 0);
}

// What a pull takes out of the stream.
struct ConsumerGroup::Taken {
  int64_t next_id = 1;
  int64_t skipped = 0;
  ClaimChange expired;       // claims that were looked at go, what is left of them comes again
  std::vector<Claim> given;  // what is handed out
  int64_t redelivered = 0;

  int64_t messages() const {
    int64_t count = 0;
    for (const Claim& claim : given) count += claim.ids.size();
    return count;
  }
};

ConsumerGroup::ConsumerGroup(PgConnection& sql, StreamTables tables, int64_t stream_id, std::string_view name)
    : sql_(sql),
      tables_(std::move(tables)),
      stream_id_(stream_id),
      where_(absl::StrCat("stream_id = ", stream_id, " AND consumer_group = ", SqlLiteral(name))),
      values_(absl::StrCat("(", stream_id, ", ", SqlLiteral(name), ", ")),
      name_(SqlLiteral(name)) {}

absl::StatusOr<int64_t> ConsumerGroup::Lock(std::string_view set) {
  const std::string lock = absl::StrCat("SELECT next_id FROM ", tables_.groups(), " WHERE stream_id = ", stream_id_,
                                        " AND name = ", name_, " FOR UPDATE");
  ASSIGN_OR_RETURN(PgRows rows, sql_.Query(absl::StrCat("BEGIN; ", set, lock)));
  if (rows.size() > 0) return rows.Int(0, 0);
  ASSIGN_OR_RETURN(const PgRows count, sql_.Query(absl::StrCat("SELECT count(*) FROM ", tables_.groups(),
                                                               " WHERE stream_id = ", stream_id_)));
  if (count.Int(0, 0) >= kMostGroups) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the stream has ", kMostGroups,
                     " consumer groups, as many as there may be; delete one with wallaby-admin stream delete-group"));
  }
  RETURN_IF_ERROR(
      sql_.Execute(absl::StrCat("INSERT INTO ", tables_.groups(), " (stream_id, name, next_id) SELECT ", stream_id_,
                                ", ", name_, ", coalesce(min(first_id), 1) FROM ", tables_.segments(),
                                " WHERE stream_id = ", stream_id_, " ON CONFLICT DO NOTHING")));
  ASSIGN_OR_RETURN(rows, sql_.Query(lock));
  if (rows.size() == 0) return absl::AbortedError("the consumer group was deleted meanwhile; try again");
  return rows.Int(0, 0);
}

absl::StatusOr<std::vector<Claim>> ConsumerGroup::LoadClaims(std::string_view condition) {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql_.Query(absl::StrCat("SELECT first_id, last_id, consumer, visible_at, deliveries FROM ",
                                           tables_.claims(), " WHERE ", where_, " AND ", condition)));
  std::vector<Claim> claims;
  for (int i = 0; i < rows.size(); ++i) {
    claims.push_back({{rows.Int(i, 0), rows.Int(i, 1)},
                      std::string(rows.Text(i, 2)),
                      std::string(rows.Text(i, 3)),
                      static_cast<int>(rows.Int(i, 4))});
  }
  return claims;
}

std::string ConsumerGroup::ChangeSql(const ClaimChange& change) const {
  std::string sql;
  if (!change.removed.empty()) {
    absl::StrAppend(&sql, "DELETE FROM ", tables_.claims(), " WHERE ", where_, " AND first_id IN (",
                    absl::StrJoin(change.removed, ","), ");");
  }
  if (!change.added.empty()) {
    absl::StrAppend(&sql, "INSERT INTO ", tables_.claims(), " VALUES ");
    const char* separator = "";
    for (const Claim& claim : change.added) {
      absl::StrAppend(&sql, separator, values_, claim.ids.first, ", ", claim.ids.last, ", ", SqlLiteral(claim.consumer),
                      ", ", SqlLiteral(claim.visible_at), ", ", claim.deliveries, ")");
      separator = ", ";
    }
    sql.push_back(';');
  }
  return sql;
}

// ---- pull ----

absl::Status ConsumerGroup::TakeExpired(const std::vector<Claim>& expired, MessageReader& reader, Taken* taken) {
  for (const Claim& claim : expired) {
    if (reader.full() || claim.ids.first > reader.reach()) break;
    Claim like = claim;
    ++like.deliveries;
    taken->expired.removed.push_back(claim.ids.first);
    const int64_t before = taken->messages();
    ASSIGN_OR_RETURN(const int64_t through, reader.Read(claim.ids, like, &taken->given));
    // Those that nobody acknowledged and that are gone.
    taken->skipped += std::max(through + 1 - claim.ids.first, int64_t{0}) - (taken->messages() - before);
    if (through == claim.ids.last) continue;
    Claim rest = claim;
    rest.ids.first = std::max(through + 1, claim.ids.first);
    taken->expired.added.push_back(rest);
  }
  taken->redelivered = taken->messages();
  return absl::OkStatus();
}

absl::Status ConsumerGroup::TakeNew(MessageReader& reader, Taken* taken) {
  if (reader.full()) return absl::OkStatus();
  const int64_t first = reader.FirstKept(taken->next_id);
  // Also where retention has removed all that was before.
  taken->skipped += first - taken->next_id;
  taken->next_id = first;
  if (first > reader.reach()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int64_t through, reader.Read({first, reader.reach()}, Claim{}, &taken->given));
  taken->next_id = std::max(through + 1, first);
  return absl::OkStatus();
}

absl::StatusOr<PullResult> ConsumerGroup::Pull(const PullOptions& options,
                                               absl::FunctionRef<absl::Status(const MessageRow&)> sink) {
  Taken taken;
  ASSIGN_OR_RETURN(taken.next_id, Lock("SET LOCAL synchronous_commit = off; "));
  const int64_t next_before = taken.next_id;
  ASSIGN_OR_RETURN(
      const std::vector<Claim> expired,
      LoadClaims(absl::StrCat("visible_at <= clock_timestamp() ORDER BY first_id LIMIT ", kExpiredOfPull)));
  const int64_t from = expired.empty() ? taken.next_id : std::min(taken.next_id, expired.front().ids.first);
  ASSIGN_OR_RETURN(std::vector<Segment> segments, LoadSegments(sql_, tables_, stream_id_, from));
  MessageReader reader(sql_, tables_, stream_id_, std::move(segments), options.max_messages, options.max_bytes, sink);
  RETURN_IF_ERROR(TakeExpired(expired, reader, &taken));
  RETURN_IF_ERROR(TakeNew(reader, &taken));
  PullResult result;
  result.messages = taken.messages();
  result.redelivered = taken.redelivered;
  result.next_id = taken.next_id;
  // Claims of messages that are gone were looked at in place of others.
  result.more = reader.full() || (result.messages == 0 && !taken.expired.removed.empty());
  if (result.messages == 0 && !result.more) {
    ASSIGN_OR_RETURN(result.until_visible, UntilVisible());
  }
  if (result.messages == 0 && taken.expired.removed.empty() && taken.next_id == next_before) {
    RETURN_IF_ERROR(sql_.Execute("COMMIT"));
  } else {
    RETURN_IF_ERROR(StorePull(options, taken));
  }
  return result;
}

absl::Status ConsumerGroup::StorePull(const PullOptions& options, const Taken& taken) {
  std::string sql = absl::StrCat("UPDATE ", tables_.groups(), " SET next_id = ", taken.next_id,
                                 ", skipped = skipped + ", taken.skipped, " WHERE stream_id = ", stream_id_,
                                 " AND name = ", name_, ";", ChangeSql(taken.expired));
  if (!taken.given.empty()) {
    const std::string visible = absl::StrCat(", ", SqlLiteral(options.consumer), ", clock_timestamp() + interval '",
                                             absl::ToInt64Milliseconds(options.visibility), " milliseconds', ");
    absl::StrAppend(&sql, "INSERT INTO ", tables_.claims(), " VALUES ");
    const char* separator = "";
    for (const Claim& claim : taken.given) {
      absl::StrAppend(&sql, separator, values_, claim.ids.first, ", ", claim.ids.last, visible, claim.deliveries, ")");
      separator = ", ";
    }
    sql.push_back(';');
  }
  return sql_.Execute(absl::StrCat(sql, "COMMIT"));
}

absl::StatusOr<absl::Duration> ConsumerGroup::UntilVisible() {
  ASSIGN_OR_RETURN(const PgRows rows,
                   sql_.Query(absl::StrCat("SELECT extract(epoch FROM min(visible_at) - clock_timestamp()) FROM ",
                                           tables_.claims(), " WHERE ", where_)));
  if (rows.IsNull(0, 0)) return absl::InfiniteDuration();
  ASSIGN_OR_RETURN(const double seconds, Number(rows.Text(0, 0)));
  return std::max(absl::Seconds(seconds), absl::ZeroDuration());
}

// ---- the others ----

absl::StatusOr<int64_t> ConsumerGroup::Ack(std::vector<int64_t> ids) {
  if (ids.empty()) return 0;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  ASSIGN_OR_RETURN(const PgRows group,
                   sql_.Query(absl::StrCat("BEGIN; SELECT FROM ", tables_.groups(), " WHERE stream_id = ", stream_id_,
                                           " AND name = ", name_, " FOR UPDATE")));
  ClaimChange change;
  if (group.size() > 0) {
    ASSIGN_OR_RETURN(
        const std::vector<Claim> claims,
        LoadClaims(absl::StrCat("last_id >= ", ids.front(), " AND first_id <= ", ids.back(), " ORDER BY first_id")));
    change = WithoutIds(claims, ids);
  }
  RETURN_IF_ERROR(sql_.Execute(absl::StrCat(ChangeSql(change), "COMMIT")));
  return change.ids;
}

absl::StatusOr<int64_t> ConsumerGroup::Replay(const ReplayPlace& place) {
  ASSIGN_OR_RETURN(const int64_t next_before, Lock(""));
  ASSIGN_OR_RETURN(const int64_t next, place.lsn ? FindByLsn(sql_, tables_, stream_id_, *place.lsn)
                                                 : FindByTime(sql_, tables_, stream_id_, *place.since));
  ASSIGN_OR_RETURN(const std::vector<Claim> claims,
                   LoadClaims(absl::StrCat("last_id >= ", next, " ORDER BY first_id")));
  RETURN_IF_ERROR(
      sql_.Execute(absl::StrCat("UPDATE ", tables_.groups(), " SET next_id = ", next, " WHERE stream_id = ", stream_id_,
                                " AND name = ", name_, ";", ChangeSql(WithoutIdsFrom(claims, next)), "COMMIT")));
  return std::max<int64_t>(next_before - next, 0);
}

absl::StatusOr<bool> ConsumerGroup::Delete() {
  ASSIGN_OR_RETURN(const PgRows gone,
                   sql_.Query(absl::StrCat("BEGIN; DELETE FROM ", tables_.groups(), " WHERE stream_id = ", stream_id_,
                                           " AND name = ", name_, " RETURNING 1")));
  RETURN_IF_ERROR(sql_.Execute(absl::StrCat("DELETE FROM ", tables_.claims(), " WHERE ", where_, "; COMMIT")));
  return gone.size() > 0;
}

// ---- lag ----

absl::StatusOr<std::vector<GroupState>> ListGroups(PgConnection& sql, const StreamTables& tables, int64_t stream_id) {
  ASSIGN_OR_RETURN(
      const PgRows rows,
      sql.Query(absl::StrCat(
          // Also what the next pull will count.
          "SELECT g.name, g.next_id, g.skipped + greatest(k.first_id - g.next_id, 0) + coalesce(c.gone, 0), "
          "coalesce(c.ids, 0), coalesce(c.again, 0), "
          "greatest(s.last_id - greatest(g.next_id, k.first_id) + 1, 0), least(c.oldest, g.next_id), clock_timestamp() "
          "FROM ",
          tables.groups(), " g JOIN ", tables.streams(),
          " s ON s.id = g.stream_id CROSS JOIN (SELECT min(first_id) AS "
          "first_id FROM ",
          tables.segments(), " WHERE stream_id = ", stream_id,
          ") k LEFT JOIN LATERAL (SELECT sum(last_id - first_id + 1)::bigint AS ids, "
          "sum(last_id - first_id + 1) FILTER (WHERE deliveries > 1)::bigint AS again, min(first_id) AS oldest, "
          "sum(least(last_id, k.first_id - 1) - first_id + 1) FILTER (WHERE first_id < k.first_id AND visible_at <= "
          "clock_timestamp())::bigint AS gone FROM ",
          tables.claims(), " WHERE stream_id = g.stream_id AND consumer_group = g.name) c ON true WHERE g.stream_id = ",
          stream_id, " ORDER BY g.name")));
  std::vector<GroupState> groups;
  std::map<int64_t, absl::Duration> ages;  // of the oldest message that is not acknowledged
  for (int i = 0; i < rows.size(); ++i) {
    GroupState& group = groups.emplace_back();
    group.name = rows.Text(i, 0);
    group.next_id = rows.Int(i, 1);
    group.skipped = rows.Int(i, 2);
    group.in_flight = rows.Int(i, 3);
    group.redelivered = rows.Int(i, 4);
    group.lag_messages = rows.Int(i, 5) + group.in_flight;
    if (group.lag_messages == 0) continue;
    const int64_t oldest = rows.Int(i, 6);
    if (!ages.contains(oldest)) {
      ASSIGN_OR_RETURN(const std::vector<Segment> segments, LoadSegments(sql, tables, stream_id, oldest));
      absl::Duration age;
      for (const Segment& segment : segments) {
        ASSIGN_OR_RETURN(const PgRows found,
                         sql.Query(absl::StrCat("SELECT extract(epoch FROM clock_timestamp() - created_at) FROM ",
                                                tables.segment(stream_id, segment.ids.first), " WHERE id >= ", oldest,
                                                " ORDER BY id LIMIT 1")));
        if (found.size() == 0) continue;
        ASSIGN_OR_RETURN(const double seconds, Number(found.Text(0, 0)));
        age = absl::Seconds(std::max(seconds, 0.0));
        break;
      }
      ages[oldest] = age;
    }
    group.lag = ages[oldest];
  }
  return groups;
}

}  // namespace wallaby
