// A stream: messages in order of their ids, in tables of a PostgreSQL database, with the places of the consumer groups
// that read it. This room is the tables and what is done with them; the pgstream destination (destination/pgstream)
// writes messages, StreamService (service/stream_service.h) hands them out. For users: docs/streams.md.
//
//   streams(id, name, flow_id, destination, generation, last_id)   one row a stream; its one writer, and the newest id
//   stream_<id>(id, lsn, seq, operation, ...)                      parent of the stream's segments, itself empty
//   stream_<id>_<first id>                                         a segment: messages from that id on
//   stream_segments(stream_id, first_id, last_id, bytes, ...)      what each segment holds, in order
//   stream_groups(stream_id, name, next_id, skipped)               a consumer group (stream/consumer_group.h)
//   stream_claims(stream_id, consumer_group, first_id, last_id, consumer, visible_at, deliveries)
//
// Ids rise by one in the order of commits: a stream has one writer, whose transactions come one after the other. An
// interrupted first copy of a table leaves gaps. A segment is dropped as a whole once retention lets go of it, so
// nothing is ever vacuumed away.
#ifndef WALLABY_STREAM_STREAM_TABLES_H_
#define WALLABY_STREAM_STREAM_TABLES_H_

#include <cstdint>
#include <string>

namespace wallaby {

// Names and definitions of the tables in one schema. All names are quoted.
class StreamTables {
 public:
  explicit StreamTables(std::string schema);

  const std::string& schema() const { return schema_; }  // plain
  std::string streams() const { return Table("streams"); }
  std::string segments() const { return Table("stream_segments"); }
  std::string groups() const { return Table("stream_groups"); }
  std::string claims() const { return Table("stream_claims"); }
  std::string messages(int64_t stream_id) const;
  std::string segment(int64_t stream_id, int64_t first_id) const;

  // A row with one boolean: whether all tables are there.
  std::string AreThereSql() const;
  // Makes schema and tables where they are missing; several statements, one transaction.
  std::string EnsureSql() const;
  std::string EnsureMessagesSql(int64_t stream_id) const;
  // Makes an empty segment. Its row in segments() is the caller's.
  std::string MakeSegmentSql(int64_t stream_id, int64_t first_id) const;

 private:
  std::string Table(std::string_view name) const;

  const std::string schema_;
};

// What a writer tells with each commit that brings messages, as NOTIFY: "<stream id> <last id> <schema>".
inline constexpr char kStreamChannel[] = "wallaby_stream";
std::string NotifySql(const StreamTables& tables, int64_t stream_id, int64_t last_id);

}  // namespace wallaby

#endif  // WALLABY_STREAM_STREAM_TABLES_H_
