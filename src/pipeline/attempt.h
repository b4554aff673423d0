// Attempt: one try at running a flow: opens source and destinations, checks them, copies what is to be copied, streams.
// What goes wrong ends the attempt; the next one starts from what is durable, by the same way as after a crash.
#ifndef WALLABY_PIPELINE_ATTEMPT_H_
#define WALLABY_PIPELINE_ATTEMPT_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/lsn.h"
#include "flow/ddl_event.h"
#include "flow/flow.h"
#include "pgoutput/assembler.h"
#include "pipeline/checkpoint_keys.h"
#include "pipeline/ddl_watch.h"
#include "pipeline/dead_letters.h"
#include "pipeline/pipeline.h"
#include "pipeline/snapshot_resume.h"
#include "pipeline/source.h"
#include "pipeline/spooler.h"
#include "pipeline/table_holds.h"
#include "spool/spool_cursor.h"
#include "spool/spool_lock.h"
#include "store/control_store.h"

namespace wallaby {

class Lanes;

enum class WorkerMode {
  kCdc,       // snapshot where one is due, then stream
  kBackfill,  // copy tables again, then end
  kSpool,     // deliver nothing: only read the slot into the spool, while the flow is paused or failed
};

struct WorkerOptions {
  std::string flow_id;
  WorkerMode mode = WorkerMode::kCdc;
  int max_empty_reads = 0;          // > 0: end after so many polls that brought nothing
  std::vector<std::string> tables;  // backfill: these only ("schema.table"); empty: all
  std::vector<std::string> schemas;
  Lsn start_lsn;             // an operator's order to begin there
  int snapshot_workers = 0;  // 0: as the flow says
  PartitionOptions partition;
  std::string checkpoint_backend = "sqlite";  // as metrics name it
  std::optional<SpoolOptions> spool;
  SpoolPolicy spool_policy = SpoolPolicy::kHold;  // where the flow does not say
};

// A transaction that the stream holds because of its DDL.
struct HeldTransaction {
  Lsn commit;
  std::vector<DdlEvent> events;  // to be recorded
  std::vector<Relation> tables;  // that they are about: oid, schema and name
  Lsn group;                     // met while this group of tables was caught up; 0/0: by the flow's own stream
};

// What one attempt needs and leaves. Pointers outlive the attempt.
struct AttemptContext {
  const Flow* flow = nullptr;
  // The destination whose lane it is (lane.h); "": the flow's own stream, to the primary or to every destination.
  std::string lane;
  Lanes* lanes = nullptr;  // set for the own stream of a flow that fans out
  Source* source = nullptr;
  const SourceOptions* source_options = nullptr;
  const WorkerOptions* options = nullptr;
  ControlStore* store = nullptr;
  CheckpointStore* checkpoints = nullptr;
  Spooler* spooler = nullptr;  // set where the stream comes out of a spool
  bool shares_slot = false;    // with other flows, as the last attempt found
  Clock* clock = nullptr;
  const Event* cut_short = nullptr;  // what waits for a destination that says nothing ends when it is set
  int64_t generation = 0;
  int64_t memory_limit = 256 << 20;
  EffectiveDdlPolicy ddl;
  bool force_text = false;  // set by an attempt that met a type which is only read as text
  bool captures = false;    // DDL messages are in the stream: what an attempt of the flow found, for its lanes
  // Set by an attempt that met DDL which is not settled; the worker takes it. Everything before the transaction is
  // delivered then, or the attempt failed and `stop_before` makes the next one see to it.
  std::optional<HeldTransaction> held;
  Lsn stop_before;
  // Set by an attempt that let a group of tables go, or has copied before lanes go on; the next one begins at once.
  bool again = false;
  // Of a flow that fans out: every lane has come to the copy that is due. The next attempt takes it.
  bool copy_now = false;
};

struct AttemptReport {
  std::string detail;
  int64_t changes = 0;
  Lsn acknowledged;
  bool settled = false;
  int64_t reached_micros = 0;
  std::vector<DestinationLoad> loads;
  bool streaming = false;
};

// A worker of a newer generation has taken over.
bool IsFenced(const absl::Status& status);

// How the slot is found or made stands in attempt_slot.cc, what is copied in attempt_copy.cc, what is checked before
// that in attempt_continuity.cc, how it joins a spool in attempt_spool.cc, what becomes of tables that waited for a
// schema change while the flow went on in attempt_catch_up.cc, and what of destinations that go at their own pace in
// attempt_lanes.cc.
class Attempt {
 public:
  explicit Attempt(AttemptContext* context) : c_(*context), dead_letters_(context->store, context->flow->id) {}
  // OK: stopped, drained or (backfill) done.
  absl::Status Run();
  // From any thread.
  void Stop();
  AttemptReport report() const;
  // It streams and passes by tables that wait for a schema change.
  bool passes_by_held_tables() const { return passes_by_held_tables_; }
  // It streams and leaves a copy that is due until every lane has come to it.
  bool copy_waits() const { return copy_waits_; }

