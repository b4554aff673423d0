// What the tables of settings (settings.cc, access_settings.cc, kubernetes_settings.cc) do with a value alike. A status
// says only what is wrong with the value; the caller adds which setting it was.
#ifndef WALLABY_FLOW_SETTING_VALUES_H_
#define WALLABY_FLOW_SETTING_VALUES_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/units.h"

namespace wallaby {

inline absl::Status Refuse(std::string_view value, std::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat("got '", value, "'; allowed: ", allowed));
}

template <auto member, typename Target>
absl::Status SetText(const std::string& value, Target* settings) {
  settings->*member = value;
  return absl::OkStatus();
}

template <auto member, typename Target>
absl::Status SetFlag(const std::string& value, Target* settings) {
  ASSIGN_OR_RETURN(settings->*member, ParseBool(value));
  return absl::OkStatus();
}

}  // namespace wallaby

#endif  // WALLABY_FLOW_SETTING_VALUES_H_
