#include "pipeline/ddl_watch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/deliberate_bug.h"
#include "base/status.h"
#include "pipeline/ddl_apply.h"
#include "postgres/ddl_capture.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

// Between the ordinals of two messages there is room for differences that no message told of.
constexpr int32_t kOrdinalStep = 1000;

// Whether the stream announced the shape. The key of an identity `full` is looked up in the catalog, which may be ahead
// of the stream, so it tells nothing.
bool IsAnnounced(const Relation& announced, const TableShape& shape) {
  const Relation& known = shape.relation;
  if (announced.schema != known.schema || announced.name != known.name) return false;
  if (announced.columns.size() != known.columns.size()) return false;
  const bool full = announced.identity == ReplicaIdentity::kFull || known.identity == ReplicaIdentity::kFull;
  for (size_t i = 0; i < known.columns.size(); ++i) {
    const Column& a = announced.columns[i];
    const Column& b = known.columns[i];
    if (a.name != b.name || !a.type.SameAs(b.type) || (!full && a.key != b.key)) return false;
  }
  return announced.identity == known.identity;
}

bool SameNames(const Relation& announced, const TableShape& shape) {
  return announced.QualifiedName() == shape.relation.QualifiedName() &&
         std::equal(announced.columns.begin(), announced.columns.end(), shape.relation.columns.begin(),
                    shape.relation.columns.end(), [](const Column& a, const Column& b) { return a.name == b.name; });
}

void HideColumns(const TableShape& shape, pgoutput::RelationEdit* edit) {
  const bool any =
      std::any_of(shape.details.begin(), shape.details.end(), [](const ColumnDetail& detail) { return detail.hidden; });
  if (!any) return;
  edit->carried = shape.Visible();
  for (size_t i = 0; i < shape.details.size(); ++i) {
    if (!shape.details[i].hidden) edit->columns.push_back(static_cast<int>(i));
  }
}

// Rows which the transaction wrote before the change are carried in the shape after it. Where that takes values that
// the rows do not have, the table is copied instead.
bool NeedsCopyAfterRows(const SchemaChange& change) {
  return std::any_of(change.steps.begin(), change.steps.end(), [](const SchemaStep& step) {
    return step.kind == SchemaStepKind::kKey || step.kind == SchemaStepKind::kRetypeColumn ||
           (step.kind == SchemaStepKind::kAddColumn && step.detail.fill.has_value());
  });
}

// A column that the catalog does not have any more, or has under another name, may be an old one renamed or have had a
// default: what the rows that were there have in it is known to nobody. The old one may have been rejected, so that no
// step tells of its end.
bool AddsUnknownColumns(const SchemaChange& change) {
  const auto adds = [&](bool unknown) {
    return std::any_of(change.steps.begin(), change.steps.end(), [&](const SchemaStep& step) {
      return step.kind == SchemaStepKind::kAddColumn && (!unknown || step.detail.attnum == 0);
    });
  };
  const TableShape& before = *change.before;
  bool loses = false;
  for (size_t i = 0; i < before.details.size(); ++i) {
    loses |= before.details[i].attnum == 0 && change.after->FindName(before.relation.columns[i].name) < 0;
  }
  return adds(true) || (adds(false) && loses);
}

std::string DescribeSteps(const SchemaChange& change) {
  return absl::StrCat(
      change.Table(), ": ",
      absl::StrJoin(change.steps, ", ", [](std::string* out, const SchemaStep& step) { *out += DescribeStep(step); }));
}

bool CreatesTables(std::string_view tag) {
  return tag.starts_with("CREATE") || tag == "SELECT INTO";
}

}  // namespace

DdlWatch::DdlWatch(ControlStore* store, SourceSession* source, std::vector<StoredShape> shapes, Options options)
    : store_(store), source_(source), options_(std::move(options)) {
  for (StoredShape& stored : shapes) {
    const uint32_t oid = stored.shape.relation.oid;
    stored_[oid] = stored;
    shapes_[oid] = std::move(stored);
  }
}

void DdlWatch::Begin(const Transaction& t) {
  if (t.commit == commit_) return;
  commit_ = t.commit;
  next_ordinal_ = 0;
  pending_.clear();
  events_here_.reset();
  found_.clear();
}

const StoredShape* DdlWatch::Known(uint32_t oid) const {
  if (const auto own = pending_.find(oid); own != pending_.end()) return own->second ? &*own->second : nullptr;
  const auto known = shapes_.find(oid);
  return known == shapes_.end() ? nullptr : &known->second;
}

