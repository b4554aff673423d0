// FaultyStore: the control store as one process reaches it: each call takes time, may fail before or after it was done.
// The store behind it is the real one, over SQLite in memory.
#ifndef WALLABY_TEST_SIMULATION_FAULTY_STORE_H_
#define WALLABY_TEST_SIMULATION_FAULTY_STORE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "store/control_store.h"
#include "test/simulation/world.h"

namespace wallaby::simulation {

class FaultyStore final : public ControlStore {
 public:
  // `fenced`: the view of the store that it is; null: the store itself.
  explicit FaultyStore(std::unique_ptr<ControlStore> fenced = nullptr) : fenced_(std::move(fenced)) {}

  absl::Status Ping() override {
    return Call("ping", [](ControlStore& s) { return s.Ping(); });
  }
  absl::Status CreateFlow(const Flow& flow) override {
    return Write("create flow", [&](ControlStore& s) { return s.CreateFlow(flow); });
  }
  absl::Status UpdateFlow(const Flow& flow) override {
    return Write("update flow", [&](ControlStore& s) { return s.UpdateFlow(flow); });
  }
  absl::StatusOr<StoredFlow> GetFlow(const std::string& id) override {
    return Call("get flow", [&](ControlStore& s) { return s.GetFlow(id); });
  }
  absl::StatusOr<StoredFlow> FindFlow(const std::string& id) override {
    return Call("find flow", [&](ControlStore& s) { return s.FindFlow(id); });
  }
  absl::StatusOr<std::vector<StoredFlow>> ListFlows(const std::string& after_id, int limit) override {
    return Call("list flows", [&](ControlStore& s) { return s.ListFlows(after_id, limit); });
  }
  absl::Status DeleteFlow(const std::string& id) override {
    return Write("delete flow", [&](ControlStore& s) { return s.DeleteFlow(id); });
  }
  absl::Status Transition(const std::string& id, const std::vector<FlowState>& from, FlowState to,
                          const std::string& reason) override;
  absl::Status SetLastError(const std::string& id, const std::string& error) override {
    return Write("set last error", [&](ControlStore& s) { return s.SetLastError(id, error); });
  }
  absl::StatusOr<std::vector<StateEvent>> StateEvents(const std::string& id, int limit) override {
    return Call("state events", [&](ControlStore& s) { return s.StateEvents(id, limit); });
  }
  absl::StatusOr<std::vector<StateChangeTotal>> StateChangeTotals() override {
    return Call("state totals", [&](ControlStore& s) { return s.StateChangeTotals(); });
  }

  absl::StatusOr<Lease> AcquireLease(const std::string& flow_id, const std::string& holder,
                                     absl::Duration ttl) override;
  absl::Status RenewLease(const Lease& lease, absl::Duration ttl) override {
    return Call("renew lease", [&](ControlStore& s) { return s.RenewLease(lease, ttl); });
  }
  absl::Status ReleaseLease(const Lease& lease) override {
    return Call("release lease", [&](ControlStore& s) { return s.ReleaseLease(lease); });
  }
  absl::StatusOr<std::optional<Lease>> GetLease(const std::string& flow_id) override {
    return Call("get lease", [&](ControlStore& s) { return s.GetLease(flow_id); });
  }
  std::unique_ptr<ControlStore> FencedBy(const Lease& lease) const override {
    return std::make_unique<FaultyStore>(World::Now().store->FencedBy(lease));
  }

  absl::StatusOr<std::optional<Checkpoint>> GetCheckpoint(const std::string& flow_id) override {
    return Call("get checkpoint", [&](ControlStore& s) { return s.GetCheckpoint(flow_id); });
  }
  absl::Status PutCheckpoint(const std::string& flow_id, const Checkpoint& checkpoint, int64_t generation) override;
  absl::StatusOr<std::vector<std::pair<std::string, Checkpoint>>> ListCheckpoints() override {
    return Call("list checkpoints", [&](ControlStore& s) { return s.ListCheckpoints(); });
  }

