#include "access/access.h"

#include <sys/stat.h>

#include <mutex>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "telemetry/log.h"

namespace wallaby {
namespace {

constexpr absl::Duration kLookInterval = absl::Seconds(1);
constexpr char kAnonymous[] = "anonymous";

// When a file is another one, or has other content. Mounted secrets are replaced by a link that points elsewhere.
struct FileStamp {
  ino_t inode = 0;
  int64_t size = -1;
  int64_t changed_nanos = 0;

  static FileStamp Of(const std::string& path) {
    struct stat info = {};
    if (path.empty() || stat(path.c_str(), &info) != 0) return {};
    return {info.st_ino, info.st_size, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
  }
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

// "Bearer TOKEN" of RFC 6750, whose first word has no case.
std::string_view BearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (!absl::StartsWithIgnoreCase(authorization, kScheme)) return "";
  return absl::StripAsciiWhitespace(authorization.substr(kScheme.size()));
}

class AccessOfSettings final : public Access {
 public:
  explicit AccessOfSettings(const AccessSettings& settings)
      : settings_(settings),
        takes_tokens_(!settings.tokens.empty() || !settings.tokens_file.empty()),
        takes_certificates_(!settings.tls_client_ca_file.empty()) {}

  absl::Status Begin() {
    if (!settings_.tokens_file.empty()) {
      stamp_ = FileStamp::Of(settings_.tokens_file);
      ASSIGN_OR_RETURN(tokens_, Tokens::Load(settings_.tokens_file));
    } else if (!settings_.tokens.empty()) {
      ASSIGN_OR_RETURN(tokens_, Tokens::Parse(settings_.tokens, "WALLABY_TOKENS"));
    }
    looked_ = absl::Now();
    return absl::OkStatus();
  }

  absl::StatusOr<Principal> Identify(const Credentials& credentials) override {
    if (!takes_tokens_ && !takes_certificates_) return Principal{kAnonymous, Role::kAdmin};
    // A token that is sent to a server which knows none is no reason to refuse a good certificate.
    if (!credentials.authorization.empty() && takes_tokens_) return ByToken(credentials.authorization);
    if (!credentials.has_certificate) return Principal{kAnonymous, Role::kNone};
    Principal principal{absl::StrCat("certificate:", credentials.common_name), Role::kNone};
    if (const auto found = settings_.tls_client_roles.find(credentials.common_name);
        found != settings_.tls_client_roles.end()) {
      principal.role = found->second;
    } else if (settings_.tls_client_roles.empty() && !takes_tokens_) {
      principal.role = Role::kAdmin;
    }
    return principal;
  }

  absl::Status Permit(const Principal& principal, Role needed, std::string_view what) const override {
    if (principal.role >= needed) return absl::OkStatus();
    const std::string need = absl::StrCat(what, " needs the role ", RoleName(needed));
    if (principal.role != Role::kNone) {
      return absl::PermissionDeniedError(
          absl::StrCat(need, "; ", principal.name, " has the role ", RoleName(principal.role)));
    }
    if (takes_tokens_) {
      return absl::UnauthenticatedError(
          absl::StrCat(need, "; send a token of that role as `authorization: Bearer TOKEN`"));
    }
    if (principal.name == kAnonymous) {
      return absl::UnauthenticatedError(absl::StrCat(need, "; show a client certificate"));
    }
    return absl::PermissionDeniedError(
        absl::StrCat(need, "; ", principal.name, " has none: WALLABY_TLS_CLIENT_ROLES does not name it"));
  }

 private:
  absl::StatusOr<Principal> ByToken(std::string_view authorization) {
    const std::string_view token = BearerToken(authorization);
    if (token.empty()) {
      return absl::UnauthenticatedError("the authorization header is not `Bearer TOKEN`");
    }
    std::lock_guard lock(mutex_);
    ReadAgainIfChanged();
    const Principal* principal = tokens_.Find(token);
    if (principal == nullptr) return absl::UnauthenticatedError("the token is not one that this server knows");
    return *principal;
  }

  void ReadAgainIfChanged() {
    const absl::Time now = absl::Now();
    if (settings_.tokens_file.empty() || now - looked_ < kLookInterval) return;
    looked_ = now;
    const FileStamp stamp = FileStamp::Of(settings_.tokens_file);
    if (stamp == stamp_) return;
    stamp_ = stamp;
    absl::StatusOr<Tokens> tokens = Tokens::Load(settings_.tokens_file);
    if (tokens.ok()) {
      tokens_ = *std::move(tokens);
      Log(LogLevel::kInfo, "tokens read again", {{"file", settings_.tokens_file}});
    } else {
      Log(LogLevel::kError, "the new tokens are not taken; those from before hold",
          {{"error", std::string(tokens.status().message())}});
    }
  }

  const AccessSettings settings_;
  const bool takes_tokens_;
  const bool takes_certificates_;
  std::mutex mutex_;  // guards the rest
  Tokens tokens_;
  FileStamp stamp_;
  absl::Time looked_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Access>> Access::Make(const AccessSettings& settings) {
  auto access = std::make_unique<AccessOfSettings>(settings);
  RETURN_IF_ERROR(access->Begin());
  return std::unique_ptr<Access>(std::move(access));
}

}  // namespace wallaby
