// about.json: what a spool is, written once, when it is made.
#ifndef WALLABY_SPOOL_ABOUT_H_
#define WALLABY_SPOOL_ABOUT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "spool/spool.h"

namespace wallaby::spool {

struct About {
  SpoolName name;
  std::string publication;
  std::string key_fingerprint;  // empty: not encrypted
};

// Durable on return.
absl::Status WriteAbout(const std::string& folder, const About& about);
// NOT_FOUND when there is none. FAILED_PRECONDITION when a newer WALlaby made it, DATA_LOSS when it cannot be read.
absl::StatusOr<About> ReadAbout(const std::string& folder);
// FAILED_PRECONDITION when the spool needs another key, or none.
absl::Status CheckKey(const std::string& folder, const About& about, const std::string& key);
// FAILED_PRECONDITION when the spool has what another publication sends.
absl::Status CheckPublication(const std::string& folder, const About& about, const std::string& publication);

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_ABOUT_H_