 private:
  // In a checkpoint's metadata, besides those in checkpoint_keys.h: the server's timeline that the position is of, and
  // what was read there. What was read last has the key in history_mark.h.
  static constexpr char kTimelineKey[] = "source.timeline";
  static constexpr char kPublicationKey[] = "source.publication";
  // The options of these names, as the flow had them; absent: all tables.
  static constexpr char kTablesKey[] = "source.tables";
  static constexpr char kSchemasKey[] = "source.schemas";
  // Likewise: the spool that has what the slot has no more.
  static constexpr char kSpoolKey[] = "spool";
  // Of a flow that fans out: the destination that the checkpoint is of.
  static constexpr char kPrimaryKey[] = "primary";
  // Of a lane, with a table's oid behind it: the LSN of the snapshot that the table was copied under last, or the
  // copy's plan where its parts are of several.
  static constexpr std::string_view kCopiedKey = "copied.";

  absl::Status OpenDestinations();
  // `identity`: the name under which it keeps its progress.
  absl::Status OpenOne(const Endpoint& endpoint, const std::string& identity);
  absl::Status OpenSource();
  absl::Status EnsureCapture();
  absl::Status ListTables(SourceSession& session);
  absl::Status ListTablesAtSnapshot();
  bool Carries(const Relation& relation) const;
  // Null: nothing is stored for the table.
  const StoredShape* StreamedShape(uint32_t oid) const;
  // As the destination's own stream has it.
  const StoredShape* StreamedShapeAt(const OpenDestination& open, uint32_t oid) const;
  absl::Status CheckTables();
  absl::Status CheckTablesPresent();
  // The remedy, and an error that ends with it.
  std::string BackfillCommand() const;
  absl::Status NeedsBackfill(const std::string& what) const;
  absl::Status LookAtSlot();
  absl::Status PrepareSlot();
  absl::Status JoinSpool();
  // Leaves spool_lock_ held, or finds that the slot has been made since.
  absl::Status TakeSpoolOfNoSlot();
  absl::Status CheckSlotMade() const;
  // Where a flow begins that makes no slot of its own.
  absl::StatusOr<Lsn> FirstPosition() const;
  absl::Status CheckContinuity();
  bool BeginsWithChanges(const std::string& destination) const;
  absl::Status IsNew(const std::string& destination) const;
  absl::Status CheckSlotPosition() const;
  absl::Status CheckHistory();
  absl::Status CheckSystem() const;
  absl::Status CheckTimeline() const;
  absl::Status CheckReaches(Lsn end) const;
  absl::Status ProveHistory() const;
  void NoteSource(Checkpoint* checkpoint) const;
  bool LacksSnapshot(const OpenDestination& open) const;
  bool CopiesEveryTable() const;
  absl::Status MarkBackfill();
  absl::Status CreateSlot(bool snapshot_all);
  absl::Status MarkNewTables();
  absl::Status MarkNewlyCarried(const std::optional<std::vector<PublishedTable>>& published);
  void WarnOfUnpublished() const;
  absl::Status FollowRenames();
  absl::Status MarkToCopy(const Relation& relation);
  absl::Status PrepareSnapshot();
  // Whether the table may be copied as it is now: it is as the stream has it, or the destinations are made to follow.
  absl::StatusOr<bool> IsCopyable(const PublishedTable& table);
  absl::Status CheckShapesAtSnapshot();
  absl::Status Snapshot();
  absl::Status StoreCopiedShapes(Lsn snapshot);
  absl::Status SettleCopiedDdl(Lsn snapshot);
  absl::StatusOr<pgoutput::Assembler::Options> AssemblerOptions() const;
  DdlWatch::Options WatchOptions(std::function<bool(const Relation&)> carries) const;
  HeldTransaction Held(const DdlWatch& watch, Lsn commit) const;
  Pipeline::Options PipelineOptions() const;
  absl::StatusOr<std::unique_ptr<ReplicationStream>> StartStream(const StreamOptions& options);
  absl::Status AfterLoss(const absl::Status& status);
  absl::Status Stream();
  absl::Status EndAtBarrier(const DdlWatch& watch);
  absl::Status StoreFirstCheckpoint(Lsn lsn, const HistoryMark& mark = {});
  absl::Status MakePipeline();
  // Tells the runtime trace what is durable where.
  void TraceFound() const;
  bool WantsTable(const Relation& relation) const;
  bool StreamsBinary() const;
  void SetDetail(std::string detail);

