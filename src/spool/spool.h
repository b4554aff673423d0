// The spool: a durable log of a slot's committed transactions, between the slot and those who deliver them. What is in
// it the source may forget, however long a flow is gated or its destination is down.
//
// A spool belongs to one slot of one cluster and holds the pgoutput messages as the server sent them, so that shapes,
// gates and rejected columns are looked at when a flow reads them, not when they came. One process writes
// (SpoolWriter), any number read (SpoolReader), each flow with a cursor (SpoolCursor). What every cursor is past is
// removed.
//
//   WALLABY_SPOOL_DIR/SYSTEM_IDENTIFIER-SLOT/
//     LOCK                 flock of the writer; its pid is in it
//     about.json           format version, slot, publication, whether it is encrypted, and with which key
//     DURABLE              how far it was made durable: tells a torn tail from damage
//     LAST                 commit LSN of the last transaction in it
//     FULL                 why it may not grow, where that is so (why_full.h)
//     cursors/FLOW_ID      how far a flow is
//     START_LSN.segment    blocks (block.h); the name is where it begins, in 16 hexadecimal digits
#ifndef WALLABY_SPOOL_SPOOL_H_
#define WALLABY_SPOOL_SPOOL_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"

namespace wallaby {

struct SpoolOptions {
  std::string root;  // WALLABY_SPOOL_DIR
  // Bytes of all spools in `root`; 0: as much as there is. A transaction that has begun is written whole.
  int64_t limit = 0;
  std::string key;  // 32 bytes (AES-256-GCM); empty: not encrypted
  // A segment ends behind the first transaction that reaches this, or an eighth of `limit`.
  int64_t segment_bytes = 64 << 20;
};

class SpoolLock;

// Which spool.
struct SpoolName {
  std::string system_identifier;
  std::string slot;
};

// How large a segment gets. A limit has room for several, so that what is delivered makes room for what comes.
int64_t SpoolSegmentBytes(const SpoolOptions& options);
std::string SpoolFolder(const SpoolOptions& options, const SpoolName& name);
bool SpoolExists(const SpoolOptions& options, const SpoolName& name);
// Bytes on the disk of all spools in `root`; 0 when there is none.
absl::StatusOr<int64_t> SpoolBytes(const std::string& root);
// Where it begins: what ends at or before that is not in it. 0/0 when there is none.
absl::StatusOr<Lsn> SpoolBegin(const SpoolOptions& options, const SpoolName& name);
// FAILED_PRECONDITION when it has what another publication sends. OK when there is none.
absl::Status CheckSpoolPublication(const SpoolOptions& options, const SpoolName& name, const std::string& publication);
// The size of the segments that a flow needs which is at `from`; 0 when there is no spool, or no transaction behind
// `from` in it.
absl::StatusOr<int64_t> SpoolBytesBehind(const SpoolOptions& options, const SpoolName& name, Lsn from);
// Removes a spool by the right of its lock, with all that is in it, and the lock.
absl::Status RemoveSpool(const SpoolOptions& options, const SpoolName& name, std::unique_ptr<SpoolLock> lock);
// The same of a folder. ABORTED while somebody has the lock.
absl::Status RemoveSpoolFolder(const std::string& folder);

// WALLABY_SPOOL_DIR: makes the folder, and writes into it.
absl::Status CheckSpoolRoot(const std::string& root);

}  // namespace wallaby

#endif  // WALLABY_SPOOL_SPOOL_H_
