// Oracle: knows what must hold at any time, and looks after each thing that becomes durable or is acknowledged.
//
//   A destination shows each table exactly as the source's was at the destination's position; rows of a snapshot as
//   they were at the snapshot's, where that is later. So nothing is lost, doubled, out of order or half there. No
//   change of a table is delivered behind DDL of that table, and no position behind any, that nobody has decided on. A
//   position is checkpointed only when all before it is durable at every destination, and acknowledged only when it is
//   checkpointed. Neither goes back. Where destinations go at their own pace, that is the primary's checkpoint, each of
//   the others has one of its own, and the spool forgets nothing that one of them lacks; what is acknowledged is then
//   durable in the spool.
//   Who was overtaken by a later generation changes nothing.
#ifndef WALLABY_TEST_SIMULATION_ORACLE_H_
#define WALLABY_TEST_SIMULATION_ORACLE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/lsn.h"
#include "flow/ddl_event.h"
#include "postgres/table_copy.h"
#include "store/control_store.h"
#include "test/simulation/disk.h"

namespace wallaby::simulation {

class World;

class Oracle {
 public:
  explicit Oracle(World* world) : world_(*world) {}

  // ---- what others tell ----
  void KnowPart(uint32_t oid, const TablePart& part);  // how a snapshot was cut
  void LeaseTaken(int process, int64_t generation);
  void SyncsChanged() { syncs_known_ = false; }
  void Settled(const DdlEvent& event);
  void SlotMade(Lsn consistent);
  // The source's history goes on from there as another one.
  void Restored(Lsn end);

  // Everything that is at a destination is checkpointed, and the copies are from before `end`.
  bool IsSettledBefore(Lsn end) const;

  // ---- what must hold ----
  // A streamed change of the table is written to the destination.
  void OnChange(const Disk& disk, const DiskState& state, uint32_t oid, Position position);
  void OnCommit(const Disk& disk, int64_t generation);
  // A process has changed what the store has of the flow.
  void OnWrite(std::string_view what, int process);
  void OnCheckpoint(const Checkpoint& checkpoint);
  // Of a destination that goes at its own pace; `begins`: its lane is begun, and may be begun again from before.
  void OnLaneCheckpoint(const std::string& destination, const Checkpoint& checkpoint, bool begins);
  // The spool forgets what ends before that.
  void OnSpoolRemoved(Lsn below);
  void OnAcknowledge(Lsn flushed);
  void OnFailed(const std::string& reason);

  // The first thing in which a destination differs from the source as it is now; "" when nothing does.
  std::string Difference();
  // Why Difference() would be of no use yet; "" when it would.
  std::string NotThereYet();

 private:
  struct Part {
    uint32_t oid;
    KeyRange range;
  };

  bool CopyIsDue(const std::string& table);
  // Under whatever name: those who copy may not have come as far as the source.
  bool CopyIsDue(const Table& table);
  // The LSN of the latest snapshot that the row with this key, or any row of the table, is from.
  Lsn Shown(const DiskState& state, uint32_t oid, int64_t key) const;
  Lsn HighestShown(const DiskState& state, uint32_t oid) const;
  bool WasToldOfDrop(const Table& table) const;
  bool WasToldOf(const std::pair<uint32_t, int>& column) const;
  std::string CompareTables(const Disk& disk, bool whole);
  std::string CompareTable(const DiskState& state, const Table& table, const DiskTable& there, bool whole) const;
  std::string CompareRow(const Table& table, const DiskTable& there, int64_t key, Lsn at) const;
  // Somebody has decided on it, or there is nothing to decide: it is about a column that was rejected.
  bool IsSettled(const DdlRecord& ddl) const;
  bool IsDurable(const Disk& disk, const WalTransaction& t);
  // A lane that was begun anew behind the drop, by a backfill: nobody drops the table there (docs/fan-out.md).
  bool WasPassedOver(const Disk& disk, const Table& dropped) const;
  // All that ends by `lsn`, of which the first `*verified` of the log are known to.
  void CheckDurable(const std::string& what, Lsn lsn, const std::vector<const Disk*>& disks, size_t* verified);

  World& world_;
  std::map<std::string, Part> parts_;
  bool syncs_known_ = false;
  std::vector<TableSync> syncs_;
  std::set<std::pair<uint32_t, Lsn>> settled_;  // events, by table and commit
  Lsn checkpoint_;
  struct LaneAt {
    Lsn checkpoint;
    Lsn began;  // where it began last
    size_t verified = 0;
  };
  std::map<std::string, LaneAt> lanes_;
  size_t verified_ = 0;                 // so many transactions of the log were seen to be durable
  std::map<int, int64_t> generations_;  // by process
  int64_t generation_ = 0;              // of the last lease
  // Columns, by table and attribute number.
  std::set<std::pair<uint32_t, int>> rejected_;
  std::set<std::pair<uint32_t, int>> unsure_;  // whether those were rejected is not known any more
  Lsn first_;                                  // where the slot begins
};

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_ORACLE_H_
