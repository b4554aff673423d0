// ControlStore: what the control plane and the workers share: flows, their states and events, leases, checkpoints,
// table snapshots and dispatch attempts. SQLite or PostgreSQL behind it, by one set of statements.
//
// Every method is one transaction and may be called from any thread and from several processes.
// Errors: NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION as said; UNAVAILABLE when the database cannot be reached.
#ifndef WALLABY_STORE_CONTROL_STORE_H_
#define WALLABY_STORE_CONTROL_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/lsn.h"
#include "destination/dead_letter.h"
#include "flow/ddl_event.h"
#include "flow/flow.h"
#include "store/shape_number.h"

namespace wallaby {

struct StoredFlow {
  Flow flow;
  FlowState state = FlowState::kCreated;
  std::string reason;      // of the state: "ddl_pending", an error's first line
  std::string last_error;  // stays after recovery until the next start
  int64_t revision = 0;    // rises with each change of definition or state
  absl::Time updated_at;
  // Not OK: why the stored definition cannot be read. Of `flow` there are id and name then.
  absl::Status definition;
};

struct StateEvent {
  FlowState from;
  FlowState to;
  std::string reason;
  absl::Time at;
};

struct Checkpoint {
  Lsn lsn;  // everything that ends at or before it is durable as the ack policy asks
  absl::Time at;
  std::map<std::string, std::string> metadata;
};

// The right to run a flow's worker. A worker renews it well before `expires`; a later holder has a higher generation.
struct Lease {
  std::string flow_id;
  std::string holder;  // "host:pid:random"
  int64_t generation = 0;
  absl::Time expires;   // by the store's clock
  absl::Duration left;  // from GetLease: until then, by the same clock; zero when it has run out
};

// No lease is taken or renewed for longer. So one that seems to last longer was made before the store's clock went
// back: it holds nobody off, and its holder, if there is one, renews it.
inline constexpr absl::Duration kLongestLease = absl::Minutes(5);

enum class TableSyncState { kPending, kCopying, kDone };

// Snapshot state of one table of a flow.
struct TableSync {
  std::string table;  // "schema.name" as published
  TableSyncState state = TableSyncState::kPending;
  // Streamed changes of this table whose commit LSN is below are in the snapshot already and are skipped. With a plan,
  // its parts' LSNs decide, and this is the highest.
  Lsn snapshot_lsn;
  int64_t parts_total = 0;
  int64_t parts_done = 0;
  int64_t rows_copied = 0;
  int64_t rows_estimated = 0;
  // How the copy is cut, with the LSN of each part's snapshot (pipeline/snapshot_plan.h); "": the table is copied
  // whole.
  std::string plan = {};
  // The table's at the source, by which it is known when it has got another name; 0: not known.
  uint32_t oid = 0;
};

// How a flow's worker gets on with one destination.
struct DestinationReport {
  std::string name;
  // "live", "catching up", "waiting" (for a schema change to be decided), "starting", "failing": tried again, "failed":
  // given up until the next start.
  std::string state;
  Lsn position;            // everything before it is durable there; 0/0: unknown
  int64_t lag_bytes = -1;  // -1: unknown, as the next
  double lag_seconds = -1;
  absl::Time since;   // when it began to fail; 1970: it does not
  std::string error;  // the last one, while it fails

  friend bool operator==(const DestinationReport&, const DestinationReport&) = default;
};

// What a running worker tells about itself, for `flow get`; overwritten every few seconds.
struct WorkerReport {
  std::string slot;
  bool slot_active = false;
  int64_t lag_bytes = -1;  // -1: unknown
  double lag_seconds = -1;
  std::string detail;   // "streaming", "snapshot", "reconnecting: ..."
  int64_t changes = 0;  // delivered since the worker started
  absl::Time at;
  std::string metrics;  // telemetry/metrics_snapshot.h; "" when it told none
  std::vector<DestinationReport> destinations;
};

// How often flows went from one state to another, since the store exists.
struct StateChangeTotal {
  FlowState from = FlowState::kUnspecified;  // unspecified: the flow was created
  FlowState to = FlowState::kUnspecified;
  int64_t total = 0;
};

// One run of a worker, as the dispatcher started it.
struct DispatchAttempt {
  int64_t id = 0;
  std::string flow_id;
  std::string kind;    // "local"
  std::string handle;  // for local: "<boot id>:<pid>:<start time in clock ticks>"
  bool active = true;
  int exit_code = -1;
  std::string outcome;
  absl::Time started_at;
  absl::Time ended_at;
};

// A published table as the flow's stream has it from `lsn` on: transactions that commit after it find it so.
struct StoredShape {
  TableShape shape;
  Lsn lsn;
};

// A table that waits for a schema change while its flow goes on: nothing of it is delivered from the transaction that
// commits at `from` on.
struct TableHold {
  uint32_t oid = 0;
  std::string table;  // "schema.name"
  Lsn from;

