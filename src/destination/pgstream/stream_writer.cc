#include "destination/pgstream/stream_writer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "base/wire_format.h"

namespace wallaby {
namespace {

constexpr int64_t kSegmentBytes = 64 << 20;
// What retention keeps is exact to a tenth.
constexpr int kSegmentsOfRetention = 10;

// A flow whose tables wait for a schema change writes for them under "FLOW/LSN" (pipeline/table_holds.h).
std::string FlowOf(const std::string& identity) {
  return identity.substr(0, identity.find('/'));
}

}  // namespace

StreamWriter::StreamWriter(Session& session, const DestinationConfig& config, const PgstreamOptions& options,
                           WireFormat format)
    : session_(session),
      tables_(options.schema),
      name_(options.stream),
      flow_(FlowOf(config.flow_id)),
      destination_(config.name),
      generation_(config.generation),
      format_(WireFormatText(format)),
      shown_(absl::StrCat("stream '", options.stream, "'")) {
  const Retention& keep = options.retention;
  most_bytes_ = keep.bytes ? std::clamp<int64_t>(*keep.bytes / kSegmentsOfRetention, 1, kSegmentBytes) : kSegmentBytes;
  most_messages_ = keep.messages ? *keep.messages / kSegmentsOfRetention : std::numeric_limits<int64_t>::max();
  most_age_ = keep.age ? *keep.age / kSegmentsOfRetention : absl::InfiniteDuration();
}

// ---- taking over ----

absl::Status StreamWriter::TakeOver() {
  // Looks first: CREATE ... IF NOT EXISTS asks for the right to create even where all is there.
  ASSIGN_OR_RETURN(const PgRows there, session_.Query(tables_.AreThereSql()));
  if (!there.Bool(0, 0)) RETURN_IF_ERROR(session_.Query(tables_.EnsureSql()).status());
  RETURN_IF_ERROR(FindStream());
  RETURN_IF_ERROR(session_.Query(tables_.EnsureMessagesSql(stream_id_)).status());
  return LoadSegment();
}

absl::Status StreamWriter::FindStream() {
  // Waits for a commit of an older worker that is under way, and then sees what it stored.
  ASSIGN_OR_RETURN(
      const PgRows rows,
      session_.Query(absl::StrCat(
          "INSERT INTO ", tables_.streams(), " AS s (name, flow_id, destination, generation) VALUES (",
          SqlLiteral(name_), ", ", SqlLiteral(flow_), ", ", SqlLiteral(destination_), ", ", generation_,
          ") ON CONFLICT (name) DO UPDATE SET flow_id = EXCLUDED.flow_id, destination = EXCLUDED.destination, "
          "generation = EXCLUDED.generation WHERE s.flow_id = '' OR (s.flow_id = EXCLUDED.flow_id AND "
          "s.destination = EXCLUDED.destination AND s.generation <= EXCLUDED.generation) RETURNING id, last_id")));
  if (rows.size() == 0) return RefuseWriter();
  stream_id_ = rows.Int(0, 0);
  last_id_ = rows.Int(0, 1);
  return absl::OkStatus();
}

absl::Status StreamWriter::RefuseWriter() {
  ASSIGN_OR_RETURN(const PgRows owner,
                   session_.Query(absl::StrCat("SELECT flow_id, destination FROM ", tables_.streams(),
                                               " WHERE name = ", SqlLiteral(name_))));
  if (owner.size() == 0) return absl::AbortedError(absl::StrCat(shown_, " was removed meanwhile"));
  if (owner.Text(0, 0) == flow_ && owner.Text(0, 1) == destination_) {
    return absl::FailedPreconditionError(
        absl::StrCat("fenced: a worker of a newer generation than ", generation_, " has taken over ", shown_));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      shown_, " is written by destination '", std::string(owner.Text(0, 1)), "' of flow '",
      std::string(owner.Text(0, 0)),
      "', and a stream has one writer: give this destination another stream, or, when that flow is gone, UPDATE ",
      tables_.streams(), " SET flow_id = '', destination = '' WHERE name = ", SqlLiteral(name_)));
}

absl::Status StreamWriter::LoadSegment() {
  ASSIGN_OR_RETURN(const PgRows rows,
                   session_.Query(absl::StrCat("SELECT first_id, bytes, wire_format, "
                                               "floor(extract(epoch FROM now() - first_at))::bigint FROM ",
                                               tables_.segments(), " WHERE stream_id = ", stream_id_,
                                               " ORDER BY first_id DESC LIMIT 1")));
  if (rows.size() == 0) return absl::OkStatus();
  segment_ = rows.Int(0, 0);
  segment_bytes_ = rows.Int(0, 1);
  segment_format_ = rows.Text(0, 2);
  segment_begin_ = absl::Now() - absl::Seconds(rows.Int(0, 3));
  return absl::OkStatus();
}

// ---- segments ----

bool StreamWriter::SegmentIsOld() const {
  return absl::Now() - segment_begin_ >= most_age_;
}

bool StreamWriter::SegmentIsFull() const {
  if (segment_ == 0) return true;
  if (last_id_ < segment_) return false;  // empty: it takes whatever comes
  return segment_bytes_ >= most_bytes_ || last_id_ - segment_ + 1 >= most_messages_ || segment_format_ != format_ ||
         SegmentIsOld();
}

