#include "pipeline/attempt.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/deliberate_bug.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "flow/destination_config.h"
#include "pipeline/snapshot_plan.h"
#include "pipeline/spool_stream.h"
#include "telemetry/log.h"
#include "telemetry/trace_events.h"

namespace wallaby {
namespace {

// The first finding that keeps the flow from running, as an error; the others go to the log.
absl::Status StatusFromFindings(const std::vector<Finding>& findings) {
  absl::Status status;
  for (const Finding& finding : findings) {
    const std::string remedy = finding.remedy.empty() ? "" : absl::StrCat("; remedy: ", finding.remedy);
    if (finding.severity == Finding::Severity::kError && status.ok()) {
      status = absl::FailedPreconditionError(absl::StrCat(finding.subject, ": ", finding.message, remedy));
    } else if (finding.severity != Finding::Severity::kInfo) {
      Log(LogLevel::kWarn, finding.message, {{"subject", finding.subject}, {"remedy", finding.remedy}});
    }
  }
  return status;
}

}  // namespace

bool IsFenced(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) && absl::StrContains(status.message(), "fenced");
}

absl::Status Attempt::Run() {
  RETURN_IF_ERROR(PrepareLanes());
  RETURN_IF_ERROR(OpenDestinations());
  RETURN_IF_ERROR(OpenSource());
  RETURN_IF_ERROR(CheckTables());
  RETURN_IF_ERROR(PrepareSlot());
  RETURN_IF_ERROR(CheckTablesPresent());
  ASSIGN_OR_RETURN(const std::optional<HeldGroup> group, GroupToLetGo());
  if (group) return CatchUp(*group);
  if (c_.options->mode == WorkerMode::kBackfill) RETURN_IF_ERROR(MarkBackfill());
  RETURN_IF_ERROR(PrepareSnapshot());
  const bool copies = !to_copy_.empty();
  const bool backfill = c_.options->mode == WorkerMode::kBackfill;
  if (fans_out() && !copies && !backfill) RETURN_IF_ERROR(LeaveSecondaries());
  RETURN_IF_ERROR(MakePipeline());
  RETURN_IF_ERROR(Snapshot());
  if (backfill) return absl::OkStatus();
  if (fans_out() && copies) {
    c_.again = true;
    return absl::OkStatus();
  }
  return Stream();
}

void Attempt::Stop() {
  std::lock_guard lock(mutex_);
  stop_ = true;
  if (pipeline_ != nullptr) pipeline_->Stop();
  if (catch_up_ != nullptr) catch_up_->Stop();
}

void Attempt::SetDetail(std::string detail) {
  std::lock_guard lock(mutex_);
  detail_ = std::move(detail);
}

AttemptReport Attempt::report() const {
  std::lock_guard lock(mutex_);
  AttemptReport report;
  report.detail = detail_;
  if (pipeline_ != nullptr) {
    report.changes = pipeline_->changes_delivered();
    report.acknowledged = pipeline_->acknowledged();
    report.settled = pipeline_->settled();
    report.reached_micros = pipeline_->reached_micros();
    report.loads = pipeline_->loads();
    report.streaming = streaming_;
  }
  return report;
}

absl::Status Attempt::OpenDestinations() {
  for (const Endpoint& endpoint : c_.flow->destinations) {
    if (!IsOpenedHere(endpoint)) continue;
    RETURN_IF_ERROR(OpenOne(endpoint, c_.flow->id));
    if (!c_.ddl.holds_tables() || open_.back().destination->capabilities().keeps_progress) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("config.ddl.scope: destination ", endpoint.name,
                     " does not keep how far it is, so a table that waits cannot be told apart from the others there; "
                     "leave the scope at flow"));
  }
  return absl::OkStatus();
}

