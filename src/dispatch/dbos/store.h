// DbosStore: what an executor does in the DBOS system database, statement by statement. No state of its own but who it
// is, so any thread may use it.
//
// The protocol is that of the DBOS SDKs at migration 125. A run is claimed with a token (owner_xid), and every write of
// the run holds only while the row has that token: whoever cancels, resumes or recovers the row takes it away, and the
// run can write nothing more.
#ifndef WALLABY_DISPATCH_DBOS_STORE_H_
#define WALLABY_DISPATCH_DBOS_STORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "dispatch/dbos/database.h"

namespace wallaby {

inline constexpr char kRunFlowWorkflow[] = "wallaby.run_flow";
inline constexpr char kDispatchWorkflow[] = "wallaby.dispatch";
// Resumed and forked workflows arrive here.
inline constexpr char kDbosInternalQueue[] = "_dbos_internal_queue";

// Who this executor is.
struct DbosIdentity {
  std::string application;
  std::string version;
  std::string executor;
  std::string queue;
  // 16 hexadecimal digits, random for each process: the first half of its tokens, and the number of the advisory lock
  // by which others see that it lives (instance_lock.h).
  std::string instance;
};

// A new identity of this process; DBOS__APPVERSION and DBOS__VMID as every SDK reads them.
DbosIdentity MakeDbosIdentity(const std::string& application, const std::string& queue);

// The number of the advisory lock of an instance.
std::string InstanceLockNumber(const std::string& instance);

class DbosStore {
 public:
  // `database` outlives the store.
  DbosStore(DbosDatabase* database, DbosIdentity identity);

  const DbosIdentity& identity() const { return identity_; }
  const std::string& queue() const { return identity_.queue; }

  // Registers version and queue. ALREADY_EXISTS when another application has one of them.
  absl::Status Register();

  // ---- enqueuing ----
  struct NewRun {
    std::string id;
    std::string name;
    std::string input;       // portable JSON
    std::string dedup;       // "": none
    std::string attributes;  // a JSON object
    std::string schedule;    // the schedule's name, "": none
    std::string parent;      // the workflow that enqueues it, "": none
  };
  enum class Enqueued { kNew, kExists, kDeduplicated };
  // FAILED_PRECONDITION when the id belongs to a workflow of another name.
  absl::StatusOr<Enqueued> Enqueue(const NewRun& run);

  // ---- running ----
  struct ClaimedRun {
    std::string id;
    std::string name;
    std::string token;
    std::string serialization;
    std::string input;
    int64_t attempts = 0;
    int64_t created_at_ms = 0;
  };
  // Takes at most `limit` workflows off a queue, within the queue's own limits, by priority and age.
  absl::StatusOr<std::vector<ClaimedRun>> Claim(const std::string& queue, int limit);

  struct Step {
    int number = 0;
    std::string name;
    std::string output;  // one of both, portable JSON
    std::string error;
    absl::Time started;
  };
  // Says in the row's attributes whose run it is, where the client that queued it did not.
  absl::Status NoteFlow(const ClaimedRun& run, const std::string& flow_id, int64_t generation);
  // False: the run has lost its token. A step that is there already stays.
  absl::StatusOr<bool> RecordStep(const ClaimedRun& run, const Step& step);
  absl::StatusOr<std::optional<Step>> FindStep(const std::string& id, int number);

  // False: the run has lost its token, and nothing was written.
  absl::StatusOr<bool> Succeed(const ClaimedRun& run, const std::string& output);
  absl::StatusOr<bool> Fail(const ClaimedRun& run, const std::string& error);
  absl::Status DeadLetter(const ClaimedRun& run);
  // The run has got somewhere: recoveries before do not count any more.
  absl::Status ResetAttempts(const ClaimedRun& run);

  // Id and token of all rows that this instance runs, as the database sees it.
  absl::StatusOr<std::vector<std::pair<std::string, std::string>>> Owned();
  // Hands runs back to their queue, at a clean end without counting the attempt. Ids of those that were still owned.
  absl::StatusOr<std::vector<std::string>> Release(const std::vector<std::string>& tokens, bool count_attempt);

