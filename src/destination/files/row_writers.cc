#include "destination/files/row_writers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "change/append_rows.h"
#include "destination/files/folder.h"

namespace wallaby {
namespace {

// A change stands where its row stands; of a delete, the old one. Null for a truncate.
const char* RowOf(const ChangeBatch& batch, const Change& change) {
  if (batch.has_new(change)) return batch.tuple(change.new_row);
  return batch.has_old(change) ? batch.tuple(change.old_row) : nullptr;
}

}  // namespace

std::vector<ArrowColumn> FileColumns(const Relation& relation, const TableOptions& options) {
  return ArrowAppendColumns(relation, [&](const Column& column) { return options.MappedType(relation, column); });
}

std::string TableFolder(const Relation& relation, const TableOptions& options) {
  return absl::StrCat(EncodePathComponent(options.TargetSchema(relation)), "/",
                      EncodePathComponent(options.TargetTable(relation)));
}

RowWriters::RowWriters(const FilesOptions& options, FileStore* store, Codec* codec, uint64_t* next_file,
                       std::string flow, Limits limits)
    : options_(options), store_(store), codec_(codec), next_file_(next_file), flow_(std::move(flow)), limits_(limits) {}

absl::Status RowWriters::Write(const ChangeBatch& batch) {
  std::vector<Table*> tables;
  for (const RelationPtr& relation : batch.relations()) {
    ASSIGN_OR_RETURN(Table * table, FindTable(relation));
    tables.push_back(table);
  }
  if (codec_ != nullptr) {
    for (uint32_t i = 0; i < tables.size(); ++i) RETURN_IF_ERROR(WriteSlices(tables[i], batch, i));
    return absl::OkStatus();
  }
  for (const Change& change : batch.changes()) {
    RETURN_IF_ERROR(WriteChange(tables[change.relation], batch, change));
  }
  return absl::OkStatus();
}

absl::StatusOr<RowWriters::Table*> RowWriters::FindTable(const RelationPtr& relation) {
  for (const auto& table : tables_) {
    if (table->relation == relation || table->relation->SameShape(*relation)) return table.get();
  }
  auto table = std::make_unique<Table>();
  table->relation = relation;
  table->folder = TableFolder(*relation, options_.table);
  table->columns = FileColumns(*relation, options_.table);
  ASSIGN_OR_RETURN(table->partitioner, Partitioner::Make(*relation, options_.partition_by));
  TupleBuilder nulls(&table->nulls, static_cast<int>(relation->columns.size()));
  for (size_t i = 0; i < relation->columns.size(); ++i) nulls.Null();
  tables_.push_back(std::move(table));
  return tables_.back().get();
}

absl::Status RowWriters::WriteChange(Table* table, const ChangeBatch& batch, const Change& change) {
  static const std::string kStreamed;
  const Transaction& transaction = batch.transaction(change);
  RowExtras extras{
      .lsn = transaction.commit.value, .seq = change.seq, .commit_time_micros = transaction.commit_time_micros};
  const std::string& part = change.kind == ChangeKind::kRead ? batch.snapshot_part() : kStreamed;
  for (const AppendRow& row : AppendRows(batch, change)) {
    extras.op = row.op;
    RETURN_IF_ERROR(AddRow(table, row.tuple == nullptr ? table->nulls.data() : row.tuple, extras, part));
  }
  return absl::OkStatus();
}

absl::Status RowWriters::AddRow(Table* table, const char* tuple, const RowExtras& extras, const std::string& part) {
  RETURN_IF_ERROR(table->partitioner.FolderOf(tuple, &partition_));
  const bool snapshot = extras.op == static_cast<char>(ChangeKind::kRead);
  ASSIGN_OR_RETURN(OpenFile * open, FindOpen(table, snapshot, part));
  const int64_t before = open->encoder->gathered();
  RETURN_IF_ERROR(open->encoder->AppendRow(tuple, extras));
  if (!open->first.valid()) open->first = Lsn{extras.lsn};
  return Gathered(open, before, Lsn{extras.lsn});
}

absl::Status RowWriters::WriteSlices(Table* table, const ChangeBatch& batch, uint32_t relation) {
  const std::vector<Change>& changes = batch.changes();
  BatchSlice run{.batch = batch, .relation = relation};
  std::string partition;  // of the run
  bool snapshot = false;
  for (size_t i = 0; i < changes.size(); ++i) {
    if (changes[i].relation != relation) continue;
    const char* row = RowOf(batch, changes[i]);
    RETURN_IF_ERROR(table->partitioner.FolderOf(row != nullptr ? row : table->nulls.data(), &partition_));
    const bool read = changes[i].kind == ChangeKind::kRead;
    if (run.end != 0 && (partition_ != partition || read != snapshot)) {
      partition.swap(partition_);
      RETURN_IF_ERROR(AddSlice(table, run));
      partition_.swap(partition);
      run.end = 0;
    }
    if (run.end == 0) {
      run.begin = i;
      partition = partition_;
      snapshot = read;
    }
    run.end = i + 1;
  }
  if (run.end == 0) return absl::OkStatus();
  partition_ = std::move(partition);
  return AddSlice(table, run);
}

// The partition is in partition_.
absl::Status RowWriters::AddSlice(Table* table, const BatchSlice& slice) {
  static const std::string kStreamed;
  const Change& first = slice.batch.changes()[slice.begin];
  const bool snapshot = first.kind == ChangeKind::kRead;
  ASSIGN_OR_RETURN(OpenFile * open, FindOpen(table, snapshot, snapshot ? slice.batch.snapshot_part() : kStreamed));
  const int64_t before = open->encoder->gathered();
  RETURN_IF_ERROR(open->encoder->AppendSlice(slice));
  if (!open->first.valid()) open->first = slice.batch.transaction(first).commit;
  return Gathered(open, before, slice.batch.transaction(slice.batch.changes()[slice.end - 1]).commit);
}

absl::Status RowWriters::Gathered(OpenFile* open, int64_t before, Lsn commit) {
  gathered_ += open->encoder->gathered() - before;
  open->last = commit;
  open->last_used = ++clock_;
  if (open->encoder->gathered() >= limits_.row_group_bytes) return Flush(open);
  return gathered_ >= limits_.memory ? FlushLargest() : absl::OkStatus();
}

absl::StatusOr<RowWriters::OpenFile*> RowWriters::FindOpen(Table* table, bool snapshot, const std::string& part) {
  if (last_ != nullptr && last_->table == table && last_->snapshot == snapshot && last_->part == part &&
      last_->partition == partition_) {
    return last_;
  }
  Key key(table, snapshot, part, partition_);
  auto it = open_.find(key);
  if (it == open_.end()) {
    if (open_.size() >= limits_.open_files) {
      auto oldest = std::min_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
        return a.second.last_used < b.second.last_used;
      });
      RETURN_IF_ERROR(Close(oldest));
    }
    it = open_.emplace(std::move(key), MakeOpen(table, snapshot, part)).first;
    ++table->open;
  }
  last_ = &it->second;
  return last_;
}