const StoredShape* DdlWatch::KnownByName(const std::string& qualified_name) const {
  const StoredShape* newest = nullptr;
  for (const auto& [oid, stored] : shapes_) {
    if (stored.shape.relation.QualifiedName() != qualified_name || Known(oid) != &stored) continue;
    if (newest == nullptr || stored.lsn > newest->lsn) newest = &stored;
  }
  return newest;
}

absl::StatusOr<const std::vector<DdlEvent>*> DdlWatch::EventsHere() {
  if (!events_here_) {
    ASSIGN_OR_RETURN(std::vector<DdlEvent> all, store_->ListDdl(options_.flow_id, {}));
    std::erase_if(all, [this](const DdlEvent& event) { return event.lsn != commit_; });
    events_here_ = std::move(all);
  }
  return &*events_here_;
}

absl::Status DdlWatch::Adopt(const TableShape& shape, Lsn lsn) {
  StoredShape stored{shape, lsn};
  RETURN_IF_ERROR(store_->PutTableShape(options_.flow_id, stored, options_.lane));
  stored_[shape.relation.oid] = stored;
  shapes_[shape.relation.oid] = std::move(stored);
  return absl::OkStatus();
}

absl::Status DdlWatch::Follow(const TableShape& shape, Lsn lsn, const TableShape* before) {
  RETURN_IF_ERROR(NoteNames(shape, before));
  shapes_[shape.relation.oid] = {shape, lsn};
  if (HasBug(DeliberateBug::kRememberShapeEarly)) Adopt(shape, lsn).IgnoreError();
  return absl::OkStatus();
}

absl::Status DdlWatch::NoteNames(const TableShape& shape, const TableShape* before) {
  const auto stored = stored_.find(shape.relation.oid);
  if (stored == stored_.end()) return absl::OkStatus();
  StoredShape noted = stored->second;
  for (size_t i = 0; i < noted.shape.details.size(); ++i) {
    ColumnDetail& detail = noted.shape.details[i];
    if (!detail.hidden) continue;
    const int column = static_cast<int>(i);
    // A number that was not known to its rows.
    const int was = before == nullptr ? -1 : FindPartner(noted.shape, column, *before);
    if (detail.attnum == 0 && was >= 0) detail.attnum = before->details[was].attnum;
    const int now = FindPartner(noted.shape, column, shape);
    if (now < 0) continue;
    const std::string& name = shape.relation.columns[now].name;
    const auto& later = detail.later_names;
    if (name == noted.shape.relation.columns[i].name || std::find(later.begin(), later.end(), name) != later.end())
      continue;
    detail.later_names.push_back(name);
  }
  if (noted.shape.details == stored->second.shape.details) return absl::OkStatus();
  RETURN_IF_ERROR(store_->PutTableShape(options_.flow_id, noted, options_.lane));
  stored->second = std::move(noted);
  return absl::OkStatus();
}

// ---- events ----

bool DdlWatch::HasFollowed(const SchemaChange& change) const {
  if (options_.lane.empty()) return true;
  if (!change.after) return !stored_.contains(change.before->relation.oid);
  const auto stored = stored_.find(change.after->relation.oid);
  return stored != stored_.end() && stored->second.lsn >= commit_;
}

absl::StatusOr<pgoutput::SchemaWatch::Verdict> DdlWatch::Judge(int32_t ordinal, std::string ddl, SchemaChange change,
                                                               HasRows has_rows) {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent>* events, EventsHere());
  const auto recorded = std::find_if(events->begin(), events->end(),
                                     [ordinal](const DdlEvent& event) { return event.ordinal == ordinal; });
  if (recorded != events->end() && IsSettled(*recorded) && HasFollowed(change)) return Verdict::kCarry;
  if (HasBug(DeliberateBug::kGateAfterDelivery)) return Verdict::kCarry;
  const uint32_t oid = change.after ? change.after->relation.oid : change.before->relation.oid;
  if (change.before && has_rows(oid)) change.copy |= NeedsCopyAfterRows(change);
  if (change.before && change.before->relation.oid != oid) pending_[change.before->relation.oid] = std::nullopt;
  pending_[oid] = change.after ? std::optional<StoredShape>({*change.after, commit_}) : std::nullopt;
  found_.push_back({ordinal, std::move(ddl), std::move(change)});
  return Verdict::kHold;
}

