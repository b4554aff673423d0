// Destination: where committed changes go. One object per flow and destination, used by one thread.
//
// Exactly once: what was written and the progress it stands for become durable together in Commit(), or not at all.
// After a crash Open() tells the progress, and the worker skips what is at or below it.
//
// Errors: transient ones (base/status.h IsTransient) make the worker close the destination, wait and open it again,
// then resend from the progress. Any other fails the flow, with a text that names table, column and remedy.
// FAILED_PRECONDITION beginning with "fenced" means that a worker of a newer generation has taken over.
#ifndef WALLABY_DESTINATION_DESTINATION_H_
#define WALLABY_DESTINATION_DESTINATION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/lsn.h"
#include "base/wire_format.h"
#include "change/append_rows.h"
#include "change/change_batch.h"
#include "change/schema_change.h"
#include "destination/dead_letter.h"

namespace wallaby {

class Event;

enum class WriteMode {
  kTarget,  // the table mirrors the source: upsert and delete by key
  kAppend,  // every change is a row; two when an update changes the key (change/append_rows.h)
};

struct DestinationConfig {
  std::string type;  // of the flow file; MakeDestination() sets it
  std::string flow_id;
  std::string name;  // of the destination within the flow
  std::map<std::string, std::string> options;
  WireFormat wire_format = WireFormat::kUnspecified;  // of the flow: what `format` is where it is not given
  std::string database;                               // the source's name of its database; may be empty
  // The source's publication, where the flow carries all that it brings; else empty.
  std::string publication;
  // The lease's generation. A destination remembers the highest it has seen and refuses a lower one ("fenced").
  int64_t generation = 0;
  // Bytes that the destination may hold in memory of its own accord.
  int64_t memory_limit = 64 << 20;
  // Where requests go that a receiver does not take; outlives the destination. Null: none can be kept.
  DeadLetterSink* dead_letters = nullptr;
  // Hears, on the destination's thread, of each change that is left out because an option says so. May be empty.
  std::function<void(const std::string& table, std::string_view why)> left_out;
  // Hears, on the destination's thread, of each message whose payload went into a bucket instead. May be empty.
  std::function<void()> claim_checked;
  // Hears, on the destination's thread, of what somebody should know, though nothing is left out for it. May be empty.
  std::function<void(std::string_view text)> warn;
  // Set once the worker is to end and has waited as long as it may for answers: what still waits for a server that says
  // nothing ends then, with CANCELLED, where the destination can. Outlives the destination. Null: never.
  const Event* cut_short = nullptr;
};

// What a destination holds durably for a flow.
struct Progress {
  // Everything up to the end of the transaction with this commit LSN is in. 0/0: nothing streamed yet.
  Lsn commit;
  // End of that transaction's commit record.
  Lsn end;
  // Parts of table snapshots that are complete (ChangeBatch::snapshot_part()).
  std::set<std::string> snapshot_parts;
};

// What a Commit() makes durable besides the rows.
struct CommitPoint {
  // Last whole transaction among what was written; {0/0, 0/0} leaves the stored position as it is.
  Lsn commit;
  Lsn end;
  // Snapshot parts whose last rows are among what was written.
  std::vector<std::string> finished_parts;
};

struct Capabilities {
  // How long and how much may gather before Commit(); zero: commit as soon as the queue is empty.
  absl::Duration linger = absl::ZeroDuration();
  int64_t linger_bytes = 0;
  // ResetPart() works, so that an interrupted snapshot of a table can go on.
  bool resets_parts = false;
  // Open() tells what was committed before. Without it the flow's checkpoint counts: after a crash, what came behind it
  // is delivered again.
  bool keeps_progress = true;
};

// Rows with from <= column < to; open where there is no bound. The column is an integer.
struct KeyRange {
  std::string column;
  std::optional<int64_t> from;
  std::optional<int64_t> to;
};

class Destination {
 public:
  virtual ~Destination() = default;

  virtual Capabilities capabilities() const { return {}; }

  // Connects, makes the place where progress is kept, takes over for `generation`, removes what a crash left
  // half-written. May be called again after an error.
  virtual absl::StatusOr<Progress> Open() = 0;

  // Checks, without changing anything, that the table can be carried: name, types, key for the write mode, an existing
  // table's columns. Called for every published table before data is read.
  virtual absl::Status CheckTable(const Relation& relation) = 0;

  // Checks, without changing anything, that the table is there with all these columns, for a table that has been
  // filled. FAILED_PRECONDITION says what is missing. OK where the destination keeps no tables.
  virtual absl::Status CheckPresent(const Relation& /*relation*/) { return absl::OkStatus(); }

  // Adds the changes to the destination's open transaction, which begins by itself. Tables that are missing are
  // created and columns that are missing added. Batches arrive in commit order; a transaction may span several.
  virtual absl::Status Write(const ChangeBatch& batch) = 0;

  // Publishes all written since the last Commit. Never called within a transaction of the source.
  virtual absl::Status Commit(const CommitPoint& point) = 0;

  // What is due by time, whether or not anything arrives, such as retention. Called about once a second while nothing
  // is written that is not committed; returns at once where nothing is due.
  virtual absl::Status Tend() { return absl::OkStatus(); }

  // Before a table's snapshot starts over: removes what earlier tries left of it (in target mode every row, in append
  // mode the rows with op 'r') and forgets its parts (names that begin with `part_prefix`). Durable on return.
  virtual absl::Status ResetSnapshot(const Relation& relation, std::string_view part_prefix) = 0;

  // Before a part of a table's snapshot starts over while others are kept: removes the rows in `range` and forgets the
  // part. Durable on return. Only with Capabilities::resets_parts.
  virtual absl::Status ResetPart(const Relation& relation, std::string_view part, const KeyRange& range) {
    (void)part;
    (void)range;
    return absl::UnimplementedError("the snapshot of " + relation.QualifiedName() + " cannot go on by part here");
  }

  // ---- schema changes ----
  // What ApplyDdl() would run where the table is as the source's was before: for people, before they approve. No I/O.
  // Lines that begin with "-- " say what happens without a statement.
  virtual std::vector<std::string> DdlStatements(const SchemaChange& change) const = 0;

  // Makes the table follow, in append mode without losing what is in the log. Looks at the table first and leaves out
  // what is done already, so that it may be called again after a crash. Durable on return. After Open(), with nothing
  // written that is not committed. Errors name table, column and remedy.
  virtual absl::Status ApplyDdl(const SchemaChange& change) = 0;

  // ---- receivers ----
  // Sends a dead letter's request once more, with its key and its bytes; without Open(), and while a worker sends
  // others. OK when it was taken. Not for destinations that write rows.
  virtual absl::Status Resend(const PushRequest& /*request*/) {
    return absl::UnimplementedError("this type of destination has no requests that could be sent again");
  }
};

// Makes the destination for a type of the flow file ("duckdb", "postgres", "parquet", "null"). Heavy ones are modules
// that are loaded here from ../lib/wallaby beside the executable (or WALLABY_MODULE_DIR). Does no I/O beyond that. The
// options are checked: INVALID_ARGUMENT names the option and what is allowed.
absl::StatusOr<std::unique_ptr<Destination>> MakeDestination(const std::string& type, const DestinationConfig& config);

// What a module exports under the name `wallaby_make_destination`. On failure returns the status and leaves `out`.
using MakeDestinationFn = absl::Status (*)(const DestinationConfig& config, std::unique_ptr<Destination>* out);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DESTINATION_H_