absl::Status Attempt::OpenOne(const Endpoint& endpoint, const std::string& identity) {
  ASSIGN_OR_RETURN(DestinationConfig config, ResolvedConfig(*c_.flow, endpoint));
  config.flow_id = identity;
  config.generation = c_.generation;
  if (c_.source_options->tables.empty() && c_.source_options->schemas.empty()) {
    config.publication = c_.source_options->publication;
  }
  config.memory_limit = c_.memory_limit / 4 / static_cast<int64_t>(c_.flow->destinations.size());
  config.dead_letters = &dead_letters_;
  config.left_out = [name = endpoint.name](const std::string& table, std::string_view why) {
    CountDropped(name);
    Log(LogLevel::kWarn, "change left out", {{"destination", name}, {"table", table}, {"reason", std::string(why)}});
  };
  config.claim_checked = [name = endpoint.name] { CountClaimCheck(name); };
  config.warn = [name = endpoint.name](std::string_view text) { Log(LogLevel::kWarn, text, {{"destination", name}}); };
  config.cut_short = c_.cut_short;
  auto made = MakeDestination(endpoint.type, config);
  if (!made.ok()) return Annotate(made.status(), absl::StrCat("destination ", endpoint.name));
  RETURN_IF_ERROR(Annotate(ReachFailpoint(Failpoint::kDestinationOpen), absl::StrCat("destination ", endpoint.name)));
  auto progress = (*made)->Open();
  if (!progress.ok()) return Annotate(progress.status(), absl::StrCat("opening destination ", endpoint.name));
  open_.push_back({endpoint.name, made->get(), *std::move(progress)});
  destinations_.push_back(*std::move(made));
  return absl::OkStatus();
}

absl::Status Attempt::OpenSource() {
  auto connected = c_.source->Connect();
  if (!connected.ok()) return Annotate(connected.status(), absl::StrCat("source ", c_.flow->source.name));
  session_ = *std::move(connected);
  ASSIGN_OR_RETURN(checkpoint_, c_.checkpoints->Get());
  ASSIGN_OR_RETURN(syncs_, c_.store->TableSyncs(c_.flow->id));
  RETURN_IF_ERROR(LookAtSlot());
  if (!c_.lane.empty()) {
    captures_ = c_.captures;
    ASSIGN_OR_RETURN(shapes_, c_.store->TableShapes(c_.flow->id, c_.lane));
    return ListTables(*session_);
  }
  if (c_.source_options->validate_replication) {
    ASSIGN_OR_RETURN(auto findings, session_->Check());
    // Of the flows that share a spool, one reads the slot.
    if (c_.options->spool) std::erase_if(findings, [](const Finding& one) { return one.check == "slot_in_use"; });
    RETURN_IF_ERROR(StatusFromFindings(findings));
  }
  const bool had_begun = checkpoint_.has_value();
  std::optional<std::vector<PublishedTable>> published;  // as it was before, where it may change
  if (had_begun && c_.source_options->sync_publication) {
    ASSIGN_OR_RETURN(published, session_->PublishedTables());
  }
  if (c_.source_options->ensure_publication) {
    ASSIGN_OR_RETURN(const PublicationChange change, session_->EnsurePublication());
    if (change.created || !change.added.empty() || !change.removed.empty()) {
      Log(LogLevel::kInfo, change.created ? "publication created" : "publication changed",
          {{"publication", c_.source_options->publication},
           {"added", absl::StrJoin(change.added, ",")},
           {"removed", absl::StrJoin(change.removed, ",")}});
    }
  }
  // Before the slot is made, so that every change behind it is captured.
  RETURN_IF_ERROR(EnsureCapture());
  c_.captures = captures_;
  ASSIGN_OR_RETURN(shapes_, c_.store->TableShapes(c_.flow->id));
  RETURN_IF_ERROR(LoadHolds());
  RETURN_IF_ERROR(ListTables(*session_));
  if (had_begun) RETURN_IF_ERROR(MarkNewlyCarried(published));
  WarnOfUnpublished();
  if (tables_.empty() && holds_.empty()) {
    Log(LogLevel::kWarn, "the publication has no tables yet; nothing will arrive until it has",
        {{"publication", c_.source_options->publication}});
  }
  return absl::OkStatus();
}

