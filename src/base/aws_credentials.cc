#include "base/aws_credentials.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/environment.h"
#include "base/status.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kRenewBefore = absl::Minutes(5);
// A machine that is no cloud's has nobody at that address, and must not wait long for it.
constexpr absl::Duration kMetadataTimeout = absl::Seconds(2);

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return absl::NotFoundError(absl::StrCat(path, " cannot be read"));
  return std::move(text).str();
}

std::string Encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-_.~", c)) {
      out.push_back(c);
    } else {
      absl::StrAppend(&out, "%", absl::AsciiStrToUpper(absl::BytesToHexString({&c, 1})));
    }
  }
  return out;
}

// What stands in <name>...</name> of an answer of STS.
std::string Between(std::string_view xml, std::string_view name) {
  const std::string open = absl::StrCat("<", name, ">"), close = absl::StrCat("</", name, ">");
  const size_t from = xml.find(open);
  const size_t to = from == xml.npos ? xml.npos : xml.find(close, from);
  return to == xml.npos ? "" : std::string(xml.substr(from + open.size(), to - from - open.size()));
}

// What is set in the environment without what belongs to it: to look further would use keys that nobody meant.
absl::Status Half(const char* set, const char* missing) {
  return absl::UnauthenticatedError(
      absl::StrCat(set, " is set in the worker's environment and ", missing, " is not; set both, or neither"));
}

absl::StatusOr<absl::Time> ParseExpiration(const std::string& text, const std::string& place) {
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return time;
  return absl::UnavailableError(absl::StrCat(place, ": its keys' end '", text, "' is no time"));
}

}  // namespace

AwsCredentialSource::AwsCredentialSource(AwsCredentials given)
    : given_(!given.access_key.empty()), credentials_(std::move(given)) {
  if (given_) until_ = absl::InfiniteFuture();
}

absl::StatusOr<AwsCredentials> AwsCredentialSource::Get() {
  if (absl::Now() + kRenewBefore >= until_) RETURN_IF_ERROR(Find());
  return credentials_;
}

bool AwsCredentialSource::Renew() {
  if (!given_) until_ = absl::InfinitePast();
  return !given_;
}

absl::Status AwsCredentialSource::Find() {
  for (const auto from :
       {&AwsCredentialSource::FromEnvironmentKeys, &AwsCredentialSource::FromWebIdentity,
        &AwsCredentialSource::FromProfile, &AwsCredentialSource::FromContainer, &AwsCredentialSource::FromInstance}) {
    const absl::Status status = (this->*from)();
    if (!absl::IsNotFound(status)) return status;
  }
  return absl::UnauthenticatedError(
      "there are no keys: give access_key and secret_key, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
      "AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN, a profile in ~/.aws/credentials, or give the task or instance a "
      "role");
}

