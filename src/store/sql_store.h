// SqlStore: ControlStore over a SqlDatabase. One class; its methods stand in one file per subject (flow_store.cc,
// lease_store.cc, checkpoint_store.cc, table_sync_store.cc, ddl_store.cc, shape_number_store.cc, table_hold_store.cc,
// lane_store.cc, dead_letter_store.cc, attempt_store.cc).
#ifndef WALLABY_STORE_SQL_STORE_H_
#define WALLABY_STORE_SQL_STORE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/control_store.h"
#include "store/secret_box.h"
#include "store/sql_database.h"

namespace wallaby {

class SqlStore final : public ControlStore {
 public:
  struct Options {
    // Seals definitions of flows.
    std::optional<SecretBox> box;
    // Flows that hold passwords are stored only when there is a box.
    bool refuse_secrets = false;
    // Checkpoints are taken for flows that this database does not hold; see SplitStore.
    bool only_checkpoints = false;
  };
  SqlStore(std::shared_ptr<SqlDatabase> database, Options options, std::optional<Lease> fence = std::nullopt)
      : database_(std::move(database)), options_(std::move(options)), fence_(std::move(fence)) {}

  absl::Status Ping() override;
  absl::Status CreateFlow(const Flow& flow) override;
  absl::Status UpdateFlow(const Flow& flow) override;
  absl::StatusOr<StoredFlow> GetFlow(const std::string& id) override;
  absl::StatusOr<StoredFlow> FindFlow(const std::string& id) override;
  absl::StatusOr<std::vector<StoredFlow>> ListFlows(const std::string& after_id, int limit) override;
  absl::Status DeleteFlow(const std::string& id) override;
  absl::Status Transition(const std::string& id, const std::vector<FlowState>& from, FlowState to,
                          const std::string& reason) override;
  absl::Status SetLastError(const std::string& id, const std::string& error) override;
  absl::StatusOr<std::vector<StateEvent>> StateEvents(const std::string& id, int limit) override;
  absl::StatusOr<std::vector<StateChangeTotal>> StateChangeTotals() override;

  absl::StatusOr<Lease> AcquireLease(const std::string& flow_id, const std::string& holder,
                                     absl::Duration ttl) override;
  absl::Status RenewLease(const Lease& lease, absl::Duration ttl) override;
  absl::Status ReleaseLease(const Lease& lease) override;
  absl::StatusOr<std::optional<Lease>> GetLease(const std::string& flow_id) override;
  std::unique_ptr<ControlStore> FencedBy(const Lease& lease) const override {
    return std::make_unique<SqlStore>(database_, options_, lease);
  }

  absl::StatusOr<std::optional<Checkpoint>> GetCheckpoint(const std::string& flow_id) override;
  absl::Status PutCheckpoint(const std::string& flow_id, const Checkpoint& checkpoint, int64_t generation) override;
  absl::StatusOr<std::vector<std::pair<std::string, Checkpoint>>> ListCheckpoints() override;
  absl::Status DeleteCheckpoint(const std::string& flow_id);

  absl::StatusOr<std::vector<TableSync>> TableSyncs(const std::string& flow_id) override;
  absl::Status PutTableSync(const std::string& flow_id, const TableSync& sync) override;
  absl::Status DeleteTableSync(const std::string& flow_id, const std::string& table) override;

  absl::StatusOr<std::vector<RecordedDdl>> RecordDdl(const std::vector<DdlEvent>& events) override;
  absl::StatusOr<DdlEvent> GetDdl(int64_t id) override;
  absl::StatusOr<std::vector<DdlEvent>> ListDdl(const std::string& flow_id, const std::vector<DdlStatus>& statuses,
                                                int limit, int64_t before_id) override;
  absl::StatusOr<DdlEvent> MoveDdl(int64_t id, const std::vector<DdlStatus>& from, DdlStatus to,
                                   const std::string& error) override;
  absl::Status PutDdlReceipt(int64_t id, const std::string& destination) override;
  absl::StatusOr<DdlEvent> SettleDdl(int64_t id, const std::vector<DdlStatus>& from,
                                     const DdlSettlement& settlement) override;
  absl::StatusOr<std::map<std::string, int64_t>> GatedDdlCounts() override;
  absl::StatusOr<std::vector<StoredShape>> TableShapes(const std::string& flow_id, const std::string& lane) override;
  absl::Status PutTableShape(const std::string& flow_id, const StoredShape& shape, const std::string& lane) override;
  absl::StatusOr<int64_t> NumberShape(const std::string& flow_id, const Relation& relation, Lsn lsn) override;
  absl::StatusOr<std::vector<ShapeNumber>> ShapeNumbers(const std::string& flow_id) override;
  absl::StatusOr<std::vector<TableHold>> TableHolds(const std::string& flow_id) override;
  absl::Status PutTableHolds(const std::string& flow_id, const std::vector<TableHold>& holds) override;
  absl::Status DeleteTableHolds(const std::string& flow_id, const std::vector<TableHold>& holds) override;

