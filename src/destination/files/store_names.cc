#include "destination/files/store_names.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/stable_hash.h"
#include "destination/files/file_store.h"
#include "destination/files/partition.h"

namespace wallaby {

std::string StoreFolder(const DestinationConfig& config) {
  return absl::StrCat("_wallaby/", EncodePathComponent(config.flow_id), "-", EncodePathComponent(config.name));
}

std::string StoreIdPrefix(const DestinationConfig& config) {
  return absl::StrFormat("%08x", StableHash32(absl::StrCat(config.flow_id, "\n", config.name)));
}

std::string NewStoreId(std::string_view prefix) {
  return absl::StrCat(prefix, absl::StrFormat("%04x", std::random_device{}() & 0xffff));
}

absl::Status CheckGeneration(int64_t stored, int64_t own, std::string_view place) {
  if (stored <= own) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("fenced: a worker of generation ", stored, " has written to ",
                                                    place, ", this one is of generation ", own));
}

std::string FilePath(const FileName& name, Lsn lsn, std::string_view id) {
  return absl::StrCat(name.folder, "/", absl::StrFormat("%016X-%06d-", lsn.value, name.number), id,
                      name.snapshot ? "-r." : ".", name.extension);
}

}  // namespace wallaby