  absl::StatusOr<std::vector<TableSync>> TableSyncs(const std::string& flow_id) override {
    return Call("table syncs", [&](ControlStore& s) { return s.TableSyncs(flow_id); });
  }
  absl::Status PutTableSync(const std::string& flow_id, const TableSync& sync) override;
  absl::Status DeleteTableSync(const std::string& flow_id, const std::string& table) override {
    return Write("delete table sync", [&](ControlStore& s) { return s.DeleteTableSync(flow_id, table); });
  }

  absl::StatusOr<std::vector<RecordedDdl>> RecordDdl(const std::vector<DdlEvent>& events) override;
  absl::StatusOr<DdlEvent> GetDdl(int64_t id) override {
    return Call("get ddl", [&](ControlStore& s) { return s.GetDdl(id); });
  }
  absl::StatusOr<std::vector<DdlEvent>> ListDdl(const std::string& flow_id, const std::vector<DdlStatus>& statuses,
                                                int limit, int64_t before_id) override {
    return Call("list ddl", [&](ControlStore& s) { return s.ListDdl(flow_id, statuses, limit, before_id); });
  }
  absl::StatusOr<DdlEvent> MoveDdl(int64_t id, const std::vector<DdlStatus>& from, DdlStatus to,
                                   const std::string& error) override {
    return Write("move ddl", [&](ControlStore& s) { return s.MoveDdl(id, from, to, error); });
  }
  absl::Status PutDdlReceipt(int64_t id, const std::string& destination) override {
    return Write("put receipt", [&](ControlStore& s) { return s.PutDdlReceipt(id, destination); });
  }
  absl::StatusOr<DdlEvent> SettleDdl(int64_t id, const std::vector<DdlStatus>& from,
                                     const DdlSettlement& settlement) override;
  absl::StatusOr<std::map<std::string, int64_t>> GatedDdlCounts() override {
    return Call("gated counts", [&](ControlStore& s) { return s.GatedDdlCounts(); });
  }
  absl::StatusOr<std::vector<StoredShape>> TableShapes(const std::string& flow_id, const std::string& lane) override {
    return Call("table shapes", [&](ControlStore& s) { return s.TableShapes(flow_id, lane); });
  }
  absl::Status PutTableShape(const std::string& flow_id, const StoredShape& shape, const std::string& lane) override {
    return Write("put table shape", [&](ControlStore& s) { return s.PutTableShape(flow_id, shape, lane); });
  }
  absl::StatusOr<int64_t> NumberShape(const std::string& flow_id, const Relation& relation, Lsn lsn) override {
    return Call("shape number", [&](ControlStore& s) { return s.NumberShape(flow_id, relation, lsn); });
  }
  absl::StatusOr<std::vector<ShapeNumber>> ShapeNumbers(const std::string& flow_id) override {
    return Call("shape numbers", [&](ControlStore& s) { return s.ShapeNumbers(flow_id); });
  }
  absl::StatusOr<std::vector<TableHold>> TableHolds(const std::string& flow_id) override {
    return Call("table holds", [&](ControlStore& s) { return s.TableHolds(flow_id); });
  }
  absl::Status PutTableHolds(const std::string& flow_id, const std::vector<TableHold>& holds) override {
    return Write("put table holds", [&](ControlStore& s) { return s.PutTableHolds(flow_id, holds); });
  }
  absl::Status DeleteTableHolds(const std::string& flow_id, const std::vector<TableHold>& holds) override {
    return Write("delete table holds", [&](ControlStore& s) { return s.DeleteTableHolds(flow_id, holds); });
  }

  absl::StatusOr<std::map<std::string, Checkpoint>> Lanes(const std::string& flow_id) override {
    return Call("lanes", [&](ControlStore& s) { return s.Lanes(flow_id); });
  }
  absl::Status BeginLane(const std::string& flow_id, const std::string& destination,
                         const Checkpoint& checkpoint) override;
  absl::Status PutLaneCheckpoint(const std::string& flow_id, const std::string& destination,
                                 const Checkpoint& checkpoint) override;
  absl::Status SettleLaneDdl(const std::string& flow_id, const std::string& destination,
                             const std::vector<LaneDdl>& events) override {
    return Write("settle lane ddl", [&](ControlStore& s) { return s.SettleLaneDdl(flow_id, destination, events); });
  }
  absl::Status ForgetLane(const std::string& flow_id, const std::string& destination) override {
    return Write("forget lane", [&](ControlStore& s) { return s.ForgetLane(flow_id, destination); });
  }