absl::Status Attempt::EnsureCapture() {
  if (!c_.source_options->capture_ddl.value_or(c_.ddl.gate)) return absl::OkStatus();
  absl::Status status = session_->EnsureDdlCapture();
  captures_ = status.ok();
  if (status.ok() || c_.source_options->capture_ddl.has_value() || !absl::IsPermissionDenied(status)) return status;
  Log(LogLevel::kWarn,
      "DDL is seen by the tables' next rows only, without drops, new tables, nullability and defaults: the event "
      "trigger "
      "cannot be installed",
      {{"error", std::string(status.message())}});
  return absl::OkStatus();
}

// The published tables that the flow carries now, without columns that were rejected.
absl::Status Attempt::ListTables(SourceSession& session) {
  ASSIGN_OR_RETURN(tables_, session.PublishedTables());
  std::erase_if(tables_,
                [&](const PublishedTable& table) { return !Carries(table.relation) || IsHeld(table.relation.oid); });
  source_shapes_.clear();
  for (PublishedTable& table : tables_) {
    TableShape& shape = source_shapes_[table.relation.oid] = {.relation = table.relation, .details = table.details};
    const StoredShape* stored = StreamedShape(table.relation.oid);
    if (stored == nullptr) continue;
    for (ColumnDetail& detail : shape.details) {
      const int known = stored->shape.FindAttnum(detail.attnum);
      detail.hidden = known >= 0 && stored->shape.details[known].hidden;
    }
    table.relation = shape.Visible();
  }
  return absl::OkStatus();
}

bool Attempt::Carries(const Relation& relation) const {
  const SourceOptions& options = *c_.source_options;
  const bool own = relation.schema == options.state_schema && relation.name == options.state_table;
  return !own && CarriesTable(options, relation.schema, relation.name);
}

const StoredShape* Attempt::StreamedShape(uint32_t oid) const {
  const auto found = std::find_if(shapes_.begin(), shapes_.end(),
                                  [oid](const StoredShape& stored) { return stored.shape.relation.oid == oid; });
  return found == shapes_.end() ? nullptr : &*found;
}

// As they are in the snapshot that was made with the slot: the catalog may have gone on since.
absl::Status Attempt::ListTablesAtSnapshot() {
  ASSIGN_OR_RETURN(const auto session, c_.source->Connect());
  RETURN_IF_ERROR(session->Enter(*snapshot_));
  return ListTables(*session);
}

// A table that has been streamed is checked as the stream left it: the source may be ahead, by changes that will come.
absl::Status Attempt::CheckTables() {
  for (const PublishedTable& table : tables_) {
    for (const OpenDestination& open : open_) {
      const StoredShape* stored = StreamedShapeAt(open, table.relation.oid);
      const Relation relation = stored == nullptr ? table.relation : stored->shape.Visible();
      const absl::Status status = open.destination->CheckTable(relation);
      if (!status.ok()) {
        return Annotate(status, absl::StrCat("table ", table.relation.QualifiedName(), " in destination ", open.name));
      }
    }
  }
  return absl::OkStatus();
}

bool Attempt::WantsTable(const Relation& relation) const {
  const WorkerOptions& options = *c_.options;
  if (options.tables.empty() && options.schemas.empty()) return true;
  auto named = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return named(options.schemas, relation.schema) || named(options.tables, relation.QualifiedName()) ||
         (relation.schema == "public" && named(options.tables, relation.name));
}

bool Attempt::CopiesEveryTable() const {
  return c_.options->mode == WorkerMode::kBackfill && c_.options->tables.empty() && c_.options->schemas.empty();
}

void Attempt::TraceFound() const {
  if (!IsTracingEvents()) return;
  std::map<std::string, Lsn> destinations;
  for (const OpenDestination& open : open_) destinations[open.name] = open.progress.end;
  TraceRestore(checkpoint_.has_value() ? checkpoint_->lsn : Lsn{}, destinations,
               c_.options->mode == WorkerMode::kBackfill);
}

Pipeline::Options Attempt::PipelineOptions() const {
  Pipeline::Options options;
  options.memory_limit = memory_share();
  if (!c_.lane.empty()) options.trace_flow = CursorId();
  options.generation = c_.generation;
  options.reader.batch_changes = c_.source_options->batch_size;
  options.reader.batch_bytes = std::max<int64_t>(memory_share() / 32, 1 << 20);
  options.reader.batch_timeout = c_.source_options->batch_timeout;
  options.reader.status_interval = c_.source_options->status_interval;
  return options;
}

