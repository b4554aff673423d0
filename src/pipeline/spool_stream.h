// SpoolStream: a slot's stream as a flow reads it from the spool, at its own pace.
#ifndef WALLABY_PIPELINE_SPOOL_STREAM_H_
#define WALLABY_PIPELINE_SPOOL_STREAM_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "pipeline/spooler.h"
#include "postgres/replication_stream.h"
#include "spool/spool.h"
#include "spool/spool_cursor.h"
#include "spool/spool_reader.h"

namespace wallaby {

class SpoolStream final : public ReplicationStream {
 public:
  // From the first transaction behind `start`. The spooler, which outlives the object, may not have made the spool yet.
  // `keep_from`, where it is valid: the spool keeps what is behind it, whatever is flushed. Without a cursor nothing
  // moves.
  SpoolStream(Spooler* spooler, SpoolName name, std::unique_ptr<SpoolCursor> cursor, Lsn start, Lsn keep_from = {})
      : spooler_(spooler), name_(std::move(name)), cursor_(std::move(cursor)), start_(start), keep_from_(keep_from) {}

  // OUT_OF_RANGE: what follows `start` is not in the spool.
  absl::StatusOr<Packet> Next() override;
  absl::Status Wait(absl::Duration timeout, Event& wake) override;
  // Moves the flow's cursor to `flushed`.
  absl::Status SendFeedback(Lsn received, Lsn flushed, bool request_reply) override;

 private:
  Spooler* const spooler_;
  const SpoolName name_;
  const std::unique_ptr<SpoolCursor> cursor_;
  const Lsn start_;
  const Lsn keep_from_;
  std::unique_ptr<SpoolReader> reader_;
  Lsn idle_;
  bool reply_due_ = false;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_SPOOL_STREAM_H_
