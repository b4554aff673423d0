// What the options of every kind of bucket have in common.
#ifndef WALLABY_DESTINATION_OBJECTS_OBJECT_OPTIONS_H_
#define WALLABY_DESTINATION_OBJECTS_OBJECT_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "destination/option_reader.h"

namespace wallaby {

// The option `name`, which stands before keys: "" or with a slash at its end. INVALID_ARGUMENT says what is allowed.
absl::StatusOr<std::string> ParseKeyPrefix(const OptionReader& reader, const std::string& name);

// The text of the file of PEM certificates that the option `name` names; "" without it. INVALID_ARGUMENT when it cannot
// be read.
absl::StatusOr<std::string> ReadCertificates(const OptionReader& reader, const std::string& name);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_OBJECTS_OBJECT_OPTIONS_H_