  // ---- recovery ----
  // PENDING runs of these executors, of this application and version, go back to their queue, except this instance's.
  absl::StatusOr<std::vector<std::string>> Recover(const std::vector<std::string>& executors);
  // Those whose instance is provably gone; `executor` "" for all. Rows without a token count only when the executor is
  // named.
  absl::StatusOr<std::vector<std::string>> RecoverDead(const std::string& executor);

  // ---- chores ----
  // DELAYED that are due become ENQUEUED, and what has passed its deadline CANCELLED.
  absl::Status Sweep();
  // Deletes ended workflows of this application: those that ended before `cutoff`, and all but the newest `rows`
  // (0: no limit). At most some thousands in one call.
  absl::StatusOr<int64_t> DeleteEnded(absl::Time cutoff, int64_t rows);

  // ---- steering, as clients do ----
  // Ids that were changed. SUCCESS and ERROR stay as they are.
  absl::StatusOr<std::vector<std::string>> Cancel(const std::vector<std::string>& ids);
  absl::StatusOr<std::vector<std::string>> Resume(const std::string& id);
  // The new id. NOT_FOUND.
  absl::StatusOr<std::string> Fork(const std::string& id, int start_step, const std::string& new_id,
                                   const std::string& version);
  // An ended workflow runs again from `start_step` under its own id. NOT_FOUND, FAILED_PRECONDITION.
  absl::Status Rewind(const std::string& id, int start_step);
  absl::StatusOr<std::vector<std::string>> CancelStartedBefore(int64_t epoch_ms);

  // ---- runs of flows ----
  struct FlowRun {
    std::string id;
    std::string status;
    int64_t generation = 0;
  };
  // The runs of the flow that are not at their end, oldest first.
  absl::StatusOr<std::vector<FlowRun>> ActiveRuns(const std::string& flow_id);
  absl::StatusOr<std::optional<FlowRun>> NewestRun(const std::string& flow_id);
  // The status of the newest run that is ENQUEUED, DELAYED or PENDING, by flow.
  absl::StatusOr<std::map<std::string, std::string>> ActiveFlows();

  // ---- schedule ----
  struct Schedule {
    std::string expression;
    std::string time_zone;
    bool active = true;
  };
  // Makes or changes this application's schedule; whether it is paused stays. ALREADY_EXISTS for another's.
  absl::Status PutSchedule(const std::string& name, const std::string& expression, const std::string& time_zone);
  absl::Status DropSchedule(const std::string& name);
  absl::StatusOr<std::optional<Schedule>> GetSchedule(const std::string& name);
  absl::Status MarkFired(const std::string& name, absl::Time at);

  // ---- for the admin endpoints: JSON as the SDKs answered ----
  struct Filter {
    std::vector<std::string> ids, statuses;
    std::string id_prefix, name, user, version, queue, forked_from, parent;
    std::string start_time, end_time;  // RFC 3339
    int64_t limit = 0;                 // 0: none
    int64_t offset = 0;
    bool descending = false;
    bool queued_only = false;
    bool input = true;
    bool output = true;
  };
  absl::StatusOr<std::string> ListJson(const Filter& filter);
  absl::StatusOr<std::string> StepsJson(const std::string& id);
  absl::StatusOr<std::string> QueuesJson();

 private:
  absl::StatusOr<bool> End(const ClaimedRun& run, const char* status, const SqlParam& output, const SqlParam& error);
  absl::StatusOr<int> Room(PgConnection& sql, const std::string& queue, int limit, bool* rate_limited);
  std::string TokenPrefix() const;

  DbosDatabase* const database_;
  const DbosIdentity identity_;
};

// {"a","b"} of PostgreSQL, for = any($1::text[]).
std::string PgTextArray(const std::vector<std::string>& values);
// The first column of each row.
std::vector<std::string> FirstColumn(const PgRows& rows);
// Random, in the form of a UUID.
std::string NewUuid();

}  // namespace wallaby

#endif  // WALLABY_DISPATCH_DBOS_STORE_H_
