#include "destination/objects/object_options.h"

#include <fstream>
#include <sstream>
#include <utility>

namespace wallaby {

absl::StatusOr<std::string> ParseKeyPrefix(const OptionReader& reader, const std::string& name) {
  std::string prefix = reader.Text(name);
  // Between slashes, as some stores and most readers take "a//b" and "./b" for other names than they look.
  if (prefix.starts_with('/') || prefix.find("//") != prefix.npos || prefix.find("./") != prefix.npos) {
    return reader.Bad(name, "names with a slash between them, like lake/orders");
  }
  if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
  return prefix;
}

absl::StatusOr<std::string> ReadCertificates(const OptionReader& reader, const std::string& name) {
  const std::string* path = reader.Find(name);
  if (path == nullptr) return "";
  std::ifstream file(*path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return reader.Bad(name, "a file of PEM certificates; this one cannot be read");
  return std::move(text).str();
}

}  // namespace wallaby
