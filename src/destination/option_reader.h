// OptionReader: the options of one destination, and the words for what is wrong with one.
#ifndef WALLABY_DESTINATION_OPTION_READER_H_
#define WALLABY_DESTINATION_OPTION_READER_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "destination/destination.h"

namespace wallaby {

class OptionReader {
 public:
  // `config` must outlive the object.
  explicit OptionReader(const DestinationConfig& config) : config_(config) {}

  // Null when absent or empty.
  const std::string* Find(const std::string& name) const {
    const auto it = config_.options.find(name);
    return it == config_.options.end() || it->second.empty() ? nullptr : &it->second;
  }
  // "option roll_bytes of destination 'lake'"
  std::string Title(std::string_view name) const {
    return absl::StrCat("option ", name, " of destination '", config_.name, "'");
  }
  absl::Status Wrong(std::string_view name, std::string_view why) const {
    return absl::InvalidArgumentError(absl::StrCat(Title(name), ": ", why));
  }
  // Shows the value: not for secrets.
  absl::Status Bad(const std::string& name, std::string_view allowed) const {
    return Wrong(name, absl::StrCat("got '", *Find(name), "'; allowed: ", allowed));
  }

 private:
  const DestinationConfig& config_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_OPTION_READER_H_
