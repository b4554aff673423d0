#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "codec/schema_registry.h"

namespace wallaby {
namespace {

// Never shows the URL: it may hold what should not be shown.
absl::Status CheckUrl(const std::string& url) {
  const bool http = url.starts_with("http://") || url.starts_with("https://");
  if (!http) return absl::InvalidArgumentError("schema_registry_url must be http://host:port or https://host:port");
  const std::string_view authority = std::string_view(url).substr(url.find("://") + 3);
  if (authority.empty() || authority.front() == '/') {
    return absl::InvalidArgumentError("schema_registry_url names no host");
  }
  if (authority.substr(0, authority.find('/')).find('@') != std::string_view::npos) {
    return absl::InvalidArgumentError(
        "schema_registry_url holds a user; put it into schema_registry_username and schema_registry_password");
  }
  if (url.find_first_of("?# \t\r\n") != std::string::npos) {
    return absl::InvalidArgumentError("schema_registry_url has a query, a fragment or a space; leave it out");
  }
  return absl::OkStatus();
}

absl::Status CheckHeader(std::string_view name, const std::string& value) {
  if (value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " holds a line break"));
}

}  // namespace

absl::Status CheckRegistryOptions(const RegistryOptions& options) {
  const std::string& kind = options.kind;
  if (kind == "csr" || kind == "apicurio" || kind == "glue") {
    // Glue's may follow from the environment.
    if (kind != "glue" || !options.url.empty()) RETURN_IF_ERROR(CheckUrl(options.url));
    return CheckHeader("schema_registry_token", options.token);
  }
  if (kind == "postgres") {
    if (options.dsn.empty()) return absl::InvalidArgumentError("schema_registry_dsn is missing; it names the database");
    return absl::OkStatus();
  }
  if (kind == "local") {
    if (options.url.empty()) return absl::InvalidArgumentError("schema_registry_url is missing; it names a folder");
    return absl::OkStatus();
  }
  if (kind == "none") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("schema_registry: got '", kind, "'; allowed: csr, apicurio, glue, postgres, local or none"));
}

}  // namespace wallaby
