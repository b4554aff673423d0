#include "destination/push/pem_file.h"

#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace wallaby {

absl::Status ReadPemFile(const std::string& path, std::string_view option, std::string* out) {
  if (path.empty()) return absl::OkStatus();
  std::ifstream file(path, std::ios::binary);
  out->assign(std::istreambuf_iterator<char>(file), {});
  if (file.good() && out->find("-----BEGIN ") != std::string::npos) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(option, ": ", path, " cannot be read, or holds no PEM text (-----BEGIN ...)"));
}

}  // namespace wallaby
