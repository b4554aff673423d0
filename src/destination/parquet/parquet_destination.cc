#include "destination/parquet/parquet_destination.h"

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/stable_hash.h"
#include "base/status.h"
#include "destination/parquet/schema_change.h"

namespace wallaby {
namespace {

// Eight digits for the flow and destination, then four at random: a manifest that was lost and made anew does not give
// names that exist.
std::string IdPrefix(const DestinationConfig& config) {
  return absl::StrFormat("%08x", StableHash32(absl::StrCat(config.flow_id, "\n", config.name)));
}
std::string NewId(const DestinationConfig& config) {
  return IdPrefix(config) + absl::StrFormat("%04x", std::random_device{}() & 0xffff);
}

std::string FolderName(const DestinationConfig& config) {
  return absl::StrCat(EncodePathComponent(config.flow_id), "-", EncodePathComponent(config.name));
}

std::string ParentOf(std::string_view path) {
  return std::filesystem::path(path).parent_path().string();
}

RowWriters::Limits LimitsFor(int64_t memory_limit) {
  // Half for gathered rows; builders double as they grow, and the encoder of a row group needs its share.
  const int64_t memory = std::max<int64_t>(memory_limit / 2, 1 << 20);
  return {.memory = memory, .row_group_bytes = std::min<int64_t>(memory, 32 << 20), .open_files = 64};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Destination>> ParquetDestination::Make(const DestinationConfig& config) {
  ASSIGN_OR_RETURN(ParquetOptions options, ParseParquetOptions(config));
  return std::unique_ptr<Destination>(new ParquetDestination(config, std::move(options)));
}

ParquetDestination::ParquetDestination(DestinationConfig config, ParquetOptions options)
    : config_(std::move(config)),
      options_(std::move(options)),
      folder_(absl::StrCat(options_.path, "/_wallaby/", FolderName(config_))),
      staging_(absl::StrCat(folder_, "/staging")) {}

Capabilities ParquetDestination::capabilities() const {
  return {.linger = options_.roll_interval, .linger_bytes = options_.roll_bytes};
}

std::string ParquetDestination::PathOf(std::string_view below) const {
  return absl::StrCat(options_.path, "/", below);
}

absl::StatusOr<Manifest> ParquetDestination::ReadManifest() const {
  const std::string path = absl::StrCat(folder_, "/manifest.json");
  auto text = ReadFile(path);
  if (absl::IsNotFound(text.status())) return Manifest{.id = NewId(config_)};
  if (!text.ok()) return text.status();
  auto manifest = Manifest::FromJson(*text);
  return manifest.ok() ? manifest : Annotate(manifest.status(), path);
}

absl::Status ParquetDestination::WriteManifest(const Manifest& manifest) {
  RETURN_IF_ERROR(lock_.Check());
  return ReplaceFile(absl::StrCat(folder_, "/manifest.json"), manifest.ToJson());
}

absl::StatusOr<Progress> ParquetDestination::Open() {
  writers_.reset();
  RETURN_IF_ERROR(MakeFolders(staging_));
  RETURN_IF_ERROR(lock_.Acquire(absl::StrCat(folder_, "/lock")));
  ASSIGN_OR_RETURN(Manifest manifest, ReadManifest());
  if (manifest.generation > config_.generation) {
    return absl::FailedPreconditionError(absl::StrCat("fenced: a worker of generation ", manifest.generation,
                                                      " has written to ", options_.path, ", this one is of generation ",
                                                      config_.generation));
  }
  RETURN_IF_ERROR(FinishMoves(manifest));
  RETURN_IF_ERROR(RemoveLeftovers());
  manifest.files.clear();
  manifest.removed.clear();
  manifest.generation = config_.generation;
  RETURN_IF_ERROR(WriteManifest(manifest));
  manifest_ = std::move(manifest);
  writers_.emplace(options_, &manifest_.next_file, staging_, manifest_.id, config_.flow_id,
                   LimitsFor(config_.memory_limit));
  return manifest_.progress;
}

absl::Status ParquetDestination::FinishMoves(const Manifest& manifest) {
  std::set<std::string> folders;
  for (const PublishedFile& file : manifest.files) {
    const std::string staged = absl::StrCat(staging_, "/", file.staged);
    // Moved before a crash, and perhaps taken away since by whoever owns the folder.
    if (!FileExists(staged)) continue;
    const std::string path = PathOf(file.path);
    RETURN_IF_ERROR(MakeFolders(ParentOf(path)));
    RETURN_IF_ERROR(MoveFile(staged, path));
    folders.insert(ParentOf(path));
    RETURN_IF_ERROR(ProbeStep("data file published"));
  }
  for (const std::string& removed : manifest.removed) {
    const std::string path = PathOf(removed);
    RETURN_IF_ERROR(RemoveFile(path));
    if (FileExists(ParentOf(path))) folders.insert(ParentOf(path));
    RETURN_IF_ERROR(ProbeStep("data file removed"));
  }
  for (const std::string& folder : folders) RETURN_IF_ERROR(SyncFolder(folder));
  return ProbeStep("moves finished");
}

absl::Status ParquetDestination::RemoveLeftovers() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFiles(staging_));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(RemoveFile(absl::StrCat(staging_, "/", name)));
  }
  return SyncFolder(staging_);
}