  friend bool operator==(const TableHold&, const TableHold&) = default;
};

// A request that a receiver did not take.
struct StoredDeadLetter {
  int64_t id = 0;  // rises
  DeadLetter letter;
  int64_t bytes = 0;  // of the payload, which lists leave out
  absl::Time at;      // kept last
};

// What a flow may keep of them.
inline constexpr int64_t kMostDeadLetters = 10'000;
inline constexpr int64_t kMostDeadLetterBytes = 256 << 20;

class ControlStore {
 public:
  virtual ~ControlStore() = default;

  // OK when the database answers and holds a store.
  virtual absl::Status Ping() = 0;

  // ---- flows ----
  // ALREADY_EXISTS for an id or a name in use. State created.
  virtual absl::Status CreateFlow(const Flow& flow) = 0;
  virtual absl::Status UpdateFlow(const Flow& flow) = 0;
  // An error where the definition cannot be read, which says why and what to do.
  virtual absl::StatusOr<StoredFlow> GetFlow(const std::string& id) = 0;
  // The same, but one whose definition cannot be read comes too (StoredFlow::definition): for what needs only the
  // state.
  virtual absl::StatusOr<StoredFlow> FindFlow(const std::string& id) = 0;
  // In order of id, those after `after_id`, at most `limit`; also those whose definition cannot be read.
  virtual absl::StatusOr<std::vector<StoredFlow>> ListFlows(const std::string& after_id, int limit) = 0;
  virtual absl::Status DeleteFlow(const std::string& id) = 0;
  // Moves `id` from one of `from` to `to` and writes the event; FAILED_PRECONDITION naming the current state when it is
  // in none of them. An empty `from` means any state.
  virtual absl::Status Transition(const std::string& id, const std::vector<FlowState>& from, FlowState to,
                                  const std::string& reason) = 0;
  virtual absl::Status SetLastError(const std::string& id, const std::string& error) = 0;
  virtual absl::StatusOr<std::vector<StateEvent>> StateEvents(const std::string& id, int limit) = 0;
  // Of all flows together, also those that are deleted. Totals never go down; pairs that did not happen are left out.
  virtual absl::StatusOr<std::vector<StateChangeTotal>> StateChangeTotals() = 0;

  // ---- leases ----
  // FAILED_PRECONDITION naming the holder while somebody else's lease has not expired.
  virtual absl::StatusOr<Lease> AcquireLease(const std::string& flow_id, const std::string& holder,
                                             absl::Duration ttl) = 0;
  // FAILED_PRECONDITION "fenced" when the lease is no longer this one.
  virtual absl::Status RenewLease(const Lease& lease, absl::Duration ttl) = 0;
  virtual absl::Status ReleaseLease(const Lease& lease) = 0;
  virtual absl::StatusOr<std::optional<Lease>> GetLease(const std::string& flow_id) = 0;
  // This store for who holds `lease`: whatever it writes fails with FAILED_PRECONDITION "fenced", and changes nothing,
  // once the flow has a newer generation. So somebody who was suspended and overtaken does no harm. Reads as ever. May
  // outlive this object.
  virtual std::unique_ptr<ControlStore> FencedBy(const Lease& lease) const = 0;

  // ---- checkpoints ----
  virtual absl::StatusOr<std::optional<Checkpoint>> GetCheckpoint(const std::string& flow_id) = 0;
  // With a generation > 0: FAILED_PRECONDITION "fenced" when the flow's lease is of a newer one. 0: by an operator.
  virtual absl::Status PutCheckpoint(const std::string& flow_id, const Checkpoint& checkpoint, int64_t generation) = 0;
  virtual absl::StatusOr<std::vector<std::pair<std::string, Checkpoint>>> ListCheckpoints() = 0;

