// What a worker does about tables that wait for a schema change while their flow goes on.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "pipeline/ddl_apply.h"
#include "pipeline/table_holds.h"
#include "pipeline/worker.h"
#include "telemetry/log.h"

namespace wallaby {

// Applies what an operator has asked for. What a destination says against it stays with the event.
absl::Status Worker::ApplyRequested() {
  ASSIGN_OR_RETURN(const std::vector<HeldGroup> groups, HeldGroups(*fenced_, options_.flow_id));
  for (const HeldGroup& group : groups) {
    for (const DdlEvent& event : group.events) {
      if (event.status != DdlStatus::kApplying || ending_) continue;
      {
        std::lock_guard lock(mutex_);
        waiting_ = absl::StrCat("applying DDL event ", event.id);
      }
      Log(LogLevel::kInfo, "applying DDL", {{"event", absl::StrCat(event.id)}, {"ddl", event.ddl}});
      const absl::Status applied = ApplyDdlEvent(*fenced_, stored_.flow, event.id,
                                                 {.generation = lease_.generation, .memory_limit = memory_limit_ / 4})
                                       .status();
      if (applied.ok()) continue;
      Log(LogLevel::kError, "DDL event was not applied",
          {{"event", absl::StrCat(event.id)}, {"error", std::string(applied.message())}});
      // Most failures have made it so already.
      fenced_->MoveDdl(event.id, {DdlStatus::kApplying}, DdlStatus::kFailed, std::string(applied.message()))
          .IgnoreError();
    }
  }
  return absl::OkStatus();
}

absl::Status Worker::HoldTables(const HeldTransaction& held) {
  std::vector<Relation> tables = held.tables;
  if (context_.ddl.scope == DdlScope::kLinked) {
    std::vector<uint32_t> oids;
    for (const Relation& table : tables) oids.push_back(table.oid);
    ASSIGN_OR_RETURN(const auto session, source_->Connect());
    ASSIGN_OR_RETURN(const std::vector<Relation> linked, session->LinkedTables(oids));
    tables.insert(tables.end(), linked.begin(), linked.end());
  }
  ASSIGN_OR_RETURN(const std::vector<TableHold> stored, fenced_->TableHolds(options_.flow_id));
  std::vector<TableHold> holds;
  for (const Relation& table : tables) {
    const auto same = [&table](const TableHold& hold) { return hold.oid == table.oid; };
    if (std::any_of(holds.begin(), holds.end(), same)) continue;
    const auto known = std::find_if(stored.begin(), stored.end(), same);
    // While a group is caught up only its own tables wait on: the stream has brought the others further than this.
    const bool takes = held.group.valid()
                           ? known != stored.end() && known->from == held.group
                           : known == stored.end() && CarriesTable(source_options_, table.schema, table.name);
    if (takes) holds.push_back({table.oid, table.QualifiedName(), held.commit});
  }
  return fenced_->PutTableHolds(options_.flow_id, holds);
}

// Ends the attempt when a group may be let go, or an event is to be applied; the next one sees to it.
void Worker::LookAtHolds() {
  std::shared_ptr<Attempt> attempt;
  {
    std::lock_guard lock(mutex_);
    attempt = attempt_;
  }
  if (ending_ || attempt == nullptr || !attempt->passes_by_held_tables()) return;
  const auto groups = HeldGroups(*store_, options_.flow_id);
  if (!groups.ok()) return;
  const bool due = std::any_of(groups->begin(), groups->end(), [](const HeldGroup& group) {
    return group.settled() || std::any_of(group.events.begin(), group.events.end(),
                                          [](const DdlEvent& event) { return event.status == DdlStatus::kApplying; });
  });
  if (!due) return;
  look_again_ = true;
  attempt->Stop();
}

}  // namespace wallaby
