#include "destination/files/bucket_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "destination/azure/azure_client.h"
#include "destination/files/bucket_output.h"
#include "destination/files/folder.h"
#include "destination/files/store_names.h"
#include "destination/gcs/gcs_client.h"
#include "destination/s3/s3_client.h"

namespace wallaby {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kLines = "application/x-ndjson";

std::string EpochText(uint64_t epoch) {
  return absl::StrFormat("%06x", epoch);
}

// Of "<lsn>-<number>-<id>-<epoch>[-r].<extension>": the epoch where the id is this flow's and destination's; else none.
std::optional<uint64_t> EpochOf(std::string_view key, std::string_view id_prefix) {
  std::string_view name = key.substr(key.rfind('/') + 1);  // npos + 1 is 0
  name = name.substr(0, name.find('.'));
  const std::vector<std::string_view> parts = absl::StrSplit(name, '-');
  uint64_t epoch = 0;
  if (parts.size() < 4 || !absl::StartsWith(parts[2], id_prefix) || !absl::SimpleHexAtoi(parts[3], &epoch)) {
    return std::nullopt;
  }
  return epoch;
}

}  // namespace

std::unique_ptr<ObjectStore> MakeObjectStore(const FilesOptions& options) {
  if (const auto* azure = std::get_if<AzureOptions>(&options.bucket)) return std::make_unique<AzureClient>(*azure);
  if (const auto* gcs = std::get_if<GcsOptions>(&options.bucket)) return std::make_unique<GcsClient>(*gcs);
  return std::make_unique<S3Client>(std::get<S3Options>(options.bucket));
}

BucketStore::BucketStore(const DestinationConfig& config, const FilesOptions& options, Limits limits)
    : place_(options.Place()),
      prefix_(options.prefix),
      folder_(StoreFolder(config)),
      id_prefix_(StoreIdPrefix(config)),
      limits_(limits),
      objects_(MakeObjectStore(options)) {
  objects_->set_probe(&ProbeStep);
}

std::string BucketStore::KeyOf(std::string_view path) const {
  return absl::StrCat(prefix_, path);
}

std::string BucketStore::WritingPath() const {
  return absl::StrCat(folder_, "/writing-", EpochText(manifest_.epoch));
}

