// OptionReader: the options of one destination, and the words for what is wrong with one. SpecReader: the same, where
// the table of its type's options says what is allowed. And what several kinds of values look like.
#ifndef WALLABY_DESTINATION_OPTION_READER_H_
#define WALLABY_DESTINATION_OPTION_READER_H_

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/dsn.h"
#include "base/units.h"
#include "destination/destination.h"
#include "destination/option_specs.h"

namespace wallaby {

class OptionReader {
 public:
  // `config` must outlive the object.
  explicit OptionReader(const DestinationConfig& config) : config_(config) {}

  // Null when absent or empty.
  const std::string* Find(std::string_view name) const {
    const auto it = config_.options.find(std::string(name));
    return it == config_.options.end() || it->second.empty() ? nullptr : &it->second;
  }
  // "" when absent.
  std::string Text(std::string_view name) const {
    const std::string* text = Find(name);
    return text == nullptr ? "" : *text;
  }
  // "option roll_bytes of destination 'lake'"
  std::string Title(std::string_view name) const {
    return absl::StrCat("option ", name, " of destination '", config_.name, "'");
  }
  absl::Status Wrong(std::string_view name, std::string_view why) const {
    return absl::InvalidArgumentError(absl::StrCat(Title(name), ": ", why));
  }
  // Shows the value, but for what looks like a password in it: not for secrets.
  absl::Status Bad(std::string_view name, std::string_view allowed) const {
    return Wrong(name, absl::StrCat("got '", WithoutSecrets(*Find(name)), "'; allowed: ", allowed));
  }
  // Leaves `out` as it is when absent.
  absl::Status Flag(std::string_view name, bool* out) const {
    const std::string* text = Find(name);
    if (text == nullptr) return absl::OkStatus();
    const auto flag = ParseBool(*text);
    if (!flag.ok()) return Bad(name, "true or false");
    return *out = *flag, absl::OkStatus();
  }

 private:
  const DestinationConfig& config_;
};

class SpecReader : public OptionReader {
 public:
  // `config` and `specs` must outlive the object.
  SpecReader(const DestinationConfig& config, std::span<const OptionSpec> specs)
      : OptionReader(config), specs_(specs) {}

  // Null for a name that the type does not have.
  const OptionSpec* Spec(std::string_view name) const {
    const auto found = std::find_if(specs_.begin(), specs_.end(), [&](const OptionSpec& s) { return s.name == name; });
    return found == specs_.end() ? nullptr : &*found;
  }
  // Of a name that the type has. Shows the value, if it is no secret, but for what looks like a password in it.
  absl::Status Refusal(std::string_view name, std::string_view why = "") const {
    const OptionSpec* spec = Spec(name);
    const std::string got = spec->secret      ? "a secret value"
                            : spec->reference ? "a value that is not shown, as it may be a secret"
                                              : absl::StrCat("'", WithoutSecrets(Text(name)), "'");
    return Wrong(name, absl::StrCat("got ", got, why.empty() ? "" : ": ", why, "; allowed: ", spec->allowed));
  }

 private:
  std::span<const OptionSpec> specs_;
};

// True for what may stand in place of a secret until it is followed (flow/secret_reference.h).
inline bool IsReferenceText(std::string_view value) {
  return value.starts_with("env:") || value.starts_with("file:");
}

// True for an http or https URL without query and fragment, such as a server's.
inline bool IsServerUrl(std::string_view text) {
  return (text.starts_with("https://") || text.starts_with("http://")) && text.find_first_of("?# ") == text.npos;
}

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_OPTION_READER_H_
