// Files of certificates and keys that an option names.
#ifndef WALLABY_DESTINATION_PUSH_PEM_FILE_H_
#define WALLABY_DESTINATION_PUSH_PEM_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace wallaby {

// The file's text; nothing for an empty path. FAILED_PRECONDITION names the option and the file.
absl::Status ReadPemFile(const std::string& path, std::string_view option, std::string* out);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PUSH_PEM_FILE_H_
