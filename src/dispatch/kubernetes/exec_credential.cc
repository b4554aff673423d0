#include "dispatch/kubernetes/exec_credential.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status.h"
#include "dispatch/kubernetes/json_fields.h"

extern char** environ;

namespace wallaby {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(30);
constexpr size_t kMaxOutput = 1 << 20;
constexpr size_t kShownError = 300;

class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  ~Pipe() {
    CloseEnd(0);
    CloseEnd(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void CloseEnd(size_t end) {
    if (ends_[end] >= 0) close(ends_[end]);
    ends_[end] = -1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

std::vector<std::string> Environment(const ExecPlugin& plugin, const std::string& server, const std::string& ca) {
  Json info = {{"apiVersion", plugin.api_version}, {"kind", "ExecCredential"}, {"spec", {{"interactive", false}}}};
  if (plugin.provide_cluster) {
    info["spec"]["cluster"] = {{"server", server}};
    if (!ca.empty()) info["spec"]["cluster"]["certificate-authority-data"] = absl::Base64Escape(ca);
  }
  std::vector<std::string> environment;
  for (const auto& [name, value] : plugin.env) environment.push_back(absl::StrCat(name, "=", value));
  environment.push_back(absl::StrCat("KUBERNETES_EXEC_INFO=", info.dump()));
  // The first of two entries with one name counts.
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  return environment;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

absl::StatusOr<pid_t> Spawn(const ExecPlugin& plugin, std::vector<std::string> environment, const Pipe& out,
                            const Pipe& err) {
  std::vector<std::string> words = {plugin.command};
  words.insert(words.end(), plugin.args.begin(), plugin.args.end());
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.writer(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.writer(), STDERR_FILENO);
  // The server blocks the signals that end it; its children must not inherit that.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int failed = posix_spawnp(&pid, plugin.command.c_str(), &actions, &attributes, Pointers(words).data(),
                                  Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed == 0) return pid;
  return absl::FailedPreconditionError(
      absl::StrCat("cannot be run: ", std::strerror(failed), plugin.install_hint.empty() ? "" : "; ",
                   plugin.install_hint.empty() ? "install it, or correct the kubeconfig" : plugin.install_hint));
}

// Reads what is there. False at the end.
bool ReadSome(int fd, std::string* text) {
  char buffer[4096];
  const ssize_t got = read(fd, buffer, sizeof(buffer));
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  text->append(buffer, static_cast<size_t>(got));
  return got > 0 && text->size() <= kMaxOutput;
}

// Both outputs until they end. False when that took too long.
bool ReadOutputs(const Pipe& out, const Pipe& err, std::string* text, std::string* errors) {
  const absl::Duration deadline = Clock::Real()->Monotonic() + kLimit;
  std::array<pollfd, 2> fds = {{{out.reader(), POLLIN, 0}, {err.reader(), POLLIN, 0}}};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    const absl::Duration left = deadline - Clock::Real()->Monotonic();
    if (left <= absl::ZeroDuration()) return false;
    if (poll(fds.data(), fds.size(), static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) <= 0) continue;
    if (fds[0].revents != 0 && !ReadSome(fds[0].fd, text)) fds[0].fd = -1;
    if (fds[1].revents != 0 && !ReadSome(fds[1].fd, errors)) fds[1].fd = -1;
  }
  return true;
}

absl::StatusOr<ExecCredential> Parse(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (TextField(json, "kind") != "ExecCredential" || !Field(json, "status").is_object()) {
    return absl::FailedPreconditionError("printed no ExecCredential with a status");
  }
  const Json& status = Field(json, "status");
  ExecCredential credential;
  credential.token = TextField(status, "token");
  credential.cert = TextField(status, "clientCertificateData");
  credential.key = TextField(status, "clientKeyData");
  if (credential.token.empty() && credential.cert.empty()) {
    return absl::FailedPreconditionError("printed neither a token nor a client certificate");
  }
  if (const std::string expires = TextField(status, "expirationTimestamp"); !expires.empty()) {
    std::string error;
    if (!absl::ParseTime(absl::RFC3339_full, expires, &credential.expires, &error)) {
      return absl::FailedPreconditionError(absl::StrCat("printed an expirationTimestamp that is no time: ", expires));
    }
  }
  return credential;
}

absl::StatusOr<ExecCredential> Run(const ExecPlugin& plugin, std::vector<std::string> environment) {
  Pipe out;
  Pipe err;
  if (out.reader() < 0 || err.reader() < 0) return absl::ResourceExhaustedError("no file descriptor is left");
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(plugin, std::move(environment), out, err));
  out.CloseEnd(1);
  err.CloseEnd(1);
  std::string text;
  std::string errors;
  const bool ended = ReadOutputs(out, err, &text, &errors);
  if (!ended) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) return absl::DeadlineExceededError("has printed nothing for half a minute");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::UnavailableError(absl::StrCat("failed: ", errors.substr(0, kShownError)));
  }
  return Parse(text);
}

}  // namespace

absl::StatusOr<ExecCredential> RunExecPlugin(const ExecPlugin& plugin, const std::string& server,
                                             const std::string& ca) {
  absl::StatusOr<ExecCredential> credential = Run(plugin, Environment(plugin, server, ca));
  if (credential.ok()) return credential;
  return Annotate(credential.status(), absl::StrCat("credential plugin ", plugin.command));
}

}  // namespace wallaby
