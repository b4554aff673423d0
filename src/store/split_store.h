// SplitStore: a control store whose checkpoints are kept in another database.
#ifndef WALLABY_STORE_SPLIT_STORE_H_
#define WALLABY_STORE_SPLIT_STORE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "store/control_store.h"
#include "store/sql_store.h"

namespace wallaby {

// A checkpoint is fenced twice: by the lease, and in the other database by the generation that wrote there last.
class SplitStore final : public ControlStore {
 public:
  SplitStore(std::unique_ptr<ControlStore> control, std::shared_ptr<SqlStore> checkpoints)
      : control_(std::move(control)), checkpoints_(std::move(checkpoints)) {}

  absl::Status DeleteFlow(const std::string& id) override;
  absl::StatusOr<std::optional<Checkpoint>> GetCheckpoint(const std::string& flow_id) override {
    return checkpoints_->GetCheckpoint(flow_id);
  }
  absl::Status PutCheckpoint(const std::string& flow_id, const Checkpoint& checkpoint, int64_t generation) override;
  absl::StatusOr<std::vector<std::pair<std::string, Checkpoint>>> ListCheckpoints() override {
    return checkpoints_->ListCheckpoints();
  }

  absl::Status Ping() override { return control_->Ping(); }
  absl::Status CreateFlow(const Flow& flow) override;
  absl::Status UpdateFlow(const Flow& flow) override { return control_->UpdateFlow(flow); }
  absl::StatusOr<StoredFlow> GetFlow(const std::string& id) override { return control_->GetFlow(id); }
  absl::StatusOr<StoredFlow> FindFlow(const std::string& id) override { return control_->FindFlow(id); }
  absl::StatusOr<std::vector<StoredFlow>> ListFlows(const std::string& after_id, int limit) override {
    return control_->ListFlows(after_id, limit);
  }
  absl::Status Transition(const std::string& id, const std::vector<FlowState>& from, FlowState to,
                          const std::string& reason) override {
    return control_->Transition(id, from, to, reason);
  }
  absl::Status SetLastError(const std::string& id, const std::string& error) override {
    return control_->SetLastError(id, error);
  }
  absl::StatusOr<std::vector<StateEvent>> StateEvents(const std::string& id, int limit) override {
    return control_->StateEvents(id, limit);
  }
  absl::StatusOr<std::vector<StateChangeTotal>> StateChangeTotals() override { return control_->StateChangeTotals(); }
  absl::StatusOr<Lease> AcquireLease(const std::string& flow_id, const std::string& holder,
                                     absl::Duration ttl) override {
    return control_->AcquireLease(flow_id, holder, ttl);
  }
  absl::Status RenewLease(const Lease& lease, absl::Duration ttl) override { return control_->RenewLease(lease, ttl); }
  absl::Status ReleaseLease(const Lease& lease) override { return control_->ReleaseLease(lease); }
  absl::StatusOr<std::optional<Lease>> GetLease(const std::string& flow_id) override {
    return control_->GetLease(flow_id);
  }
  // The fence stands in the database of the leases; each checkpoint looks there by its own generation.
  std::unique_ptr<ControlStore> FencedBy(const Lease& lease) const override {
    return std::make_unique<SplitStore>(control_->FencedBy(lease), checkpoints_);
  }
  absl::StatusOr<std::vector<TableSync>> TableSyncs(const std::string& flow_id) override {
    return control_->TableSyncs(flow_id);
  }
  absl::Status PutTableSync(const std::string& flow_id, const TableSync& sync) override {
    return control_->PutTableSync(flow_id, sync);
  }
  absl::Status DeleteTableSync(const std::string& flow_id, const std::string& table) override {
    return control_->DeleteTableSync(flow_id, table);
  }
  absl::StatusOr<std::vector<RecordedDdl>> RecordDdl(const std::vector<DdlEvent>& events) override {
    return control_->RecordDdl(events);
  }
  absl::StatusOr<DdlEvent> GetDdl(int64_t id) override { return control_->GetDdl(id); }
  absl::StatusOr<std::vector<DdlEvent>> ListDdl(const std::string& flow_id, const std::vector<DdlStatus>& statuses,
                                                int limit, int64_t before_id) override {
    return control_->ListDdl(flow_id, statuses, limit, before_id);
  }
  absl::StatusOr<DdlEvent> MoveDdl(int64_t id, const std::vector<DdlStatus>& from, DdlStatus to,
                                   const std::string& error) override {
    return control_->MoveDdl(id, from, to, error);
  }
  absl::Status PutDdlReceipt(int64_t id, const std::string& destination) override {
    return control_->PutDdlReceipt(id, destination);
  }
  absl::StatusOr<DdlEvent> SettleDdl(int64_t id, const std::vector<DdlStatus>& from,
                                     const DdlSettlement& settlement) override {
    return control_->SettleDdl(id, from, settlement);
  }
  absl::StatusOr<std::map<std::string, int64_t>> GatedDdlCounts() override { return control_->GatedDdlCounts(); }
  absl::StatusOr<std::vector<StoredShape>> TableShapes(const std::string& flow_id, const std::string& lane) override {
    return control_->TableShapes(flow_id, lane);
  }
  absl::Status PutTableShape(const std::string& flow_id, const StoredShape& shape, const std::string& lane) override {
    return control_->PutTableShape(flow_id, shape, lane);
  }
  absl::StatusOr<int64_t> NumberShape(const std::string& flow_id, const Relation& relation, Lsn lsn) override {
    return control_->NumberShape(flow_id, relation, lsn);
  }
  absl::StatusOr<std::vector<ShapeNumber>> ShapeNumbers(const std::string& flow_id) override {
    return control_->ShapeNumbers(flow_id);
  }
  absl::StatusOr<std::vector<TableHold>> TableHolds(const std::string& flow_id) override {
    return control_->TableHolds(flow_id);
  }
  absl::Status PutTableHolds(const std::string& flow_id, const std::vector<TableHold>& holds) override {
    return control_->PutTableHolds(flow_id, holds);
  }
  absl::Status DeleteTableHolds(const std::string& flow_id, const std::vector<TableHold>& holds) override {
    return control_->DeleteTableHolds(flow_id, holds);
  }