  // ---- snapshots ----
  virtual absl::StatusOr<std::vector<TableSync>> TableSyncs(const std::string& flow_id) = 0;
  // In the place of what is stored under the table's name, and of what is stored under another name for its oid.
  virtual absl::Status PutTableSync(const std::string& flow_id, const TableSync& sync) = 0;
  virtual absl::Status DeleteTableSync(const std::string& flow_id, const std::string& table) = 0;

  // ---- schema changes ----
  // Adds the events that are not there yet, told apart by LSN and ordinal; those that are stay as they are. Returns all
  // of them as they are now; of a new one, `id` was given by this call and `added` is set.
  struct RecordedDdl {
    DdlEvent event;
    bool added = false;
  };
  virtual absl::StatusOr<std::vector<RecordedDdl>> RecordDdl(const std::vector<DdlEvent>& events) = 0;
  virtual absl::StatusOr<DdlEvent> GetDdl(int64_t id) = 0;
  // In order of id. Empty `flow_id`: of all flows; no `statuses`: of any status. `limit` > 0: the newest so many;
  // `before_id` > 0: only those with a lower id.
  virtual absl::StatusOr<std::vector<DdlEvent>> ListDdl(const std::string& flow_id,
                                                        const std::vector<DdlStatus>& statuses, int limit = 0,
                                                        int64_t before_id = 0) = 0;
  // FAILED_PRECONDITION naming the current status when it is in none of `from`. `error` replaces the stored one.
  virtual absl::StatusOr<DdlEvent> MoveDdl(int64_t id, const std::vector<DdlStatus>& from, DdlStatus to,
                                           const std::string& error) = 0;
  virtual absl::Status PutDdlReceipt(int64_t id, const std::string& destination) = 0;
  // The end of an event, in one transaction: its status (applied or rejected), the table's shape from there on, and
  // what becomes of the table's copy. A copy that is still due stays so under the table's new name.
  struct DdlSettlement {
    DdlStatus status = DdlStatus::kApplied;
    std::optional<TableShape> shape;  // takes the place of what is stored for its oid; of a dropped table none
    uint32_t dropped = 0;             // oid of a table that is gone
    std::string old_table;            // "schema.name" before and after the change; "": was not, is no more
    std::string new_table;
    bool copy = false;  // the table is to be copied again
  };
  virtual absl::StatusOr<DdlEvent> SettleDdl(int64_t id, const std::vector<DdlStatus>& from,
                                             const DdlSettlement& settlement) = 0;
  // By flow: how many events it has paused for since it was created. Never goes down. Flows without one have 0.
  virtual absl::StatusOr<std::map<std::string, int64_t>> GatedDdlCounts() = 0;

  // `lane`: as the stream of that destination's lane has them; "": the flow's own.
  virtual absl::StatusOr<std::vector<StoredShape>> TableShapes(const std::string& flow_id,
                                                               const std::string& lane = "") = 0;
  virtual absl::Status PutTableShape(const std::string& flow_id, const StoredShape& shape,
                                     const std::string& lane = "") = 0;

  // The number of a table's shape, which destinations see as its schema version: 1 for the first that a table of this
  // name has, and one more for each that follows. `relation`: as the transaction that commits at `lsn` has it, or the
  // copy that was taken there. The same for the same question, whoever asks and however often, so that a replay and a
  // lane find the numbers that were given.
  virtual absl::StatusOr<int64_t> NumberShape(const std::string& flow_id, const Relation& relation, Lsn lsn) = 0;
  // Those that were given, in order of table and number.
  virtual absl::StatusOr<std::vector<ShapeNumber>> ShapeNumbers(const std::string& flow_id) = 0;

  // In order of `from` and oid.
  virtual absl::StatusOr<std::vector<TableHold>> TableHolds(const std::string& flow_id) = 0;
  // All or none; each in the place of what is stored for its oid.
  virtual absl::Status PutTableHolds(const std::string& flow_id, const std::vector<TableHold>& holds) = 0;
  // Those that are stored exactly so.
  virtual absl::Status DeleteTableHolds(const std::string& flow_id, const std::vector<TableHold>& holds) = 0;