  absl::Status PutDeadLetter(const std::string& flow_id, const DeadLetter& letter) override {
    return Write("put dead letter", [&](ControlStore& s) { return s.PutDeadLetter(flow_id, letter); });
  }
  absl::StatusOr<std::vector<StoredDeadLetter>> DeadLetters(const std::string& flow_id, const std::string& destination,
                                                            int64_t after_id, int limit) override {
    return Call("dead letters", [&](ControlStore& s) { return s.DeadLetters(flow_id, destination, after_id, limit); });
  }
  absl::StatusOr<StoredDeadLetter> GetDeadLetter(const std::string& flow_id, int64_t id) override {
    return Call("get dead letter", [&](ControlStore& s) { return s.GetDeadLetter(flow_id, id); });
  }
  absl::Status DeleteDeadLetter(const std::string& flow_id, int64_t id) override {
    return Write("delete dead letter", [&](ControlStore& s) { return s.DeleteDeadLetter(flow_id, id); });
  }
  absl::StatusOr<int64_t> CountDeadLetters(const std::string& flow_id) override {
    return Call("count dead letters", [&](ControlStore& s) { return s.CountDeadLetters(flow_id); });
  }

  // Of reports only what asks for a backfill matters.
  absl::Status PutReport(const std::string& flow_id, const WorkerReport& report) override;
  absl::StatusOr<std::optional<WorkerReport>> GetReport(const std::string& flow_id) override {
    return Call("get report", [&](ControlStore& s) { return s.GetReport(flow_id); });
  }
  absl::StatusOr<std::map<std::string, WorkerReport>> ListReports() override {
    return Call("list reports", [&](ControlStore& s) { return s.ListReports(); });
  }
  absl::StatusOr<int64_t> AddAttempt(const DispatchAttempt& attempt) override {
    return Write("add attempt", [&](ControlStore& s) { return s.AddAttempt(attempt); });
  }
  absl::Status EndAttempt(int64_t id, int exit_code, const std::string& outcome) override {
    return Write("end attempt", [&](ControlStore& s) { return s.EndAttempt(id, exit_code, outcome); });
  }
  absl::StatusOr<std::vector<DispatchAttempt>> ActiveAttempts() override {
    return Call("attempts", [&](ControlStore& s) { return s.ActiveAttempts(); });
  }

 private:
  static const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  static const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
    return result.status();
  }

  // `then` sees the result at the moment at which it is durable.
  template <typename F, typename Then>
  std::invoke_result_t<F, ControlStore&> Call(std::string_view what, F call, Then then) const {
    World& world = World::Now();
    if (absl::Status reached = world.Reach(what); !reached.ok()) return reached;
    auto result = [&] {
      // SQLite's own locks are no business of the simulation.
      const Scheduler::NoYield whole;
      auto done = call(fenced_ != nullptr ? *fenced_ : *world.store);
      then(done);
      return done;
    }();
    if (!StatusOf(result).ok()) return result;
    if (absl::Status answered = world.Answer(what); !answered.ok()) return answered;
    return result;
  }
  template <typename F>
  std::invoke_result_t<F, ControlStore&> Call(std::string_view what, F call) const {
    return Call(what, call, [](const auto&) {});
  }

  // A call that changes what is stored of the flow.
  template <typename F, typename Then>
  std::invoke_result_t<F, ControlStore&> Write(std::string_view what, F call, Then then) const {
    return Call(what, call, [&](const auto& done) {
      World& world = World::Now();
      if (StatusOf(done).ok()) world.oracle.OnWrite(what, world.scheduler.process()->number);
      then(done);
    });
  }
  template <typename F>
  std::invoke_result_t<F, ControlStore&> Write(std::string_view what, F call) const {
    return Write(what, call, [](const auto&) {});
  }

  const std::unique_ptr<ControlStore> fenced_;
};

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_FAULTY_STORE_H_
