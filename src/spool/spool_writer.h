// SpoolWriter: appends what a slot sends. One per spool; one thread.
#ifndef WALLABY_SPOOL_SPOOL_WRITER_H_
#define WALLABY_SPOOL_SPOOL_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "spool/spool.h"
#include "spool/spool_lock.h"

namespace wallaby {

class SpoolWriter {
 public:
  // Takes the spool, and makes it when there is none: it then begins at `begin`, where the slot stands. A torn tail is
  // cut at the last whole transaction. `lock`: of this spool; null: it is taken here, ABORTED, with the pid, while
  // another has it. DATA_LOSS names a damaged segment; FAILED_PRECONDITION: another publication, another key or none.
  static absl::StatusOr<std::unique_ptr<SpoolWriter>> Open(const SpoolOptions& options, const SpoolName& name,
                                                           const std::string& publication, Lsn begin,
                                                           std::unique_ptr<SpoolLock> lock = nullptr);
  virtual ~SpoolWriter() = default;

  // One pgoutput message, in the order of the stream. A transaction whose commit LSN is at or below last_commit() is
  // left out: the server sends again what it does not know to be durable. RESOURCE_EXHAUSTED when the disk is full: the
  // open transaction must then be dropped and read again. After an error every call gives that error until DropOpen().
  // Messages of no use to a flow are left out: types, and logical messages that belong to no transaction.
  virtual absl::Status Append(std::string_view message) = 0;
  // The server has sent everything that ends at or before `wal_end`. Between transactions only. Takes 64 bytes with the
  // next Flush() or Sync() when nothing else moves the end.
  virtual absl::Status AppendIdle(Lsn wal_end) = 0;
  // Forgets the open transaction: the stream was cut.
  virtual absl::Status DropOpen() = 0;

  // Makes whole transactions so far visible to readers in all processes; not durable yet.
  virtual absl::Status Flush() = 0;
  // Flush(), and makes them durable. Then durable() is end(). After an error it may be called again.
  virtual absl::Status Sync() = 0;

  // What is in it: everything that ends behind begin() and at or before end(). Of whole transactions.
  virtual Lsn begin() const = 0;
  virtual Lsn end() const = 0;
  virtual Lsn durable() const = 0;
  virtual Lsn last_commit() const = 0;  // commit LSN of the last whole transaction; 0/0: none known
  // Its begin message; empty where last_commit() is all that is known of it (spools of before 2026-12).
  virtual std::string_view last_begin() const = 0;
  virtual bool in_transaction() const = 0;
  virtual int64_t bytes() const = 0;  // on the disk, of this spool

  // Room for another transaction: all spools together are below the limit. Looks at the other spools now and then.
  virtual absl::StatusOr<bool> HasRoom() = 0;
  // Removes the segments that end at or before `lsn`; begin() moves. Never the last one; but when all its transactions
  // are delivered and its room matters, a new one is begun between transactions, so that a later call can remove it.
  virtual absl::Status RemoveBelow(Lsn lsn) = 0;
};

}  // namespace wallaby

#endif  // WALLABY_SPOOL_SPOOL_WRITER_H_
