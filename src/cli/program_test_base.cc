#include "cli/program_test_base.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace wallaby {
namespace {

std::string Read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> Environment(const std::map<std::string, std::string>& env) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (!name.starts_with("WALLABY_") && env.count(name) == 0) out.push_back(text);
  }
  for (const auto& [name, value] : env) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// The pid, 0 when the program cannot be run.
pid_t Spawn(const std::string& name, const std::vector<std::string>& args,
            const std::map<std::string, std::string>& env, const std::string& out, const std::string& err) {
  const char* bin = std::getenv("WALLABY_BIN_DIR");
  const std::string program = std::string(bin == nullptr ? WALLABY_DEFAULT_BIN_DIR : bin) + "/" + name;
  std::vector<std::string> words = {program};
  words.insert(words.end(), args.begin(), args.end());
  std::vector<std::string> variables = Environment(env);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  pid_t pid = 0;
  const int spawned =
      posix_spawn(&pid, program.c_str(), &files, nullptr, Pointers(words).data(), Pointers(variables).data());
  posix_spawn_file_actions_destroy(&files);
  EXPECT_EQ(spawned, 0) << program << " cannot be run; WALLABY_BIN_DIR may say where it is";
  return spawned == 0 ? pid : 0;
}

}  // namespace

ProgramTest::~ProgramTest() {
  if (server_ > 0) {
    kill(server_, SIGTERM);
    waitpid(server_, nullptr, 0);
  }
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::string ProgramTest::Folder() {
  if (folder_.empty()) {
    std::string name = std::filesystem::temp_directory_path() / "wallaby-cli-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  return folder_;
}

std::string ProgramTest::WriteFile(const std::string& name, const std::string& text) {
  const std::string path = Folder() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

Ran ProgramTest::Admin(const std::vector<std::string>& args, const std::map<std::string, std::string>& env) {
  std::map<std::string, std::string> variables = env;
  if (!endpoint_.empty()) variables.emplace("WALLABY_ENDPOINT", endpoint_);
  const std::string out = Folder() + "/stdout";
  const std::string err = Folder() + "/stderr";
  const pid_t pid = Spawn("wallaby-admin", args, variables, out, err);
  Ran ran;
  int status = 0;
  if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status)) ran.status = WEXITSTATUS(status);
  ran.out = Read(out);
  ran.err = Read(err);
  return ran;
}

void ProgramTest::StartServer() {
  const std::string log = Folder() + "/log";
  server_ = Spawn("wallaby", {}, {{"WALLABY_DATA_DIR", Folder() + "/data"}, {"WALLABY_GRPC_LISTEN", "127.0.0.1:0"}},
                  log, log);
  ASSERT_GT(server_, 0);
  // It says in its first line of log which port it was given.
  const absl::Time end = absl::Now() + absl::Seconds(30);
  constexpr std::string_view kPort = "\"port\":\"";
  while (endpoint_.empty() && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(20));
    const std::string text = Read(log);
    const size_t at = text.find(kPort);
    if (at == std::string::npos) continue;
    const size_t begin = at + kPort.size();
    endpoint_ = "127.0.0.1:" + text.substr(begin, text.find('"', begin) - begin);
  }
  ASSERT_NE(endpoint_, "") << Read(log);
}

}  // namespace wallaby
