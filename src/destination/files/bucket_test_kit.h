// What the tests of buckets share: a place in a real bucket, read as any reader does, by its manifest.
#ifndef WALLABY_DESTINATION_FILES_BUCKET_TEST_KIT_H_
#define WALLABY_DESTINATION_FILES_BUCKET_TEST_KIT_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "destination/files/bucket_manifest.h"
#include "destination/files/files_options.h"
#include "destination/s3/s3_client.h"

namespace wallaby {

// A prefix of its own in the bucket of the run's server.
class TestPlace {
 public:
  TestPlace();

  // Options of a destination of type s3 that writes here, with these beside them.
  std::map<std::string, std::string> Options(std::map<std::string, std::string> others = {}) const;
  // Of flow "flow" and destination "lake".
  DestinationConfig Config(std::map<std::string, std::string> others = {}, int64_t generation = 1) const;
  std::unique_ptr<Destination> Make(std::map<std::string, std::string> others = {}, int64_t generation = 1) const;

  S3Client& client() { return client_; }
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

  const std::string prefix_;
  S3Client client_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_BUCKET_TEST_KIT_H_
