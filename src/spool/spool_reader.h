// SpoolReader: whole transactions of a spool, as a walsender would send them to one that begins at a position: what is
// known of a relation is announced before its first change, also when the slot had announced it long before. Follows
// the end while another thread or process appends. One thread.
#ifndef WALLABY_SPOOL_SPOOL_READER_H_
#define WALLABY_SPOOL_SPOOL_READER_H_

#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "spool/spool.h"

namespace wallaby {

class SpoolReader {
 public:
  struct Item {
    enum class Kind {
      kNone,     // nothing more yet
      kMessage,  // `message` is one pgoutput message
      kIdle,     // the spool has all that ends at or before `wal_end`, and nothing more yet
    };
    Kind kind = Kind::kNone;
    std::string_view message;  // valid until the next call
    Lsn wal_end;
  };

  // Begins with the first transaction whose commit record starts at or behind `from`. NOT_FOUND: no such spool.
  // OUT_OF_RANGE: what follows `from` is not in it (any more). DATA_LOSS names a damaged segment. FAILED_PRECONDITION:
  // another publication, another key or none. `from` may lie behind the end: then nothing comes until the end is there.
  static absl::StatusOr<std::unique_ptr<SpoolReader>> Open(const SpoolOptions& options, const SpoolName& name,
                                                           const std::string& publication, Lsn from);
  virtual ~SpoolReader() = default;

  virtual absl::StatusOr<Item> Next() = 0;

  // Readable (poll) when something was appended since ClearNotice().
  virtual int fd() const = 0;
  virtual void ClearNotice() = 0;
};

}  // namespace wallaby

#endif  // WALLABY_SPOOL_SPOOL_READER_H_