  // ---- destinations that go at their own pace ----
  // Sees to what an update of the flow means for them, and decides whether this attempt has all destinations open.
  absl::Status PrepareLanes();
  absl::Status ForgetRemovedDestinations();
  absl::Status FollowPrimary();
  // The acknowledgement rests on all destinations again.
  absl::Status JoinLanes();
  absl::Status KeepForLanes();
  absl::Status LetGoOfLanes();
  // The flow's own stream goes on with the primary alone.
  absl::Status LeaveSecondaries();
  absl::Status BeginLane(const std::string& destination);
  absl::Status BeginLanes();
  absl::Status NoteCopies(Checkpoint* lane) const;
  absl::Status NoteCopied();
  // In a lane, of tables whose copy was made or is due, also where the flow's own stream has dropped them since.
  absl::Status SkipInLane(pgoutput::Assembler::Options* options) const;
  bool IsOpenedHere(const Endpoint& endpoint) const;
  bool CopyIsDue() const;
  bool fans_out() const { return c_.lanes != nullptr; }
  int64_t memory_share() const;
  // What the destinations that are not open here would run.
  void AddStatementsElsewhere(const SchemaChange& change,
                              std::map<std::string, std::vector<std::string>>* statements) const;
  // Under which it has a cursor in the spool.
  std::string CursorId() const;

  // ---- tables that wait for a schema change ----
  absl::Status LoadHolds();
  bool IsHeld(uint32_t oid) const;
  Lsn KeepFrom() const;
  // The first group that nothing holds any more, if one may be caught up now.
  absl::StatusOr<std::optional<HeldGroup>> GroupToLetGo() const;
  absl::Status CatchUp(const HeldGroup& group);
  absl::Status CatchUpAt(const Endpoint& endpoint, const HeldGroup& group, Lsn until,
                         std::optional<HeldTransaction>* held);

  AttemptContext& c_;
  StoredDeadLetters dead_letters_;  // before the destinations, which use it
  std::vector<std::unique_ptr<Destination>> destinations_;
  std::vector<OpenDestination> open_;
  std::unique_ptr<SourceSession> session_;
  std::vector<PublishedTable> tables_;
  std::vector<TableSync> syncs_;
  std::vector<TableToCopy> to_copy_;
  std::vector<TableHold> holds_;
  bool together_ = true;                     // every destination is open, not the primary or the lane's alone
  std::map<std::string, Checkpoint> lanes_;  // by destination, as stored
  std::map<std::string, std::vector<StoredShape>> lane_shapes_;  // of those that are open here
  std::vector<StoredShape> shapes_;                              // as the stream has them
  std::map<uint32_t, TableShape> source_shapes_;                 // of tables_, by oid, with rejected columns marked
  bool captures_ = false;                                        // DDL messages are in the stream
  std::optional<SlotInfo> slot_;                                 // as it was when the attempt began
  SpoolName spool_name_;                                         // these two with a spool only
  std::unique_ptr<SpoolCursor> cursor_;
  std::unique_ptr<SpoolLock> spool_lock_;  // while this attempt makes the slot
  ServerInfo server_;                      // as it was then
  std::unique_ptr<SourceSnapshot> snapshot_;
  std::optional<Checkpoint> checkpoint_;

  mutable std::mutex mutex_;            // guards all below
  std::unique_ptr<Pipeline> pipeline_;  // set once, under mutex_
  std::unique_ptr<Pipeline> catch_up_;  // of a group at one destination
  std::string detail_ = "starting";
  bool stop_ = false;
  std::atomic<bool> passes_by_held_tables_{false};
  std::atomic<bool> copy_waits_{false};
  std::atomic<bool> streaming_{false};
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_ATTEMPT_H_