absl::Status BucketStore::ReadManifest() {
  const std::string key = KeyOf(folder_ + "/manifest.json");
  auto object = objects_->Get(key);
  if (absl::IsNotFound(object.status())) {
    manifest_ = BucketManifest();
    manifest_.state.id = NewStoreId(id_prefix_);
    etag_.clear();
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(object.status());
  auto manifest = BucketManifest::FromJson(object->content);
  if (!manifest.ok()) return Annotate(manifest.status(), absl::StrCat(place_, "/", folder_, "/manifest.json"));
  manifest_ = *std::move(manifest);
  etag_ = std::move(object->etag);
  return absl::OkStatus();
}

absl::StatusOr<StoreState> BucketStore::Open(int64_t generation) {
  announced_.clear();
  RETURN_IF_ERROR(TakeOver(generation));
  RETURN_IF_ERROR(CheckConditions());
  RETURN_IF_ERROR(FinishRemovals());
  RETURN_IF_ERROR(RemoveOrphans(manifest_.version - 1));
  RETURN_IF_ERROR(CallOffUploads());
  return manifest_.state;
}

absl::Status BucketStore::TakeOver(int64_t generation) {
  RETURN_IF_ERROR(ReadManifest());
  RETURN_IF_ERROR(CheckGeneration(manifest_.generation, generation, place_));
  BucketManifest next = manifest_;
  next.generation = generation;
  ++next.epoch;
  absl::Status status = WriteManifest(std::move(next));
  if (!absl::IsFailedPrecondition(status)) return status;
  // Another one took over at the same moment, or an older one committed a last time. Whose generation is lower yields.
  RETURN_IF_ERROR(ReadManifest());
  RETURN_IF_ERROR(CheckGeneration(manifest_.generation, generation, place_));
  return absl::UnavailableError(status.message());
}

absl::Status BucketStore::CheckConditions() {
  const std::string key = KeyOf(folder_ + "/manifest.json"), text = manifest_.ToJson();
  // There is a manifest, and it has another ETag. Where the server writes all the same, it writes what is there.
  for (const std::string& etag : {std::string(), objects_->NobodysEtag()}) {
    ASSIGN_OR_RETURN(const auto put, objects_->PutIf(key, text, kJson, etag));
    if (!put.has_value()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("the server at ", objects_->endpoint(), " does not carry out conditional writes (",
                     etag.empty() ? "that there is no such object" : "that an object is still the same",
                     "), without which two workers could overwrite each other's commits; use one that does (",
                     objects_->page(), ")"));
  }
  return absl::OkStatus();
}

absl::Status BucketStore::WriteManifest(BucketManifest next) {
  next.version = manifest_.version + 1;
  const std::string key = KeyOf(folder_ + "/manifest.json"), text = next.ToJson();
  absl::StatusOr<std::optional<std::string>> put = objects_->PutIf(key, text, kJson, etag_);
  if (put.ok() && put->has_value()) {
    etag_ = *std::move(*put);
    manifest_ = std::move(next);
    return absl::OkStatus();
  }
  if (!put.ok() && !IsTransient(put.status())) return put.status();
  // An answer was lost, or another worker has written. What is there tells.
  absl::StatusOr<ObjectStore::Object> there = objects_->Get(key);
  if (there.ok() && there->content == text) {
    etag_ = std::move(there->etag);
    manifest_ = std::move(next);
    return absl::OkStatus();
  }
  if (!put.ok()) return put.status();  // nobody knows yet: Open() makes sure
  if (!there.ok() && !absl::IsNotFound(there.status())) return there.status();
  return absl::FailedPreconditionError(absl::StrCat("fenced: the manifest ", place_, "/", folder_, "/manifest.json ",
                                                    there.ok() ? "was replaced" : "is gone",
                                                    ", so another worker may write here"));
}

absl::Status BucketStore::RemoveOrphans(uint64_t before) {
  ASSIGN_OR_RETURN(const std::vector<std::string> keys, objects_->List(KeyOf(folder_ + "/writing-")));
  for (const std::string& key : keys) {
    uint64_t epoch = 0, version = 0;
    // A later epoch's is the business of whoever has taken over since.
    if (!absl::SimpleHexAtoi(std::string_view(key).substr(key.rfind('-') + 1), &epoch) || epoch >= manifest_.epoch) {
      continue;
    }
    auto writing = objects_->Get(key);
    if (absl::IsNotFound(writing.status())) continue;
    RETURN_IF_ERROR(writing.status());
    std::vector<std::string> lines = absl::StrSplit(writing->content, '\n', absl::SkipEmpty());
    if (lines.empty() || !absl::SimpleAtoi(lines.front(), &version)) version = 0;
    if (!lines.empty()) lines.erase(lines.begin());
    std::set<std::string> orphans(lines.begin(), lines.end());
    // Nothing was committed after these were announced, unless the versions differ: then some may have been, and as a
    // request may arrive late, long ago.
    RETURN_IF_ERROR(KeepUnnamed(/*look_in_lists=*/version != before, &orphans));
    for (const std::string& path : orphans) RETURN_IF_ERROR(objects_->Delete(KeyOf(path)));
    RETURN_IF_ERROR(objects_->Delete(key));
  }
  return absl::OkStatus();
}

absl::Status BucketStore::KeepUnnamed(bool look_in_lists, std::set<std::string>* paths) {
  for (const StoredFile& file : manifest_.files) paths->erase(file.path);
  for (const FileList& list : manifest_.lists) paths->erase(list.path);
  for (const FileList& list : manifest_.lists) {
    if (!look_in_lists || paths->empty()) break;
    ASSIGN_OR_RETURN(const ObjectStore::Object object, objects_->Get(KeyOf(list.path)));
    for (const std::string_view line : absl::StrSplit(object.content, '\n', absl::SkipEmpty())) {
      ASSIGN_OR_RETURN(const StoredFile file, ParseFileLine(line));
      paths->erase(file.path);
    }
  }
  return absl::OkStatus();
}

absl::Status BucketStore::CallOffUploads() {
  ASSIGN_OR_RETURN(const std::vector<ObjectStore::Upload> uploads, objects_->ListUploads(prefix_));
  for (const ObjectStore::Upload& upload : uploads) {
    const auto epoch = EpochOf(upload.key, id_prefix_);
    if (epoch && *epoch < manifest_.epoch) RETURN_IF_ERROR(objects_->AbortUpload(upload));
  }
  return absl::OkStatus();
}

absl::Status BucketStore::FinishRemovals() {
  for (const std::string& path : manifest_.removed) RETURN_IF_ERROR(objects_->Delete(KeyOf(path)));
  manifest_.removed.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FileOutput>> BucketStore::Create(const FileName& name) {
  const std::string id = absl::StrCat(manifest_.state.id, "-", EpochText(manifest_.epoch));
  return std::make_unique<BucketOutput>(objects_.get(), prefix_, FilePath(name, name.first, id));
}

absl::Status BucketStore::Announce(const std::vector<std::string>& paths) {
  const size_t before = announced_.size();
  announced_.insert(paths.begin(), paths.end());
  if (announced_.size() == before) return absl::OkStatus();
  return objects_->Put(KeyOf(WritingPath()), absl::StrCat(manifest_.version, "\n", absl::StrJoin(announced_, "\n")),
                       "text/plain");
}

absl::Status BucketStore::Discard(const StoredFile& file) {
  return objects_->Delete(KeyOf(file.path));
}

absl::Status BucketStore::Commit(const StoreState& next, std::vector<StoredFile> files) {
  BucketManifest manifest = manifest_;
  manifest.state = next;
  if (!files.empty()) RETURN_IF_ERROR(RollUp(&manifest));
  for (StoredFile& file : files) manifest.files.push_back(std::move(file));
  const size_t old = manifest.files.size() - files.size();
  RETURN_IF_ERROR(WriteManifest(std::move(manifest)));
  for (size_t i = old; i < manifest_.files.size(); ++i) announced_.erase(manifest_.files[i].path);
  for (const FileList& list : manifest_.lists) announced_.erase(list.path);
  return FinishRemovals();
}

absl::Status BucketStore::RollUp(BucketManifest* manifest) {
  if (manifest->files.size() < limits_.files) return absl::OkStatus();
  std::string lines;
  for (const StoredFile& file : manifest->files) lines += FileLine(file);
  ASSIGN_OR_RETURN(FileList list, WriteList(lines, static_cast<int64_t>(manifest->files.size()), "files"));
  manifest->lists.push_back(std::move(list));
  manifest->files.clear();
  const auto small =
      std::count_if(manifest->lists.begin(), manifest->lists.end(), [](const FileList& l) { return !l.merged; });
  return static_cast<size_t>(small) < limits_.lists ? absl::OkStatus() : MergeLists(manifest);
}

absl::Status BucketStore::MergeLists(BucketManifest* manifest) {
  // Readers have had the time of all the lists since for those of the merge before.
  manifest->removed = std::move(manifest->replaced);
  manifest->replaced.clear();
  std::string lines;
  int64_t files = 0;
  for (const FileList& list : manifest->lists) {
    if (list.merged) continue;
    ASSIGN_OR_RETURN(const ObjectStore::Object object, objects_->Get(KeyOf(list.path)));
    lines += object.content;
    files += list.files;
    manifest->replaced.push_back(list.path);
  }
  ASSIGN_OR_RETURN(FileList merged, WriteList(lines, files, "merged"));
  merged.merged = true;
  std::erase_if(manifest->lists, [](const FileList& list) { return !list.merged; });
  manifest->lists.push_back(std::move(merged));
  return absl::OkStatus();
}

absl::StatusOr<FileList> BucketStore::WriteList(const std::string& lines, int64_t files, std::string_view what) {
  // The version is of the manifest that will name it.
  FileList list{.path = absl::StrCat(folder_, "/", what, absl::StrFormat("-%08d-", manifest_.version + 1),
                                     EpochText(manifest_.epoch), ".jsonl"),
                .files = files};
  RETURN_IF_ERROR(Announce({list.path}));
  RETURN_IF_ERROR(objects_->Put(KeyOf(list.path), lines, kLines));
  return list;
}

absl::Status BucketStore::RemoveSnapshot(const StoreState& next, const std::string& table) {
  BucketManifest manifest = manifest_;
  manifest.state = next;
  const auto taken_out = [&](const StoredFile& file) { return file.snapshot && file.table == table; };
  std::erase_if(manifest.files, [&](const StoredFile& file) {
    if (!taken_out(file)) return false;
    manifest.removed.push_back(file.path);
    return true;
  });
  for (size_t i = 0; i < manifest.lists.size(); ++i) {
    FileList& list = manifest.lists[i];
    ASSIGN_OR_RETURN(const ObjectStore::Object object, objects_->Get(KeyOf(list.path)));
    std::string kept;
    int64_t files = 0;
    for (const std::string_view line : absl::StrSplit(object.content, '\n', absl::SkipEmpty())) {
      auto file = ParseFileLine(line);
      if (!file.ok()) return Annotate(file.status(), absl::StrCat(place_, "/", list.path));
      if (taken_out(*file)) {
        manifest.removed.push_back(file->path);
        continue;
      }
      absl::StrAppend(&kept, line, "\n");
      ++files;
    }
    if (files == list.files) continue;
    manifest.removed.push_back(list.path);
    const bool merged = list.merged;
    ASSIGN_OR_RETURN(list, WriteList(kept, files, absl::StrCat("kept", i)));
    list.merged = merged;
  }
  RETURN_IF_ERROR(WriteManifest(std::move(manifest)));
  for (const FileList& list : manifest_.lists) announced_.erase(list.path);
  return FinishRemovals();
}

}  // namespace wallaby