  absl::StatusOr<std::map<std::string, Checkpoint>> Lanes(const std::string& flow_id) override {
    return control_->Lanes(flow_id);
  }
  absl::Status BeginLane(const std::string& flow_id, const std::string& destination,
                         const Checkpoint& checkpoint) override {
    return control_->BeginLane(flow_id, destination, checkpoint);
  }
  absl::Status PutLaneCheckpoint(const std::string& flow_id, const std::string& destination,
                                 const Checkpoint& checkpoint) override {
    return control_->PutLaneCheckpoint(flow_id, destination, checkpoint);
  }
  absl::Status SettleLaneDdl(const std::string& flow_id, const std::string& destination,
                             const std::vector<LaneDdl>& events) override {
    return control_->SettleLaneDdl(flow_id, destination, events);
  }
  absl::Status ForgetLane(const std::string& flow_id, const std::string& destination) override {
    return control_->ForgetLane(flow_id, destination);
  }

  absl::Status PutDeadLetter(const std::string& flow_id, const DeadLetter& letter) override {
    return control_->PutDeadLetter(flow_id, letter);
  }
  absl::StatusOr<std::vector<StoredDeadLetter>> DeadLetters(const std::string& flow_id, const std::string& destination,
                                                            int64_t after_id, int limit) override {
    return control_->DeadLetters(flow_id, destination, after_id, limit);
  }
  absl::StatusOr<StoredDeadLetter> GetDeadLetter(const std::string& flow_id, int64_t id) override {
    return control_->GetDeadLetter(flow_id, id);
  }
  absl::Status DeleteDeadLetter(const std::string& flow_id, int64_t id) override {
    return control_->DeleteDeadLetter(flow_id, id);
  }
  absl::StatusOr<int64_t> CountDeadLetters(const std::string& flow_id) override {
    return control_->CountDeadLetters(flow_id);
  }

  absl::Status PutReport(const std::string& flow_id, const WorkerReport& report) override {
    return control_->PutReport(flow_id, report);
  }
  absl::StatusOr<std::optional<WorkerReport>> GetReport(const std::string& flow_id) override {
    return control_->GetReport(flow_id);
  }
  absl::StatusOr<std::map<std::string, WorkerReport>> ListReports() override { return control_->ListReports(); }
  absl::StatusOr<int64_t> AddAttempt(const DispatchAttempt& attempt) override { return control_->AddAttempt(attempt); }
  absl::Status EndAttempt(int64_t id, int exit_code, const std::string& outcome) override {
    return control_->EndAttempt(id, exit_code, outcome);
  }
  absl::StatusOr<std::vector<DispatchAttempt>> ActiveAttempts() override { return control_->ActiveAttempts(); }

 private:
  const std::unique_ptr<ControlStore> control_;
  const std::shared_ptr<SqlStore> checkpoints_;
};

}  // namespace wallaby

#endif  // WALLABY_STORE_SPLIT_STORE_H_
