#include "flow/secret_reference.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/dsn.h"
#include "base/status.h"
#include "destination/options.h"
#include "postgres/source_options.h"

namespace wallaby {
namespace {

constexpr std::string_view kEnv = "env:";
constexpr std::string_view kFile = "file:";
constexpr size_t kMaxSecret = 64 << 10;

bool IsVariableName(std::string_view name) {
  return !name.empty() && name.size() <= 256 && !absl::ascii_isdigit(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

bool IsPath(std::string_view path) {
  return path.size() > 1 && path[0] == '/' && path.back() != '/' &&
         std::none_of(path.begin(), path.end(), absl::ascii_iscntrl);
}

template <typename Specs>
bool MarkedSecret(const Specs& specs, std::string_view option) {
  return std::any_of(specs.begin(), specs.end(), [&](const auto& spec) { return spec.name == option && spec.secret; });
}

// Null for what this build does not know.
const OptionSpec* SpecOf(const Endpoint& endpoint, std::string_view option) {
  const auto specs = DestinationOptions(endpoint.type);
  if (!specs.ok()) return nullptr;
  const auto found = std::find_if(specs->begin(), specs->end(), [&](const auto& spec) { return spec.name == option; });
  return found == specs->end() ? nullptr : &*found;
}

std::string Subject(std::string_view option, const Endpoint& endpoint, EndpointKind kind) {
  return absl::StrCat("option ", option, " of ", kind == EndpointKind::kSource ? "source" : "destination", " '",
                      endpoint.name, "'");
}

absl::StatusOr<std::string> Variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value != nullptr && *value != '\0') return std::string(value);
  return absl::FailedPreconditionError(absl::StrCat(
      "the environment variable ", name, " is not set here; set it for the program that runs the flow: for the server ",
      "and the workers that it starts, or, with Kubernetes Jobs, in the Secret of WALLABY_K8S_JOB_ENV_FROM"));
}

absl::StatusOr<std::string> FileText(const std::string& path) {
  const auto refuse = [&](std::string_view why) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the file ", path, " ", why, "; put the secret there on the machine, or in the pod, that runs the flow"));
  };
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return refuse(absl::StrCat("cannot be read here (", std::strerror(errno), ")"));
  std::string text(kMaxSecret + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kMaxSecret) return refuse("has more than 64 KiB");
  // Editors and echo end a file with a new line.
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.empty()) return refuse("is empty");
  if (text.find('\0') != text.npos) return refuse("holds a zero byte");
  return text;
}

absl::StatusOr<std::string> Resolve(std::string_view reference) {
  if (reference.starts_with(kEnv)) return Variable(std::string(reference.substr(kEnv.size())));
  return FileText(std::string(reference.substr(kFile.size())));
}