absl::StatusOr<pgoutput::SchemaWatch::Verdict> DdlWatch::OnMessage(const Transaction& t, std::string_view prefix,
                                                                   std::string_view content, HasRows has_rows) {
  if (prefix != options_.message_prefix) return Verdict::kCarry;
  Begin(t);
  // Counted whether it matters to this flow or not, so that it is the same in every replay.
  const int32_t ordinal = next_ordinal_ / kOrdinalStep * kOrdinalStep + kOrdinalStep;
  next_ordinal_ = ordinal;
  auto message = ParseDdlMessage(content, options_.publication, source_->types());
  if (!message.ok()) return Annotate(message.status(), absl::StrCat("at ", t.commit.ToString()));
  const auto carried = [this](const std::optional<TableShape>& shape) {
    return shape.has_value() && options_.carries(shape->relation);
  };
  if (!carried(message->before) && !carried(message->after)) return Verdict::kCarry;
  const uint32_t oid = message->after ? message->after->relation.oid : message->before->relation.oid;
  const StoredShape* known = Known(oid);
  // What is stored was taken after this transaction.
  if (known != nullptr && known->lsn > t.commit) return Verdict::kCarry;
  if (known != nullptr && message->before) KeepHidden(known->shape, &*message->before);
  if (known != nullptr && message->after) KeepHidden(known->shape, &*message->after);
  // Where a rejected column was learnt from rows, its number may not be known; that of the message is.
  if (message->before && message->after) KeepHidden(*message->before, &*message->after);
  // A table that leaves the publication stays as it is where it has been carried to.
  if (!message->after && !message->tag.starts_with("DROP")) return Verdict::kCarry;
  if (!message->before && message->first_seen && !CreatesTables(message->tag)) {
    RETURN_IF_ERROR(Follow(*message->after, t.commit));
    return Verdict::kCarry;
  }
  SchemaChange change =
      CompareShapes(message->before ? &*message->before : nullptr, message->after ? &*message->after : nullptr);
  // One that comes into it from outside, by a move to a published schema, brings its rows along.
  change.copy |= !message->before && !message->first_seen;
  if (change.steps.empty()) {
    if (known == nullptr || known->lsn >= t.commit) return Verdict::kCarry;
    RETURN_IF_ERROR(Follow(*message->after, t.commit, message->before ? &*message->before : nullptr));
    return Verdict::kCarry;
  }
  if (!options_.holds) {
    Log(LogLevel::kWarn, "DDL was seen and is not applied: the gate is off, and so is auto_apply",
        {{"change", DescribeSteps(change)}, {"lsn", t.commit.ToString()}});
    if (message->after) RETURN_IF_ERROR(Follow(*message->after, t.commit));
    return Verdict::kCarry;
  }
  return Judge(ordinal, message->sql, std::move(change), has_rows);
}

// ---- relations ----

// A replay of the transaction whose events made the shape that is known: rows before them come in an older one. They
// are carried in the new shape; columns that are gone by its end are left out.
absl::StatusOr<bool> DdlWatch::MapOldShape(const Relation& announced, const StoredShape* known,
                                           pgoutput::RelationEdit* edit) {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent>* events, EventsHere());
  for (const DdlEvent& event : *events) {
    ASSIGN_OR_RETURN(const SchemaChange change, ChangeFromPlan(event.plan));
    if (!change.before || change.before->relation.oid != announced.oid || !SameNames(announced, *change.before))
      continue;
    if (known == nullptr) {
      edit->ignore = true;  // dropped by the transaction's end
      return true;
    }
    const TableShape& old_shape = *change.before;
    const TableShape& shape = known->shape;
    edit->carried = shape.relation;
    edit->carried->columns.clear();
    edit->carried->key.clear();
    for (size_t i = 0; i < old_shape.details.size(); ++i) {
      int column = shape.FindAttnum(old_shape.details[i].attnum);
      if (old_shape.details[i].attnum == 0) column = shape.FindName(old_shape.relation.columns[i].name);
      if (column < 0 || shape.details[column].hidden) continue;
      Column carried = announced.columns[i];
      carried.name = shape.relation.columns[column].name;
      if (std::count(announced.key.begin(), announced.key.end(), static_cast<int>(i)) > 0) {
        edit->carried->key.push_back(static_cast<int>(edit->carried->columns.size()));
      }
      edit->carried->columns.push_back(std::move(carried));
      edit->columns.push_back(static_cast<int>(i));
    }
    return true;
  }
  return false;
}