absl::Status ParquetDestination::CheckTable(const Relation& relation) {
  for (const Column& column : relation.columns) {
    for (const char* ours : {kOpColumn, kLsnColumn, kSeqColumn, kCommitTimeColumn, kUnchangedColumn}) {
      if (column.name != ours) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("table ", relation.QualifiedName(), ", column ", column.name,
                       ": WALlaby adds a column of this name to every file; rename the table's or "
                       "leave it out of the publication"));
    }
  }
  return Partitioner::Make(relation, options_.partition_by).status();
}

absl::Status ParquetDestination::CheckOpen() const {
  if (writers_.has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError("the parquet destination is not open; open it again");
}

absl::Status ParquetDestination::Broken(absl::Status status) {
  if (!status.ok()) writers_.reset();
  return status;
}

absl::Status ParquetDestination::Write(const ChangeBatch& batch) {
  RETURN_IF_ERROR(CheckOpen());
  return Broken(writers_->Write(batch));
}

absl::Status ParquetDestination::Commit(const CommitPoint& point) {
  RETURN_IF_ERROR(CheckOpen());
  return Broken(Publish(point));
}

absl::Status ParquetDestination::Publish(const CommitPoint& point) {
  Manifest next = manifest_;
  next.removed.clear();
  ASSIGN_OR_RETURN(next.files, writers_->Finish(point.finished_parts));
  next.next_file = manifest_.next_file;  // counted on by the files that were just begun
  if (point.commit.valid()) {
    next.progress.commit = point.commit;
    next.progress.end = point.end;
  }
  next.progress.snapshot_parts.insert(point.finished_parts.begin(), point.finished_parts.end());
  // What can fail for want of space is done before the commit.
  for (const PublishedFile& file : next.files) {
    RETURN_IF_ERROR(MakeFolders(ParentOf(PathOf(file.path))));
  }
  RETURN_IF_ERROR(SyncFolder(staging_));
  RETURN_IF_ERROR(ProbeStep("staging synced"));
  RETURN_IF_ERROR(WriteManifest(next));
  RETURN_IF_ERROR(ProbeStep("manifest written"));
  RETURN_IF_ERROR(FinishMoves(next));
  manifest_ = std::move(next);
  return absl::OkStatus();
}

absl::Status ParquetDestination::ResetSnapshot(const Relation& relation, std::string_view part_prefix) {
  RETURN_IF_ERROR(CheckOpen());
  const std::string table = TableFolder(relation, options_.table);
  Manifest next = manifest_;
  next.files.clear();
  next.removed.clear();
  std::erase_if(next.progress.snapshot_parts, [&](const std::string& part) { return part.starts_with(part_prefix); });
  ASSIGN_OR_RETURN(const std::vector<std::string> files, ListFilesBelow(PathOf(table)));
  // "<lsn>-<number>-<12 digits of the id>-r.parquet", of this flow and destination, whatever manifest wrote it.
  const std::string prefix = absl::StrCat("-", IdPrefix(config_));
  for (const std::string& file : files) {
    std::string_view rest = file;
    if (!rest.ends_with("-r.parquet")) continue;
    rest.remove_suffix(std::string_view("-r.parquet").size());
    if (rest.size() < prefix.size() + 4) continue;
    if (rest.substr(rest.size() - prefix.size() - 4, prefix.size()) != prefix) continue;
    next.removed.push_back(absl::StrCat(table, "/", file));
  }
  RETURN_IF_ERROR(Broken(writers_->DiscardSnapshot(table, part_prefix)));
  RETURN_IF_ERROR(Broken(WriteManifest(next)));
  RETURN_IF_ERROR(Broken(FinishMoves(next)));
  next.removed.clear();
  manifest_ = std::move(next);
  return absl::OkStatus();
}

std::vector<std::string> ParquetDestination::DdlStatements(const SchemaChange& change) const {
  return ParquetDdl(change, options_);
}

absl::Status ParquetDestination::ApplyDdl(const SchemaChange& change) {
  RETURN_IF_ERROR(CheckOpen());
  if (!change.after) return absl::OkStatus();
  // Files have the shape of their rows, so there is nothing to change.
  return CheckTable(change.after->Visible());
}

}  // namespace wallaby