// libpq: within quotes a backslash stands before quotes and backslashes.
std::string QuotedForPairs(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string EncodedForUri(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

// The text of a secret within a connection string, without quotes around it.
std::string_view Bare(std::string_view text) {
  if (text.size() >= 2 && text.front() == '\'' && text.back() == '\'') text = text.substr(1, text.size() - 2);
  return text;
}

absl::StatusOr<std::string> ResolveParts(const std::string& dsn) {
  const DsnScan scan = ScanDsn(dsn);
  std::string out;
  size_t done = 0;
  for (const DsnSecret& secret : scan.secrets) {
    const std::string_view part = Bare(std::string_view(dsn).substr(secret.begin, secret.end - secret.begin));
    if (!IsReference(part)) continue;
    ASSIGN_OR_RETURN(const std::string text, Resolve(part));
    out.append(dsn, done, secret.begin - done);
    out.append(scan.is_uri ? EncodedForUri(text) : QuotedForPairs(text));
    done = secret.end;
  }
  return out.append(dsn, done);
}

// The references of a value: itself, or secrets within.
std::vector<std::string_view> ReferencesIn(std::string_view value, bool is_dsn) {
  if (value.starts_with(kEnv) || value.starts_with(kFile)) return {value};
  std::vector<std::string_view> found;
  if (!is_dsn) return found;
  for (const DsnSecret& secret : ScanDsn(value).secrets) {
    const std::string_view part = Bare(value.substr(secret.begin, secret.end - secret.begin));
    if (IsReference(part)) found.push_back(part);
  }
  return found;
}

absl::Status CheckForm(std::string_view reference) {
  // Not the value itself: it may be a secret that begins so by chance.
  if (!IsReference(reference)) {
    return absl::InvalidArgumentError(
        "begins like a reference and is none; allowed: env:NAME with the name of an environment variable, file:/PATH "
        "with an absolute path");
  }
  if (reference.starts_with("env:WALLABY_")) {
    return absl::InvalidArgumentError(
        "refers to a variable of WALlaby itself; give the secret a variable of its own, whose name does not begin with "
        "WALLABY_");
  }
  return absl::OkStatus();
}

}  // namespace

bool IsDsnOption(std::string_view option) {
  return option == "dsn" || option.ends_with("_dsn");
}

bool IsSecretOption(const Endpoint& endpoint, std::string_view option, EndpointKind kind) {
  if (IsDsnOption(option)) return false;
  if (IsSecretName(option)) return true;
  if (kind == EndpointKind::kSource) return MarkedSecret(SourceOptionSpecs(), option);
  const OptionSpec* spec = SpecOf(endpoint, option);
  return spec != nullptr && spec->secret;
}

bool MayBeReference(const Endpoint& endpoint, std::string_view option, EndpointKind kind) {
  if (IsDsnOption(option) || IsSecretOption(endpoint, option, kind)) return true;
  const OptionSpec* spec = kind == EndpointKind::kDestination ? SpecOf(endpoint, option) : nullptr;
  return spec != nullptr && spec->reference;
}

bool DecidesServer(const Endpoint& endpoint, std::string_view option, EndpointKind kind) {
  if (IsDsnOption(option) || kind == EndpointKind::kSource) return false;
  const OptionSpec* spec = SpecOf(endpoint, option);
  // Of types that this build does not know, every option may decide.
  return spec == nullptr ? !IsSecretOption(endpoint, option, kind) : spec->server;
}

bool IsReference(std::string_view value) {
  if (value.starts_with(kEnv)) return IsVariableName(value.substr(kEnv.size()));
  return value.starts_with(kFile) && IsPath(value.substr(kFile.size()));
}

absl::Status CheckReferences(const Endpoint& endpoint, EndpointKind kind) {
  for (const auto& [option, value] : endpoint.options) {
    const bool is_dsn = IsDsnOption(option);
    if (!MayBeReference(endpoint, option, kind)) {
      if (!value.starts_with(kEnv) || !IsReference(value)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(Subject(option, endpoint, kind),
                       ": only connection strings, secrets and URLs of webhooks can be references; give the value"));
    }
    for (const std::string_view reference : ReferencesIn(value, is_dsn)) {
      RETURN_IF_ERROR(Annotate(CheckForm(reference), Subject(option, endpoint, kind)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Options> ResolvedOptions(const Endpoint& endpoint, EndpointKind kind) {
  Options options = endpoint.options;
  for (auto& [option, value] : options) {
    const bool is_dsn = IsDsnOption(option);
    if (!MayBeReference(endpoint, option, kind)) continue;
    const std::vector<std::string_view> references = ReferencesIn(value, is_dsn);
    if (references.empty()) continue;
    // The store may have been written by other means than the checks of a flow.
    for (const std::string_view reference : references) {
      RETURN_IF_ERROR(Annotate(CheckForm(reference), Subject(option, endpoint, kind)));
    }
    absl::StatusOr<std::string> resolved = IsReference(value) ? Resolve(value) : ResolveParts(value);
    if (!resolved.ok()) return Annotate(resolved.status(), Subject(option, endpoint, kind));
    value = *std::move(resolved);
  }
  return options;
}

}  // namespace wallaby