RowWriters::OpenFile RowWriters::MakeOpen(Table* table, bool snapshot, const std::string& part) const {
  OpenFile open{.table = table, .part = part, .snapshot = snapshot, .partition = partition_};
  const Relation& relation = *table->relation;
  if (codec_ != nullptr) {
    open.encoder = MakePayloadEncoder(table->relation, codec_, options_.compression);
  } else {
    open.encoder = MakeColumnarEncoder(relation, table->columns, options_,
                                       {{"wallaby.flow", flow_},
                                        {"wallaby.table", relation.QualifiedName()},
                                        {"wallaby.schema_version", absl::StrCat(relation.version)}});
  }
  return open;
}

absl::Status RowWriters::Flush(OpenFile* open) {
  if (open->output == nullptr) {
    open->number = (*next_file_)++;
    ASSIGN_OR_RETURN(open->output,
                     store_->Create({.folder = absl::StrCat(open->table->folder, open->partition.empty() ? "" : "/",
                                                            open->partition),
                                     .number = open->number,
                                     .first = open->first,
                                     .snapshot = open->snapshot,
                                     .extension = options_.Extension()}));
  }
  gathered_ -= open->encoder->gathered();
  RETURN_IF_ERROR(open->encoder->Flush(open->output.get()));
  gathered_ += open->encoder->gathered();
  if (open->output->written() >= options_.roll_bytes) {
    return Close(open_.find(Key(open->table, open->snapshot, open->part, open->partition)));
  }
  return KeepHeldLow();
}

