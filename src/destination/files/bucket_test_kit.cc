#include "destination/files/bucket_test_kit.h"

#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "destination/files/bucket_store.h"
#include "destination/files/files_destination.h"
#include "destination/files/files_test_kit.h"
#include "test/support/test_bucket.h"

namespace wallaby {
namespace {

std::string NewPrefix() {
  static int count = 0;
  return absl::StrCat("place-", getpid(), "-", absl::GetCurrentTimeNanos(), "-", ++count);
}

}  // namespace

TestPlace::TestPlace(const std::string& type)
    : type_(type), prefix_(NewPrefix()), objects_(MakeObjectStore(*ParseFilesOptions(type, Config()))) {}

std::string TestPlace::Url() const {
  return ParseFilesOptions(type_, Config())->Place();
}

std::map<std::string, std::string> TestPlace::Options(std::map<std::string, std::string> others) const {
  others.insert({"prefix", prefix_});
  if (type_ == "s3") {
    others.insert({{"bucket", kTestBucket},
                   {"endpoint", TestBucketUrl()},
                   {"access_key", kTestAccessKey},
                   {"secret_key", kTestSecretKey}});
  } else if (type_ == "gcs") {
    others.insert({{"bucket", kTestBucket}, {"endpoint", TestGcsUrl()}});
  } else {
    others.insert({{"container", kTestBucket},
                   {"endpoint", TestAzureUrl()},
                   {"account", kTestAzureAccount},
                   {"account_key", kTestAzureKey}});
  }
  return others;
}

DestinationConfig TestPlace::Config(std::map<std::string, std::string> others, int64_t generation) const {
  return {.flow_id = "flow", .name = "lake", .options = Options(std::move(others)), .generation = generation};
}

std::unique_ptr<Destination> TestPlace::Make(std::map<std::string, std::string> others, int64_t generation) const {
  auto made = FilesDestination::Make(type_, Config(std::move(others), generation));
  WALLABY_CHECK(made.ok(), made.status().ToString().c_str());
  return *std::move(made);
}

BucketManifest TestPlace::ReadManifest() {
  auto object = objects_->Get(Key("_wallaby/flow-lake/manifest.json"));
  if (absl::IsNotFound(object.status())) return {};
  WALLABY_CHECK(object.ok(), object.status().ToString().c_str());
  return *BucketManifest::FromJson(object->content);
}

std::vector<StoredFile> TestPlace::Named() {
  const BucketManifest manifest = ReadManifest();
  std::vector<StoredFile> files;
  for (const FileList& list : manifest.lists) {
    auto object = objects_->Get(Key(list.path));
    WALLABY_CHECK(object.ok(), object.status().ToString().c_str());
    for (const std::string_view line : absl::StrSplit(object->content, '\n', absl::SkipEmpty())) {
      files.push_back(*ParseFileLine(line));
    }
  }
  files.insert(files.end(), manifest.files.begin(), manifest.files.end());
  return files;
}

std::vector<std::string> TestPlace::Objects(bool own) {
  auto keys = objects_->List(prefix_ + "/");
  WALLABY_CHECK(keys.ok(), keys.status().ToString().c_str());
  std::vector<std::string> names;
  for (const std::string& key : *keys) {
    std::string name = key.substr(prefix_.size() + 1);
    if (name.starts_with("_wallaby/") == own) names.push_back(std::move(name));
  }
  return names;
}

std::vector<std::string> TestPlace::NamedRows() {
  std::vector<SortableRow> rows;
  for (const StoredFile& file : Named()) {
    auto object = objects_->Get(Key(file.path));
    WALLABY_CHECK(object.ok(), object.status().ToString().c_str());
    const size_t before = rows.size();
    ReadRows(object->content, &rows);
    WALLABY_CHECK(static_cast<int64_t>(rows.size() - before) == file.rows, "the manifest says how many rows there are");
    WALLABY_CHECK(static_cast<int64_t>(object->content.size()) == file.bytes, "the manifest says how large it is");
  }
  return SortedTexts(std::move(rows));
}

}  // namespace wallaby