  absl::StatusOr<std::map<std::string, Checkpoint>> Lanes(const std::string& flow_id) override;
  absl::Status BeginLane(const std::string& flow_id, const std::string& destination,
                         const Checkpoint& checkpoint) override;
  absl::Status PutLaneCheckpoint(const std::string& flow_id, const std::string& destination,
                                 const Checkpoint& checkpoint) override;
  absl::Status SettleLaneDdl(const std::string& flow_id, const std::string& destination,
                             const std::vector<LaneDdl>& events) override;
  absl::Status ForgetLane(const std::string& flow_id, const std::string& destination) override;

  absl::Status PutDeadLetter(const std::string& flow_id, const DeadLetter& letter) override;
  absl::StatusOr<std::vector<StoredDeadLetter>> DeadLetters(const std::string& flow_id, const std::string& destination,
                                                            int64_t after_id, int limit) override;
  absl::StatusOr<StoredDeadLetter> GetDeadLetter(const std::string& flow_id, int64_t id) override;
  absl::Status DeleteDeadLetter(const std::string& flow_id, int64_t id) override;
  absl::StatusOr<int64_t> CountDeadLetters(const std::string& flow_id) override;

  absl::Status PutReport(const std::string& flow_id, const WorkerReport& report) override;
  absl::StatusOr<std::optional<WorkerReport>> GetReport(const std::string& flow_id) override;
  absl::StatusOr<std::map<std::string, WorkerReport>> ListReports() override;
  absl::StatusOr<int64_t> AddAttempt(const DispatchAttempt& attempt) override;
  absl::Status EndAttempt(int64_t id, int exit_code, const std::string& outcome) override;
  absl::StatusOr<std::vector<DispatchAttempt>> ActiveAttempts() override;

 private:
  // One transaction that changes something; with a fence, behind it.
  absl::Status Write(SqlDatabase::Body body);
  // The text that is stored for a flow, and back.
  absl::StatusOr<std::string> Definition(const Flow& flow) const;
  absl::StatusOr<Flow> ReadDefinition(const std::string& id, const std::string& text) const;
  StoredFlow ReadFlow(const SqlRows& rows, int row) const;

  const std::shared_ptr<SqlDatabase> database_;
  const Options options_;
  const std::optional<Lease> fence_;
};

// NOT_FOUND when there is no such flow.
absl::Status RequireFlow(SqlSession& session, const std::string& id);

// FAILED_PRECONDITION "fenced" when the flow's lease is of a newer generation. It does not become so before the
// transaction's end.
absl::Status CheckGeneration(SqlSession& session, const std::string& flow_id, int64_t generation);
absl::Status FencedGeneration(const std::string& flow_id, int64_t generation, int64_t newer, const std::string& holder);

// A checkpoint's metadata as the store keeps it. DATA_LOSS names `whose` it is.
std::string MetadataToJson(const std::map<std::string, std::string>& metadata);
absl::StatusOr<std::map<std::string, std::string>> MetadataFromJson(const std::string& whose, const std::string& text);

// OK when it is there already.
absl::Status WriteDdlReceipt(SqlSession& session, int64_t event_id, const std::string& destination);

// In the place of what is stored for the table's oid. `lane`: "" of the flow's own stream.
absl::Status WriteTableShape(SqlSession& session, const std::string& flow_id, const std::string& lane,
                             const StoredShape& stored);
absl::Status DeleteTableShape(SqlSession& session, const std::string& flow_id, const std::string& lane, uint32_t oid);

// See ControlStore::PutTableSync.
absl::Status WriteTableSync(SqlSession& session, const std::string& flow_id, const TableSync& sync);

// Times as the store keeps them. A time that nobody set (1970) becomes the time now.
int64_t StoredMicros(absl::Time time);
absl::Time TimeFromMicros(int64_t micros);

// LSNs as the store keeps them. INVALID_ARGUMENT for what no server can reach.
absl::StatusOr<int64_t> StoredLsn(Lsn lsn);
inline Lsn LsnFromStored(int64_t stored) {
  return Lsn{static_cast<uint64_t>(stored)};
}

}  // namespace wallaby

#endif  // WALLABY_STORE_SQL_STORE_H_