  // ---- lanes: destinations of a flow that go at their own pace (docs/fan-out.md) ----
  // By destination: how far each is.
  virtual absl::StatusOr<std::map<std::string, Checkpoint>> Lanes(const std::string& flow_id) = 0;
  // Begins the lane, or begins it again: at the checkpoint, with the shapes that the flow's own stream has now.
  virtual absl::Status BeginLane(const std::string& flow_id, const std::string& destination,
                                 const Checkpoint& checkpoint) = 0;
  // NOT_FOUND when it was not begun; FAILED_PRECONDITION when it is further.
  virtual absl::Status PutLaneCheckpoint(const std::string& flow_id, const std::string& destination,
                                         const Checkpoint& checkpoint) = 0;
  // What a lane's destination has followed: receipts and shapes, in one transaction.
  struct LaneDdl {
    int64_t event_id = 0;
    Lsn lsn;                          // the event's
    std::optional<TableShape> shape;  // as in DdlSettlement
    uint32_t dropped = 0;
  };
  virtual absl::Status SettleLaneDdl(const std::string& flow_id, const std::string& destination,
                                     const std::vector<LaneDdl>& events) = 0;
  // With its shapes. OK when there is none.
  virtual absl::Status ForgetLane(const std::string& flow_id, const std::string& destination) = 0;

  // ---- dead letters ----
  // In the place of what is kept for the same destination and key. FAILED_PRECONDITION when the flow has
  // kMostDeadLetters or kMostDeadLetterBytes of them.
  virtual absl::Status PutDeadLetter(const std::string& flow_id, const DeadLetter& letter) = 0;
  // In order of id, those after `after_id`, at most `limit`, without payloads. Empty `destination`: of all.
  virtual absl::StatusOr<std::vector<StoredDeadLetter>> DeadLetters(const std::string& flow_id,
                                                                    const std::string& destination, int64_t after_id,
                                                                    int limit) = 0;
  virtual absl::StatusOr<StoredDeadLetter> GetDeadLetter(const std::string& flow_id, int64_t id) = 0;
  virtual absl::Status DeleteDeadLetter(const std::string& flow_id, int64_t id) = 0;
  virtual absl::StatusOr<int64_t> CountDeadLetters(const std::string& flow_id) = 0;

  // ---- workers ----
  virtual absl::Status PutReport(const std::string& flow_id, const WorkerReport& report) = 0;
  virtual absl::StatusOr<std::optional<WorkerReport>> GetReport(const std::string& flow_id) = 0;
  // By flow; those whose workers never reported are left out.
  virtual absl::StatusOr<std::map<std::string, WorkerReport>> ListReports() = 0;
  virtual absl::StatusOr<int64_t> AddAttempt(const DispatchAttempt& attempt) = 0;
  virtual absl::Status EndAttempt(int64_t id, int exit_code, const std::string& outcome) = 0;
  virtual absl::StatusOr<std::vector<DispatchAttempt>> ActiveAttempts() = 0;
};

// What opening a store does about the key that its definitions are sealed with, WALLABY_SECRET_KEY. The store holds a
// mark by which it knows it (store/store_key.h).
enum class KeyUse {
  kCheck,    // another key than the mark's is refused, and none where there is a mark
  kAdopt,    // likewise; the first key of a store is marked, and the definitions that are there in clear are sealed
  kReplace,  // the key that is set, or none, takes the place of the mark's: what that sealed cannot be read any more
};

// SQLite file at `path` (made with its folder when missing), WAL mode, for processes of one machine. `sealed`, where it
// is not null: how many definitions were sealed.
absl::StatusOr<std::unique_ptr<ControlStore>> OpenSqliteStore(const std::string& path, KeyUse use = KeyUse::kCheck,
                                                              int* sealed = nullptr);
// PostgreSQL; tables in schema `wallaby_control`, made or migrated when needed under an advisory lock.
absl::StatusOr<std::unique_ptr<ControlStore>> OpenPostgresStore(const std::string& dsn, KeyUse use = KeyUse::kCheck,
                                                                int* sealed = nullptr);

}  // namespace wallaby

#endif  // WALLABY_STORE_CONTROL_STORE_H_
