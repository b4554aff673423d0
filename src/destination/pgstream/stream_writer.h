// StreamWriter: appends the changes of a flow to a stream (stream/stream_tables.h), as its one writer.
#ifndef WALLABY_DESTINATION_PGSTREAM_STREAM_WRITER_H_
#define WALLABY_DESTINATION_PGSTREAM_STREAM_WRITER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "change/change_batch.h"
#include "codec/codec.h"
#include "destination/destination.h"
#include "destination/pgstream/pgstream_options.h"
#include "destination/postgres/copy_into.h"
#include "destination/postgres/session.h"
#include "stream/stream_tables.h"

namespace wallaby {

// Lives as long as a session: after an error both are made anew.
class StreamWriter {
 public:
  StreamWriter(Session& session, const DestinationConfig& config, const PgstreamOptions& options, WireFormat format);

  // Makes the tables where they are missing, becomes the stream's writer, and learns where it ends. FAILED_PRECONDITION
  // names another flow that writes it; "fenced" when a newer generation was here.
  absl::Status TakeOver();

  // In the open transaction.
  absl::Status Write(const ChangeBatch& batch, Codec& codec);
  // Statements for the end of a transaction; they fail when somebody else has become the writer. Empty without
  // messages.
  std::string CommitSql();
  void AfterCommit() { written_ = {}; }

  // True when the newest segment has been the newest for long enough: retention, which lets go of none that is, may
  // want it though nothing arrives.
  bool RotationIsDue() const { return segment_ != 0 && last_id_ >= segment_ && SegmentIsOld(); }
  // In the open transaction, which is to end with FenceSql(): begins another segment.
  absl::Status Rotate() { return BeginSegment(); }
  // A statement that fails when somebody else has become the writer.
  std::string FenceSql() const;

  // In the open transaction: deletes the messages of a table's first copy.
  absl::Status DeleteSnapshot(const Relation& relation);
  // FAILED_PRECONDITION for a table of streams: each message would make another one.
  absl::Status CheckNotOwn(const Relation& relation) const;

  int64_t stream_id() const { return stream_id_; }
  // Segments that were begun since the last call: an older one may be due to go.
  bool TakeRotated() { return std::exchange(rotated_, false); }

 private:
  // What the open transaction has added to the newest segment.
  struct Written {
    int64_t messages = 0;
    int64_t bytes = 0;
    Lsn max_lsn;
    bool snapshot = false;
  };

  absl::Status FindStream();
  absl::Status RefuseWriter();
  absl::Status LoadSegment();
  bool SegmentIsOld() const;
  bool SegmentIsFull() const;
  absl::Status BeginSegment();
  std::string SegmentSql() const;
  absl::Status AddMessage(const EncodedRecord& record, const Relation& relation, CopyInto* copy);

  Session& session_;
  const StreamTables tables_;
  const std::string name_;  // of the stream
  const std::string flow_;
  const std::string destination_;
  const int64_t generation_;
  const std::string format_;
  const std::string shown_;
  // When a segment is full.
  int64_t most_bytes_;
  int64_t most_messages_;
  absl::Duration most_age_;

  int64_t stream_id_ = 0;
  int64_t last_id_ = 0;        // of the stream, with what is written and not committed
  int64_t segment_ = 0;        // first id of the newest; 0: there is none
  int64_t segment_bytes_ = 0;  // with what is not committed
  std::string segment_format_;
  absl::Time segment_begin_;
  Written written_;
  bool rotated_ = true;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PGSTREAM_STREAM_WRITER_H_