absl::Status AwsCredentialSource::FromEnvironmentKeys() {
  AwsCredentials found{FromEnvironment("AWS_ACCESS_KEY_ID"), FromEnvironment("AWS_SECRET_ACCESS_KEY"),
                       FromEnvironment("AWS_SESSION_TOKEN")};
  if (found.access_key.empty() && found.secret_key.empty()) return absl::NotFoundError("");
  if (found.access_key.empty()) return Half("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID");
  if (found.secret_key.empty()) return Half("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
  credentials_ = std::move(found);
  until_ = absl::InfiniteFuture();
  return absl::OkStatus();
}

absl::Status AwsCredentialSource::FromWebIdentity() {
  const std::string path = FromEnvironment("AWS_WEB_IDENTITY_TOKEN_FILE"), role = FromEnvironment("AWS_ROLE_ARN");
  if (path.empty()) return absl::NotFoundError("");  // a role alone means a profile's, for other tools
  if (role.empty()) return Half("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN");
  auto token = ReadWhole(path);
  if (!token.ok())
    return absl::UnauthenticatedError(absl::StrCat("AWS_WEB_IDENTITY_TOKEN_FILE: ", path, " cannot be read"));
  std::string session = FromEnvironment("AWS_ROLE_SESSION_NAME"), region = FromEnvironment("AWS_REGION");
  if (session.empty()) session = "wallaby";
  if (region.empty()) region = FromEnvironment("AWS_DEFAULT_REGION");
  std::string url = FromEnvironment("AWS_ENDPOINT_URL_STS");
  if (url.empty()) {
    url = region.empty()
              ? "https://sts.amazonaws.com"
              : absl::StrCat("https://sts.", region, ".amazonaws.com", region.starts_with("cn-") ? ".cn" : "");
  }
  const std::string place = absl::StrCat("STS at ", url);
  ASSIGN_OR_RETURN(const std::string answer,
                   Ask({.method = "POST",
                        .url = url + "/",
                        .headers = {"Content-Type: application/x-www-form-urlencoded"},
                        .body = absl::StrCat("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=",
                                             Encoded(role), "&RoleSessionName=", Encoded(session),
                                             "&WebIdentityToken=", Encoded(absl::StripAsciiWhitespace(*token)))},
                       place));
  AwsCredentials found{Between(answer, "AccessKeyId"), Between(answer, "SecretAccessKey"),
                       Between(answer, "SessionToken")};
  if (found.access_key.empty()) return absl::UnavailableError(absl::StrCat(place, ": there are no keys in its answer"));
  ASSIGN_OR_RETURN(until_, ParseExpiration(Between(answer, "Expiration"), place));
  credentials_ = std::move(found);
  return absl::OkStatus();
}

absl::Status AwsCredentialSource::FromProfile() {
  std::string path = FromEnvironment("AWS_SHARED_CREDENTIALS_FILE"), wanted = FromEnvironment("AWS_PROFILE");
  if (path.empty()) path = FromEnvironment("HOME") + "/.aws/credentials";
  const bool named = !wanted.empty();
  if (!named) wanted = "default";
  std::ifstream file(path);
  AwsCredentials found;
  bool inside = false;
  for (std::string raw; std::getline(file, raw);) {
    const std::string_view line = absl::StripAsciiWhitespace(raw);
    if (line.starts_with('[')) inside = line == absl::StrCat("[", wanted, "]");
    const size_t equals = line.find('=');
    if (!inside || equals == line.npos) continue;
    const std::string_view name = absl::StripAsciiWhitespace(line.substr(0, equals));
    const std::string_view value = absl::StripAsciiWhitespace(line.substr(equals + 1));
    if (name == "aws_access_key_id") found.access_key = value;
    if (name == "aws_secret_access_key") found.secret_key = value;
    if (name == "aws_session_token") found.session_token = value;
  }
  if (found.access_key.empty() != found.secret_key.empty()) {
    return absl::UnauthenticatedError(absl::StrCat("profile ", wanted, " in ", path, " has ",
                                                   found.secret_key.empty()
                                                       ? "aws_access_key_id and no aws_secret_access_key"
                                                       : "aws_secret_access_key and no aws_access_key_id",
                                                   "; give both, or neither"));
  }
  if (found.access_key.empty()) {
    if (!named) return absl::NotFoundError("");
    return absl::UnauthenticatedError(absl::StrCat("AWS_PROFILE: there are no keys of profile ", wanted, " in ", path));
  }
  credentials_ = std::move(found);
  until_ = absl::InfiniteFuture();
  return absl::OkStatus();
}

absl::Status AwsCredentialSource::FromContainer() {
  std::string url = FromEnvironment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  const std::string below = FromEnvironment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  if (url.empty() && below.empty()) return absl::NotFoundError("");
  if (url.empty()) url = "http://169.254.170.2" + below;
  HttpRequest request{.url = url};
  std::string token = FromEnvironment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string path = FromEnvironment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !path.empty()) {
    ASSIGN_OR_RETURN(token, ReadWhole(path));
  }
  if (!token.empty()) {
    request.headers.push_back(absl::StrCat("Authorization: ", absl::StripAsciiWhitespace(token)));
  }
  const std::string place = absl::StrCat("the container's keys at ", url);
  ASSIGN_OR_RETURN(const std::string answer, Ask(std::move(request), place));
  return FromJson(answer, place);
}

absl::Status AwsCredentialSource::FromInstance() {
  if (absl::EqualsIgnoreCase(FromEnvironment("AWS_EC2_METADATA_DISABLED"), "true")) return absl::NotFoundError("");
  std::string base = FromEnvironment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base.empty()) base = "http://169.254.169.254";
  while (base.ends_with('/')) base.pop_back();
  const std::string place = absl::StrCat("the instance's metadata at ", base);
  auto token = Ask({.method = "PUT",
                    .url = base + "/latest/api/token",
                    .headers = {"x-aws-ec2-metadata-token-ttl-seconds: 21600", "Content-Length: 0"},
                    .timeout = kMetadataTimeout},
                   place);
  if (!token.ok()) return absl::NotFoundError("");  // no such machine
  const std::string roles = base + "/latest/meta-data/iam/security-credentials/";
  const std::string header = absl::StrCat("x-aws-ec2-metadata-token: ", *token);
  auto role = Ask({.url = roles, .headers = {header}, .timeout = kMetadataTimeout}, place);
  if (!role.ok()) return role.status();
  const std::string name(absl::StripAsciiWhitespace(role->substr(0, role->find('\n'))));
  ASSIGN_OR_RETURN(const std::string answer,
                   Ask({.url = roles + name, .headers = {header}, .timeout = kMetadataTimeout}, place));
  return FromJson(answer, place);
}

absl::Status AwsCredentialSource::FromJson(const std::string& body, const std::string& place) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  const auto text = [&](const char* name) {
    const auto found = json.is_object() ? json.find(name) : json.end();
    return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>() : "";
  };
  AwsCredentials found{text("AccessKeyId"), text("SecretAccessKey"), text("Token")};
  if (found.access_key.empty() || found.secret_key.empty()) {
    return absl::UnavailableError(absl::StrCat(place, ": there are no keys in its answer"));
  }
  ASSIGN_OR_RETURN(until_, ParseExpiration(text("Expiration"), place));
  credentials_ = std::move(found);
  return absl::OkStatus();
}

absl::StatusOr<std::string> AwsCredentialSource::Ask(HttpRequest request, const std::string& place) {
  absl::StatusOr<HttpResponse> response = http_.Send(request, {}, never_);
  if (!response.ok()) return Annotate(response.status(), place);
  if (response->status / 100 == 2) return std::move(response->body);
  if (response->status == 404) return absl::NotFoundError("");
  const std::string text = absl::StrCat(place, " answers ", response->status, ": ", response->body.substr(0, 400));
  return response->status >= 500 || response->status == 429 ? absl::UnavailableError(text)
                                                            : absl::UnauthenticatedError(text);
}

}  // namespace wallaby
