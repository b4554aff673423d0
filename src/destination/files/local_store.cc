#include "destination/files/local_store.h"

#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "destination/files/local_output.h"
#include "destination/files/store_names.h"

namespace wallaby {
namespace {

std::string ParentOf(std::string_view path) {
  return std::filesystem::path(path).parent_path().string();
}

}  // namespace

LocalStore::LocalStore(const DestinationConfig& config, std::string path)
    : path_(std::move(path)),
      id_prefix_(StoreIdPrefix(config)),
      folder_(absl::StrCat(path_, "/", StoreFolder(config))),
      staging_(absl::StrCat(folder_, "/staging")) {}

std::string LocalStore::PathOf(std::string_view below) const {
  return absl::StrCat(path_, "/", below);
}

absl::StatusOr<Manifest> LocalStore::ReadManifest() const {
  const std::string path = absl::StrCat(folder_, "/manifest.json");
  auto text = ReadFile(path);
  if (absl::IsNotFound(text.status())) return Manifest{.state = {.id = NewStoreId(id_prefix_)}};
  if (!text.ok()) return text.status();
  auto manifest = Manifest::FromJson(*text);
  return manifest.ok() ? manifest : Annotate(manifest.status(), path);
}

absl::Status LocalStore::WriteManifest(const Manifest& manifest) {
  RETURN_IF_ERROR(lock_.Check());
  return ReplaceFile(absl::StrCat(folder_, "/manifest.json"), manifest.ToJson());
}

absl::StatusOr<StoreState> LocalStore::Open(int64_t generation) {
  RETURN_IF_ERROR(MakeFolders(staging_));
  RETURN_IF_ERROR(lock_.Acquire(absl::StrCat(folder_, "/lock")));
  ASSIGN_OR_RETURN(Manifest manifest, ReadManifest());
  RETURN_IF_ERROR(CheckGeneration(manifest.generation, generation, path_));
  RETURN_IF_ERROR(FinishMoves(manifest));
  RETURN_IF_ERROR(RemoveLeftovers());
  manifest.files.clear();
  manifest.removed.clear();
  manifest.generation = generation;
  RETURN_IF_ERROR(WriteManifest(manifest));
  manifest_ = std::move(manifest);
  return manifest_.state;
}

absl::Status LocalStore::FinishMoves(const Manifest& manifest) {
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

absl::Status LocalStore::RemoveLeftovers() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFiles(staging_));
  for (const std::string& name : names) {
    RETURN_IF_ERROR(RemoveFile(absl::StrCat(staging_, "/", name)));
  }
  return SyncFolder(staging_);
}

absl::StatusOr<std::unique_ptr<FileOutput>> LocalStore::Create(const FileName& name) {
  return LocalOutput::Create(staging_, absl::StrFormat("%06d.part", name.number), name, manifest_.state.id);
}

absl::Status LocalStore::Discard(const StoredFile& file) {
  return RemoveFile(absl::StrCat(staging_, "/", file.staged));
}

absl::Status LocalStore::Commit(const StoreState& next, std::vector<StoredFile> files) {
  Manifest manifest{.state = next, .generation = manifest_.generation};
  for (StoredFile& file : files) {
    manifest.files.push_back({std::move(file.staged), std::move(file.path), file.rows});
  }
  // What can fail for want of space is done before the commit.
  for (const PublishedFile& file : manifest.files) {
    RETURN_IF_ERROR(MakeFolders(ParentOf(PathOf(file.path))));
  }
  RETURN_IF_ERROR(SyncFolder(staging_));
  RETURN_IF_ERROR(ProbeStep("staging synced"));
  RETURN_IF_ERROR(WriteManifest(manifest));
  RETURN_IF_ERROR(ProbeStep("manifest written"));
  RETURN_IF_ERROR(FinishMoves(manifest));
  manifest_ = std::move(manifest);
  return absl::OkStatus();
}

absl::Status LocalStore::RemoveSnapshot(const StoreState& next, const std::string& table) {
  Manifest manifest{.state = next, .generation = manifest_.generation};
  ASSIGN_OR_RETURN(const std::vector<std::string> files, ListFilesBelow(PathOf(table)));
  // "<lsn>-<number>-<12 digits of the id>-r.<extension>", of this flow and destination, whatever manifest wrote it.
  const std::string prefix = absl::StrCat("-", id_prefix_);
  for (const std::string& file : files) {
    std::string_view rest = file;
    const size_t mark = rest.rfind("-r.");
    if (mark == rest.npos || rest.find('/', mark) != rest.npos) continue;
    rest = rest.substr(0, mark);
    if (rest.size() < prefix.size() + 4) continue;
    if (rest.substr(rest.size() - prefix.size() - 4, prefix.size()) != prefix) continue;
    manifest.removed.push_back(absl::StrCat(table, "/", file));
  }
  RETURN_IF_ERROR(WriteManifest(manifest));
  RETURN_IF_ERROR(FinishMoves(manifest));
  manifest.removed.clear();
  manifest_ = std::move(manifest);
  return absl::OkStatus();
}

}  // namespace wallaby
