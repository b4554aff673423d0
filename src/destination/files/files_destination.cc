#include "destination/files/files_destination.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "destination/files/bucket_store.h"
#include "destination/files/file_encoder.h"
#include "destination/files/local_store.h"
#include "destination/files/schema_change.h"
#include "destination/payload_codec.h"

namespace wallaby {
namespace {

RowWriters::Limits LimitsFor(int64_t memory_limit) {
  // Half for gathered rows; builders double as they grow, and the encoder of a row group needs its share.
  const int64_t memory = std::max<int64_t>(memory_limit / 2, 1 << 20);
  return {.memory = memory,
          .row_group_bytes = std::min<int64_t>(memory, 32 << 20),
          .held_bytes = memory / 2,
          .open_files = 64};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Destination>> FilesDestination::Make(std::string_view type,
                                                                    const DestinationConfig& config) {
  ASSIGN_OR_RETURN(FilesOptions options, ParseFilesOptions(type, config));
  std::unique_ptr<Codec> codec;
  if (!IsColumnar(options.format)) {
    DestinationConfig payload = config;
    payload.options["format"] = WireFormatText(options.format);
    ASSIGN_OR_RETURN(codec, MakePayloadCodec(payload, options.table, /*topic_of=*/nullptr));
  }
  std::unique_ptr<FileStore> store;
  if (options.path.empty()) {
    store = std::make_unique<BucketStore>(config, options);
  } else {
    store = std::make_unique<LocalStore>(config, options.path);
  }
  return std::unique_ptr<Destination>(
      new FilesDestination(config, std::move(options), std::move(store), std::move(codec)));
}

FilesDestination::FilesDestination(const DestinationConfig& config, FilesOptions options,
                                   std::unique_ptr<FileStore> store, std::unique_ptr<Codec> codec)
    : config_(config), options_(std::move(options)), store_(std::move(store)), codec_(std::move(codec)) {}

Capabilities FilesDestination::capabilities() const {
  return {.linger = options_.roll_interval, .linger_bytes = options_.roll_bytes};
}

absl::StatusOr<Progress> FilesDestination::Open() {
  writers_.reset();
  ASSIGN_OR_RETURN(state_, store_->Open(config_.generation));
  writers_.emplace(options_, store_.get(), codec_.get(), &state_.next_file, config_.flow_id,
                   LimitsFor(config_.memory_limit));
  return state_.progress;
}

absl::Status FilesDestination::CheckTable(const Relation& relation) {
  for (const Column& column : relation.columns) {
    for (const char* ours : {kOpColumn, kLsnColumn, kSeqColumn, kCommitTimeColumn, kUnchangedColumn}) {
      if (column.name != ours) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("table ", relation.QualifiedName(), ", column ", column.name,
                       ": WALlaby adds a column of this name to every file; rename the table's or "
                       "leave it out of the publication"));
    }
  }
  ASSIGN_OR_RETURN(const Partitioner partitioner, Partitioner::Make(relation, options_.partition_by));
  WarnOfMissing(relation, partitioner.missing());
  return absl::OkStatus();
}

void FilesDestination::WarnOfMissing(const Relation& relation, const std::vector<std::string>& columns) {
  if (columns.empty() || !config_.warn || !warned_.insert(relation.QualifiedName()).second) return;
  config_.warn(absl::StrCat("table ", relation.QualifiedName(), " has no column ", absl::StrJoin(columns, ", "),
                            ", by which option partition_by parts the files; it is written without that part of the "
                            "path"));
}

absl::Status FilesDestination::CheckOpen() const {
  if (writers_.has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError("the destination is not open; open it again");
}

absl::Status FilesDestination::Broken(absl::Status status) {
  if (!status.ok()) writers_.reset();
  return status;
}

absl::Status FilesDestination::Write(const ChangeBatch& batch) {
  RETURN_IF_ERROR(CheckOpen());
  return Broken(writers_->Write(batch));
}

absl::Status FilesDestination::Commit(const CommitPoint& point) {
  RETURN_IF_ERROR(CheckOpen());
  return Broken(Publish(point));
}

absl::Status FilesDestination::Publish(const CommitPoint& point) {
  ASSIGN_OR_RETURN(std::vector<StoredFile> files, writers_->Finish(point.finished_parts));
  StoreState next = state_;
  if (point.commit.valid()) {
    next.progress.commit = point.commit;
    next.progress.end = point.end;
  }
  next.progress.snapshot_parts.insert(point.finished_parts.begin(), point.finished_parts.end());
  RETURN_IF_ERROR(store_->Commit(next, std::move(files)));
  state_ = std::move(next);
  return absl::OkStatus();
}

absl::Status FilesDestination::ResetSnapshot(const Relation& relation, std::string_view part_prefix) {
  RETURN_IF_ERROR(CheckOpen());
  const std::string table = TableFolder(relation, options_.table);
  RETURN_IF_ERROR(Broken(writers_->DiscardSnapshot(table, part_prefix)));
  StoreState next = state_;
  std::erase_if(next.progress.snapshot_parts, [&](const std::string& part) { return part.starts_with(part_prefix); });
  RETURN_IF_ERROR(Broken(store_->RemoveSnapshot(next, table)));
  state_ = std::move(next);
  return absl::OkStatus();
}

std::vector<std::string> FilesDestination::DdlStatements(const SchemaChange& change) const {
  return FilesDdl(change, options_);
}

absl::Status FilesDestination::ApplyDdl(const SchemaChange& change) {
  RETURN_IF_ERROR(CheckOpen());
  if (!change.after) return absl::OkStatus();
  // Files have the shape of their rows, so there is nothing to change.
  return CheckTable(change.after->Visible());
}

}  // namespace wallaby