absl::Status Attempt::MakePipeline() {
  Pipeline::Options options = PipelineOptions();
  options.reader.max_empty_reads = c_.options->max_empty_reads;
  options.reader.stop_before = c_.stop_before;
  if (checkpoint_.has_value()) {
    NoteSource(&*checkpoint_);
    if (c_.options->start_lsn.valid()) checkpoint_->metadata.erase(kHistoryMarkKey);  // what came before is not known
    checkpoint_->metadata.erase(kSpoolKey);
    if (c_.options->spool) checkpoint_->metadata[kSpoolKey] = SpoolFolder(*c_.options->spool, spool_name_);
    options.start = *checkpoint_;
  }
  if (c_.options->max_empty_reads > 0) {
    ASSIGN_OR_RETURN(const ServerInfo server, session_->GetServerInfo());
    options.reader.drain_to = server.current_lsn;
  }
  TraceFound();
  std::lock_guard lock(mutex_);
  pipeline_ = std::make_unique<Pipeline>(open_, c_.checkpoints, c_.clock, options);
  if (stop_) pipeline_->Stop();
  return absl::OkStatus();
}

bool Attempt::StreamsBinary() const {
  return c_.source_options->binary && !c_.force_text &&
         std::all_of(tables_.begin(), tables_.end(), [](const PublishedTable& table) {
           const auto& columns = table.relation.columns;
           return std::all_of(columns.begin(), columns.end(), [](const Column& c) { return c.type.binary; });
         });
}

absl::Status Attempt::Stream() {
  if (pipeline_->stopping()) return absl::OkStatus();
  SetDetail("streaming");
  streaming_ = true;
  StreamOptions options;
  options.start = c_.options->start_lsn.valid() ? c_.options->start_lsn : checkpoint_->lsn;
  // The spool has text: which types a table will have when its rows are read, nobody knows when they come.
  options.binary = StreamsBinary() && c_.spooler == nullptr;
  options.messages = captures_;
  options.on_switch = [this](std::string_view what) {
    Log(LogLevel::kInfo, what, {{"slot", c_.source_options->slot}});
    SetDetail(std::string(what));
  };
  ASSIGN_OR_RETURN(auto stream, StartStream(options));
  Log(LogLevel::kInfo, "streaming",
      {{"slot", c_.source_options->slot},
       {"from", options.start.ToString()},
       {"values", options.binary ? "binary" : "text"}});
  ASSIGN_OR_RETURN(pgoutput::Assembler::Options assembler_options, AssemblerOptions());
  assembler_options.binary = options.binary;
  const auto filler = session_->MakeFiller();
  DdlWatch watch(c_.store, session_.get(), shapes_,
                 WatchOptions([this](const Relation& relation) { return Carries(relation) && !IsHeld(relation.oid); }));
  pgoutput::Assembler assembler(session_.get(), filler.get(), &watch, std::move(assembler_options));
  // What is before a held transaction is seen to first.
  passes_by_held_tables_ = !holds_.empty() && !c_.stop_before.valid();
  const absl::Status status = pipeline_->RunStream(stream.get(), &assembler);
  if (absl::IsUnimplemented(status) && options.binary) {
    c_.force_text = true;
    return absl::AbortedError(absl::StrCat("starting again with text values: ", status.message()));
  }
  RETURN_IF_ERROR(AfterLoss(status));
  return pipeline_->barrier().valid() ? EndAtBarrier(watch) : absl::OkStatus();
}

// What the spool does not have any more nobody will bring.
absl::Status Attempt::AfterLoss(const absl::Status& status) {
  if (!absl::IsOutOfRange(status) || c_.spooler == nullptr) return status;
  // Somebody who was overtaken is behind the spool, too, and the cursor is the other's by then: the store knows.
  RETURN_IF_ERROR(c_.store->SetLastError(c_.flow->id, std::string(status.message())));
  RETURN_IF_ERROR(ForgetSpoolCursor(*c_.options->spool, spool_name_, CursorId()));
  return NeedsBackfill(std::string(status.message()));
}

