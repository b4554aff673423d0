#include "destination/parquet/row_writers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/status.h"
#include "change/append_rows.h"
#include "destination/parquet/folder.h"

namespace wallaby {
std::vector<ArrowColumn> ParquetColumns(const Relation& relation, const TableOptions& options) {
  return ArrowAppendColumns(relation, [&](const Column& column) { return options.MappedType(relation, column); });
}

std::string TableFolder(const Relation& relation, const TableOptions& options) {
  return absl::StrCat(EncodePathComponent(options.TargetSchema(relation)), "/",
                      EncodePathComponent(options.TargetTable(relation)));
}

RowWriters::RowWriters(const ParquetOptions& options, uint64_t* next_file, std::string staging, std::string id,
                       std::string flow, Limits limits)
    : options_(options),
      next_file_(next_file),
      staging_(std::move(staging)),
      id_(std::move(id)),
      flow_(std::move(flow)),
      limits_(limits) {}

absl::Status RowWriters::Write(const ChangeBatch& batch) {
  std::vector<Table*> tables;
  for (const RelationPtr& relation : batch.relations()) {
    ASSIGN_OR_RETURN(Table * table, FindTable(relation));
    tables.push_back(table);
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
  table->columns = ParquetColumns(*relation, options_.table);
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
  const int64_t before = open->rows->bytes();
  RETURN_IF_ERROR(open->rows->Append(tuple, extras));
  gathered_ += open->rows->bytes() - before;
  open->last_commit = Lsn{extras.lsn};
  open->last_used = ++clock_;
  if (open->rows->bytes() >= limits_.row_group_bytes) return Flush(open);
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
    OpenFile open{.table = table, .part = part, .snapshot = snapshot, .partition = partition_};
    open.rows = std::make_unique<ArrowRows>(*table->relation, table->columns);
    it = open_.emplace(std::move(key), std::move(open)).first;
    ++table->open;
  }
  last_ = &it->second;
  return last_;
}

absl::Status RowWriters::Flush(OpenFile* open) {
  if (open->file == nullptr) {
    open->number = (*next_file_)++;
    open->staged = absl::StrFormat("%06d.part", open->number);
    const Relation& relation = *open->table->relation;
    ASSIGN_OR_RETURN(open->file, DataFile::Create(absl::StrCat(staging_, "/", open->staged), *open->rows->schema(),
                                                  options_.compression,
                                                  {{"wallaby.flow", flow_},
                                                   {"wallaby.table", relation.QualifiedName()},
                                                   {"wallaby.schema_version", absl::StrCat(relation.version)}}));
  }
  gathered_ -= open->rows->bytes();
  ASSIGN_OR_RETURN(const auto rows, open->rows->Finish());
  RETURN_IF_ERROR(open->file->Write(rows));
  if (open->file->bytes() < options_.roll_bytes) return absl::OkStatus();
  return Close(open_.find(Key(open->table, open->snapshot, open->part, open->partition)));
}

absl::Status RowWriters::FlushLargest() {
  auto largest = std::max_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) {
    return a.second.rows->bytes() < b.second.rows->bytes();
  });
  return largest == open_.end() ? absl::OkStatus() : Flush(&largest->second);
}

absl::Status RowWriters::Close(OpenFiles::iterator it) {
  OpenFile& open = it->second;
  if (open.rows->rows() > 0) {
    const size_t files = closed_.size();
    RETURN_IF_ERROR(Flush(&open));
    if (closed_.size() != files) return absl::OkStatus();  // it was large enough to be closed there
  }
  WALLABY_CHECK(open.file != nullptr, "an open file has rows");
  RETURN_IF_ERROR(open.file->Finish());
  ClosedFile closed{.published = {.staged = open.staged, .rows = open.file->rows()},
                    .table_folder = open.table->folder,
                    .part = open.part,
                    .snapshot = open.snapshot};
  closed.published.path = absl::StrCat(open.table->folder, "/", open.partition, open.partition.empty() ? "" : "/",
                                       absl::StrFormat("%016X-%06d-", open.last_commit.value, open.number), id_,
                                       open.snapshot ? "-r" : "", ".parquet");
  closed_.push_back(std::move(closed));
  Forget(it);
  return ProbeStep("data file finished");
}

void RowWriters::Forget(OpenFiles::iterator it) {
  gathered_ -= it->second.rows->bytes();
  --it->second.table->open;
  if (last_ == &it->second) last_ = nullptr;
  open_.erase(it);
}

absl::StatusOr<std::vector<PublishedFile>> RowWriters::Finish(const std::vector<std::string>& parts) {
  const auto due = [&parts](bool snapshot, const std::string& part) {
    return !snapshot || part.empty() || std::find(parts.begin(), parts.end(), part) != parts.end();
  };
  for (auto it = open_.begin(); it != open_.end();) {
    auto next = std::next(it);
    if (due(it->second.snapshot, it->second.part)) RETURN_IF_ERROR(Close(it));
    it = next;
  }
  std::vector<PublishedFile> files;
  std::erase_if(closed_, [&](ClosedFile& closed) {
    if (!due(closed.snapshot, closed.part)) return false;
    files.push_back(std::move(closed.published));
    return true;
  });
  std::sort(files.begin(), files.end(), [](const PublishedFile& a, const PublishedFile& b) {
    return a.staged.size() != b.staged.size() ? a.staged.size() < b.staged.size() : a.staged < b.staged;
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
    if (!closed.snapshot || closed.table_folder != table_folder || !closed.part.starts_with(part_prefix)) {
      return false;
    }
    status.Update(RemoveFile(absl::StrCat(staging_, "/", closed.published.staged)));
    return true;
  });
  return status;
}

}  // namespace wallaby
