#include "spool/why_full.h"

#include <unistd.h>

#include <cerrno>

#include "spool/file.h"

namespace wallaby {
namespace {

std::string Path(const SpoolOptions& options, const SpoolName& name) {
  return SpoolFolder(options, name) + "/FULL";
}

}  // namespace

absl::Status NoteWhySpoolFull(const SpoolOptions& options, const SpoolName& name, const std::string& why) {
  const std::string path = Path(options, name);
  if (!why.empty()) return spool::WriteFile(path, why);
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return spool::FileError("remove", path, errno);
}

std::string WhySpoolFull(const SpoolOptions& options, const SpoolName& name) {
  return spool::ReadFile(Path(options, name)).value_or("");
}

}  // namespace wallaby