absl::Status RowWriters::FlushLargest() {
  auto largest = std::max_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
    return a.second.encoder->gathered() < b.second.encoder->gathered();
  });
  return largest == open_.end() ? absl::OkStatus() : Flush(&largest->second);
}

absl::Status RowWriters::KeepHeldLow() {
  const auto held = [](const auto& entry) { return entry.second.output == nullptr ? 0 : entry.second.output->held(); };
  int64_t all = 0;
  for (const auto& entry : open_) all += held(entry);
  if (all <= limits_.held_bytes) return absl::OkStatus();
  return Close(
      std::max_element(open_.begin(), open_.end(), [&](const auto& a, const auto& b) { return held(a) < held(b); }));
}

absl::Status RowWriters::Close(OpenFiles::iterator it) {
  OpenFile& open = it->second;
  if (!open.encoder->empty()) {
    const Key key = it->first;
    RETURN_IF_ERROR(Flush(&open));
    if (!open_.contains(key)) return absl::OkStatus();  // it was closed there
  }
  WALLABY_CHECK(open.output != nullptr, "an open file has rows");
  RETURN_IF_ERROR(open.encoder->Finish(open.output.get()));
  if (std::string path = open.output->path(); !path.empty()) RETURN_IF_ERROR(store_->Announce({std::move(path)}));
  RETURN_IF_ERROR(open.output->Finish(open.last));
  closed_.push_back({.file = {.path = open.output->path(),
                              .staged = open.output->staged(),
                              .table = open.table->folder,
                              .format = std::string(WireFormatText(options_.format)),
                              .rows = open.encoder->rows(),
                              .bytes = open.output->written(),
                              .first = open.first,
                              .last = open.last,
                              .snapshot = open.snapshot},
                     .part = open.part,
                     .number = open.number});
  Forget(it);
  return ProbeStep("data file finished");
}

void RowWriters::Forget(OpenFiles::iterator it) {
  gathered_ -= it->second.encoder->gathered();
  --it->second.table->open;
  if (last_ == &it->second) last_ = nullptr;
  open_.erase(it);
}

absl::StatusOr<std::vector<StoredFile>> RowWriters::Finish(const std::vector<std::string>& parts) {
  const auto due = [&parts](bool snapshot, const std::string& part) {
    return !snapshot || part.empty() || std::find(parts.begin(), parts.end(), part) != parts.end();
  };
  std::vector<Key> keys;
  for (const auto& [key, open] : open_) {
    if (due(open.snapshot, open.part)) keys.push_back(key);
  }
  // All of them are announced at once.
  std::vector<std::string> paths;
  for (const Key& key : keys) {
    auto it = open_.find(key);
    if (it == open_.end()) continue;  // closed to keep to a limit
    if (!it->second.encoder->empty()) RETURN_IF_ERROR(Flush(&it->second));
    it = open_.find(key);
    if (it == open_.end()) continue;
    if (std::string path = it->second.output->path(); !path.empty()) paths.push_back(std::move(path));
  }
  if (!paths.empty()) RETURN_IF_ERROR(store_->Announce(paths));
  for (const Key& key : keys) {
    if (auto it = open_.find(key); it != open_.end()) RETURN_IF_ERROR(Close(it));
  }
  std::sort(closed_.begin(), closed_.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  std::vector<StoredFile> files;
  std::erase_if(closed_, [&](ClosedFile& closed) {
    if (!due(closed.file.snapshot, closed.part)) return false;
    files.push_back(std::move(closed.file));
    return true;
  });
  std::erase_if(tables_, [](const auto& table) { return table->open == 0; });
  return files;
}

absl::Status RowWriters::DiscardSnapshot(const std::string& table_folder, std::string_view part_prefix) {
  for (auto it = open_.begin(); it != open_.end();) {
    auto next = std::next(it);
    const OpenFile& open = it->second;
    if (open.snapshot && open.table->folder == table_folder && open.part.starts_with(part_prefix)) {
      Forget(it);
    }
    it = next;
  }
  absl::Status status;
  std::erase_if(closed_, [&](const ClosedFile& closed) {
    if (!closed.file.snapshot || closed.file.table != table_folder || !closed.part.starts_with(part_prefix)) {
      return false;
    }
    status.Update(store_->Discard(closed.file));
    return true;
  });
  return status;
}

}  // namespace wallaby