absl::Status StreamWriter::BeginSegment() {
  if (written_.messages > 0) RETURN_IF_ERROR(session_.Add(SegmentSql(), shown_));
  written_ = {};
  segment_ = last_id_ + 1;
  segment_bytes_ = 0;
  segment_format_ = format_;
  segment_begin_ = absl::Now();
  rotated_ = true;
  RETURN_IF_ERROR(session_.Add(tables_.MakeSegmentSql(stream_id_, segment_), shown_));
  return session_.Add(
      absl::StrCat("INSERT INTO ", tables_.segments(),
                   " (stream_id, first_id, last_id, bytes, wire_format, max_lsn, first_at, last_at) VALUES (",
                   stream_id_, ", ", segment_, ", ", last_id_, ", 0, ", SqlLiteral(format_), ", '0/0', now(), now())"),
      shown_);
}

std::string StreamWriter::SegmentSql() const {
  return absl::StrCat("UPDATE ", tables_.segments(), " SET last_id = ", last_id_, ", bytes = bytes + ", written_.bytes,
                      ", wire_format = ", SqlLiteral(format_), ", max_lsn = greatest(max_lsn, '",
                      written_.max_lsn.ToString(), "'), last_at = now()",
                      written_.snapshot ? ", has_snapshot = true" : "", " WHERE stream_id = ", stream_id_,
                      " AND first_id = ", segment_);
}

std::string StreamWriter::CommitSql() {
  if (written_.messages == 0) return "";
  return absl::StrCat(FenceSql(), "; ", SegmentSql(), "; ", NotifySql(tables_, stream_id_, last_id_), "; ");
}

std::string StreamWriter::FenceSql() const {
  return absl::StrCat("WITH moved AS (UPDATE ", tables_.streams(), " SET last_id = ", last_id_,
                      " WHERE id = ", stream_id_, " AND flow_id = ", SqlLiteral(flow_),
                      " AND destination = ", SqlLiteral(destination_), " AND generation = ", generation_,
                      " RETURNING 1) SELECT ", Session::Check("count(*) = 1", Session::kFenced, shown_), " FROM moved");
}

// ---- messages ----

absl::Status StreamWriter::Write(const ChangeBatch& batch, Codec& codec) {
  if (SegmentIsFull()) RETURN_IF_ERROR(BeginSegment());
  CopyInto copy(session_, shown_, /*binary=*/true);
  RETURN_IF_ERROR(
      copy.Begin(absl::StrCat(tables_.segment(stream_id_, segment_),
                              " (id, lsn, seq, committed_at, operation, namespace, table_name, key, payload)")));
  const std::vector<Change>& changes = batch.changes();
  // A slice is of one relation, and records keep the order of the stream: so it ends where the relation changes.
  for (size_t begin = 0, end = 0; begin < changes.size(); begin = end) {
    const uint32_t index = changes[begin].relation;
    while (end < changes.size() && changes[end].relation == index) ++end;
    const Relation& relation = *batch.relations()[index];
    RETURN_IF_ERROR(CheckNotOwn(relation));
    RETURN_IF_ERROR(codec.EncodeRecords({batch, index, begin, end}, [&](const EncodedRecord& record) {
      // What a compacted topic may forget has no place in a stream that forgets by age.
      return record.tombstone ? absl::OkStatus() : AddMessage(record, relation, &copy);
    }));
  }
  return session_.Explain(copy.Finish(), shown_);
}

absl::Status StreamWriter::AddMessage(const EncodedRecord& record, const Relation& relation, CopyInto* copy) {
  copy->BeginRow(9);
  copy->Int64(++last_id_);
  copy->Int64(static_cast<int64_t>(record.position.commit.value));
  copy->Int64(record.position.seq);
  if (record.kind == ChangeKind::kRead) {
    copy->Null();
  } else {
    copy->TimestampTz(record.transaction->commit_time_micros);
  }
  copy->Text(OperationName(record.kind));
  copy->Text(relation.schema);
  copy->Text(relation.name);
  if (record.has_key) {
    copy->Text(record.key);
  } else {
    copy->Null();
  }
  copy->Text(record.value);
  const auto bytes = static_cast<int64_t>(record.key.size() + record.value.size());
  ++written_.messages;
  written_.bytes += bytes;
  segment_bytes_ += bytes;
  written_.max_lsn = std::max(written_.max_lsn, record.position.commit);
  written_.snapshot = written_.snapshot || record.kind == ChangeKind::kRead;
  return copy->EndRow();
}

absl::Status StreamWriter::CheckNotOwn(const Relation& relation) const {
  const bool own = relation.name == "streams" || relation.name.starts_with("stream_");
  if (relation.schema != tables_.schema() || !own) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(shown_, ": the publication brings table ", relation.QualifiedName(),
                                                    ", which looks like a stream's own: each message would make "
                                                    "another one; take the schema out of the publication"));
}

absl::Status StreamWriter::DeleteSnapshot(const Relation& relation) {
  ASSIGN_OR_RETURN(const PgRows rows, session_.Query(absl::StrCat("SELECT first_id FROM ", tables_.segments(),
                                                                  " WHERE stream_id = ", stream_id_,
                                                                  " AND has_snapshot ORDER BY first_id")));
  for (int i = 0; i < rows.size(); ++i) {
    RETURN_IF_ERROR(session_.Add(
        absl::StrCat("DELETE FROM ", tables_.segment(stream_id_, rows.Int(i, 0)),
                     " WHERE operation = ", SqlLiteral(OperationName(ChangeKind::kRead)),
                     " AND namespace = ", SqlLiteral(relation.schema), " AND table_name = ", SqlLiteral(relation.name)),
        shown_));
  }
  return absl::OkStatus();
}

}  // namespace wallaby