absl::StatusOr<int32_t> DdlWatch::OrdinalOf(const SchemaChange& change) {
  ASSIGN_OR_RETURN(const std::vector<DdlEvent>* events, EventsHere());
  while (true) {
    const int32_t ordinal = ++next_ordinal_;
    const auto recorded = std::find_if(events->begin(), events->end(),
                                       [ordinal](const DdlEvent& event) { return event.ordinal == ordinal; });
    if (recorded == events->end()) return ordinal;
    ASSIGN_OR_RETURN(const SchemaChange other, ChangeFromPlan(recorded->plan));
    // By what was announced: the steps also rest on the catalog, which may have gone on.
    const bool same = change.after ? other.after && other.after->relation.SameShape(change.after->relation)
                                   : !other.after && other.Table() == change.Table();
    if (same) return ordinal;
  }
}

absl::StatusOr<pgoutput::SchemaWatch::Verdict> DdlWatch::OnDifference(const Transaction& t, const StoredShape& known,
                                                                      const Relation& announced, HasRows has_rows,
                                                                      pgoutput::RelationEdit* edit) {
  ASSIGN_OR_RETURN(TableShape after, source_->ShapeFromCatalog(announced));
  KeepHidden(known.shape, &after);
  // Of what a relation message does not tell, nothing has changed as far as anybody knows.
  for (size_t i = 0; i < after.details.size(); ++i) {
    const int column = FindPartner(after, static_cast<int>(i), known.shape);
    if (column < 0) continue;
    if (after.details[i].attnum == 0) after.details[i].attnum = known.shape.details[column].attnum;
    after.details[i].not_null = known.shape.details[column].not_null;
    after.details[i].default_sql = known.shape.details[column].default_sql;
  }
  const bool recreated = known.shape.relation.oid != announced.oid;
  std::vector<SchemaChange> changes;
  if (recreated) {
    changes.push_back(CompareShapes(&known.shape, nullptr));
    changes.push_back(CompareShapes(nullptr, &after));
  } else {
    changes.push_back(CompareShapes(&known.shape, &after));
    changes[0].copy |= AddsUnknownColumns(changes[0]);
  }
  if (changes[0].steps.empty() || !options_.holds) {
    HideColumns(after, edit);
    RETURN_IF_ERROR(Follow(after, Lsn{t.commit.value - 1}));
    return Verdict::kCarry;
  }
  Verdict verdict = Verdict::kCarry;
  for (SchemaChange& change : changes) {
    ASSIGN_OR_RETURN(const int32_t ordinal, OrdinalOf(change));
    const std::string ddl = absl::StrCat("(seen by the table's rows) ", DescribeSteps(change));
    ASSIGN_OR_RETURN(const Verdict one, Judge(ordinal, ddl, std::move(change), has_rows));
    if (one == Verdict::kHold) verdict = one;
  }
  return verdict;
}

absl::StatusOr<pgoutput::SchemaWatch::Verdict> DdlWatch::OnRelation(const Transaction& t, const Relation& announced,
                                                                    HasRows has_rows, pgoutput::RelationEdit* edit) {
  Begin(t);
  if (!options_.carries(announced)) {
    edit->ignore = true;
    return Verdict::kCarry;
  }
  const StoredShape* known = Known(announced.oid);
  if (known != nullptr && IsAnnounced(announced, known->shape)) {
    HideColumns(known->shape, edit);
    return Verdict::kCarry;
  }
  if (known != nullptr && known->lsn > t.commit) {
    // Older than the copy that the shape was taken with, which shows these rows.
    edit->ignore = true;
    return Verdict::kCarry;
  }
  if (known != nullptr && known->lsn == t.commit) {
    ASSIGN_OR_RETURN(const bool mapped, MapOldShape(announced, known, edit));
    if (mapped) return Verdict::kCarry;
    return OnDifference(t, *known, announced, has_rows, edit);
  }
  if (known == nullptr) {
    RETURN_IF_ERROR(MapOldShape(announced, nullptr, edit).status());
    if (edit->ignore || !found_.empty()) return Verdict::kCarry;
    known = KnownByName(announced.QualifiedName());
    if (known == nullptr || known->lsn >= t.commit) {
      ASSIGN_OR_RETURN(const TableShape shape, source_->ShapeFromCatalog(announced));
      RETURN_IF_ERROR(Adopt(shape, Lsn{t.commit.value - 1}));
      return Verdict::kCarry;
    }
  }
  return OnDifference(t, *known, announced, has_rows, edit);
}

}  // namespace wallaby
