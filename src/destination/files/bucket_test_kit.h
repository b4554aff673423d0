// What the tests of buckets share: a place in a real bucket of each kind, read as any reader does, by its manifest.
#ifndef WALLABY_DESTINATION_FILES_BUCKET_TEST_KIT_H_
#define WALLABY_DESTINATION_FILES_BUCKET_TEST_KIT_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "destination/files/bucket_manifest.h"
#include "destination/files/files_options.h"
#include "destination/objects/object_store.h"

namespace wallaby {

// The types that write to a bucket, each of which has a real server in tests.
inline constexpr const char* kBucketTypes[] = {"s3", "azure", "gcs"};

// A prefix of its own in the bucket of the run's server.
class TestPlace {
 public:
  explicit TestPlace(const std::string& type);

  const std::string& type() const { return type_; }
  // As errors call it: "s3://test/prefix".
  std::string Url() const;
  // Options of a destination of this type that writes here, with these beside them.
  std::map<std::string, std::string> Options(std::map<std::string, std::string> others = {}) const;
  // Of flow "flow" and destination "lake".
  DestinationConfig Config(std::map<std::string, std::string> others = {}, int64_t generation = 1) const;
  std::unique_ptr<Destination> Make(std::map<std::string, std::string> others = {}, int64_t generation = 1) const;

  ObjectStore& objects() { return *objects_; }
  std::string Key(const std::string& path) const { return prefix_ + "/" + path; }
  BucketManifest ReadManifest();
  // Files that the manifest and its lists name, in the order of their commits.
  std::vector<StoredFile> Named();
  // The objects of tables that are there, without the prefix; and those of our own folder.
  std::vector<std::string> DataObjects() { return Objects(false); }
  std::vector<std::string> OwnObjects() { return Objects(true); }
  // Rows of all Parquet files that the manifest names, as Rows() of files_test_kit.h.
  std::vector<std::string> NamedRows();

 private:
  std::vector<std::string> Objects(bool own);

  const std::string type_;
  const std::string prefix_;
  const std::unique_ptr<ObjectStore> objects_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_BUCKET_TEST_KIT_H_