DdlWatch::Options Attempt::WatchOptions(std::function<bool(const Relation&)> carries) const {
  return {.flow_id = c_.flow->id,
          .publication = c_.source_options->publication,
          .message_prefix = c_.source_options->ddl_message_prefix,
          .carries = std::move(carries),
          .holds = c_.ddl.gate || (c_.ddl.auto_approve && c_.ddl.auto_apply),
          .lane = c_.lane};
}

absl::StatusOr<pgoutput::Assembler::Options> Attempt::AssemblerOptions() const {
  pgoutput::Assembler::Options assembler_options;
  for (const TableSync& sync : syncs_) {
    // A copy that waits for the stream to come as far as the source will show all that comes until then.
    pgoutput::SkipRule rule = Lsn{UINT64_MAX};
    if (sync.state == TableSyncState::kDone) {
      if (HasBug(DeliberateBug::kForgetSnapshot)) continue;
      auto stored = SkipRuleOf(sync);
      if (!stored.ok()) return NeedsBackfill(std::string(stored.status().message()));
      rule = *std::move(stored);
    }
    if (sync.oid != 0) assembler_options.skip_below_by_oid[sync.oid] = rule;
    assembler_options.skip_below[sync.table] = std::move(rule);
  }
  if (!c_.lane.empty()) RETURN_IF_ERROR(SkipInLane(&assembler_options));
  assembler_options.backfill_command = BackfillCommand();
  // Asked for once, so that what is known arrives while the store is away. What is new may lie between those.
  ASSIGN_OR_RETURN(auto numbers, c_.store->ShapeNumbers(c_.flow->id));
  assembler_options.version = [this, numbers = std::move(numbers)](const Relation& relation,
                                                                   Lsn commit) mutable -> absl::StatusOr<int64_t> {
    if (const int64_t known = FindShapeNumber(numbers, relation, commit); known > 0) return known;
    ASSIGN_OR_RETURN(const int64_t number, c_.store->NumberShape(c_.flow->id, relation, commit));
    ASSIGN_OR_RETURN(numbers, c_.store->ShapeNumbers(c_.flow->id));
    return number;
  };
  return assembler_options;
}

absl::StatusOr<std::unique_ptr<ReplicationStream>> Attempt::StartStream(const StreamOptions& options) {
  if (c_.spooler == nullptr) return session_->StartReplication(options);
  c_.spooler->Poke();
  return std::make_unique<SpoolStream>(c_.spooler, spool_name_, std::move(cursor_), options.start, KeepFrom());
}

// The stream ended before a transaction: its DDL is handed to the worker once everything before it is delivered.
absl::Status Attempt::EndAtBarrier(const DdlWatch& watch) {
  if (!c_.stop_before.valid()) c_.held = Held(watch, pipeline_->barrier());
  if (pipeline_->settled()) {
    c_.stop_before = {};
    return absl::OkStatus();
  }
  c_.stop_before = pipeline_->barrier();
  return absl::AbortedError("starting again to deliver what comes before a held transaction");
}

HeldTransaction Attempt::Held(const DdlWatch& watch, Lsn commit) const {
  HeldTransaction held{.commit = commit};
  for (const DdlWatch::Found& found : watch.found()) {
    DdlEvent& event = held.events.emplace_back();
    event.flow_id = c_.flow->id;
    event.lsn = held.commit;
    event.ordinal = found.ordinal;
    event.ddl = found.ddl;
    event.table = found.change.Table();
    for (const auto* shape : {&found.change.before, &found.change.after}) {
      if (shape->has_value()) held.tables.push_back((*shape)->relation);
    }
    std::map<std::string, std::vector<std::string>> statements;
    for (const OpenDestination& open : open_) statements[open.name] = open.destination->DdlStatements(found.change);
    if (c_.lane.empty()) AddStatementsElsewhere(found.change, &statements);
    event.plan = PlanToJson(found.change, statements);
  }
  return held;
}

}  // namespace wallaby
