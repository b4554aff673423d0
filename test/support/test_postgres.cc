#include "test/support/test_postgres.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace wallaby {
namespace {

[[noreturn]] void Die(std::string_view why) {
  std::cerr << "test server: " << why << std::endl;
  std::_Exit(1);
}

std::string Script() {
  const char* source = std::getenv("WALLABY_SOURCE_DIR");
  return absl::StrCat(source != nullptr ? source : WALLABY_DEFAULT_SOURCE_DIR, "/test/servers/postgres");
}

std::string Quoted(std::string_view word) {
  return absl::StrCat("'", word, "'");
}

// What the command printed; ends the program when it fails.
std::string Run(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) Die("cannot run " + command);
  std::string out;
  std::array<char, 4096> buffer;
  while (size_t got = fread(buffer.data(), 1, buffer.size(), pipe)) out.append(buffer.data(), got);
  if (pclose(pipe) != 0) Die("failed: " + command);
  absl::StripTrailingAsciiWhitespace(&out);
  return out;
}

// "DSN<TAB>DIR" of a new server that lives as long as `owner` does.
std::string Start(int major, const std::vector<std::string>& settings, pid_t owner) {
  std::string command = absl::StrCat(Quoted(Script()), " start ", major, " --owner ", owner);
  for (const std::string& setting : settings) absl::StrAppend(&command, " -c ", Quoted(setting));
  std::string line = Run(command);
  if (line.find('\t') == std::string::npos) Die("no DSN in: " + line);
  return line;
}

// ctest runs each test in a process of its own. The first of a run starts the server, on behalf of ctest itself, and
// leaves its address in a file for the others. "" when this process was not started by ctest.
std::string ServerOfTheRun(int major) {
  const pid_t run = getppid();
  std::string name;
  std::getline(std::ifstream(absl::StrCat("/proc/", run, "/comm")), name);
  if (name != "ctest") return "";
  const char* folder = std::getenv("TMPDIR");
  const std::string path = absl::StrCat(folder != nullptr && *folder != '\0' ? folder : "/tmp",
                                        "/wallaby-test-postgres-", getuid(), "-", run, "-", major);
  // Closed in children, or the server would hold the lock.
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || flock(file, LOCK_EX) != 0) Die("cannot lock " + path);
  char buffer[512];
  const ssize_t got = read(file, buffer, sizeof(buffer));
  std::string line(buffer, got > 0 ? static_cast<size_t>(got) : 0);
  const size_t tab = line.find('\t');
  // An older run with the same process id may have left the file.
  if (tab == std::string::npos || access(line.substr(tab + 1).c_str(), F_OK) != 0) {
    line = Start(major, {}, run);
    if (ftruncate(file, 0) != 0 || pwrite(file, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size())) {
      Die("cannot write " + path);
    }
  }
  close(file);
  return line.substr(0, line.find('\t'));
}

}  // namespace

TestPostgres& TestPostgres::Shared(int major) {
  static std::map<int, std::unique_ptr<TestPostgres>> servers;
  std::unique_ptr<TestPostgres>& server = servers[major];
  if (server == nullptr) {
    const char* given = std::getenv(absl::StrCat("WALLABY_TEST_POSTGRES_", major).c_str());
    const std::string dsn = given != nullptr && *given != '\0' ? given : ServerOfTheRun(major);
    server.reset(dsn.empty() ? new TestPostgres(major) : new TestPostgres(major, dsn, ""));
  }
  return *server;
}

TestPostgres::TestPostgres(int major, std::string dsn, std::string dir)
    : major_(major), dsn_(std::move(dsn)), dir_(std::move(dir)) {}

TestPostgres::TestPostgres(int major, const std::vector<std::string>& settings) : major_(major) {
  const std::string line = Start(major, settings, getpid());
  const size_t tab = line.find('\t');
  dsn_ = line.substr(0, tab);
  dir_ = line.substr(tab + 1);
}

TestPostgres::~TestPostgres() {
  if (!dir_.empty()) Run(absl::StrCat(Quoted(Script()), " stop ", Quoted(dir_)));
}

std::string TestPostgres::Dsn(const std::string& database, const std::string& user) const {
  const size_t at = dsn_.find('@');
  const size_t slash = dsn_.find('/', at);
  return absl::StrCat("postgres://", user, dsn_.substr(at, slash - at), "/", database);
}

std::string TestPostgres::CreateDatabase(const std::string& options) {
  const std::string name = absl::StrCat("test_", getpid(), "_", ++databases_);
  MustExecute(*MustConnect(dsn_), absl::StrCat("CREATE DATABASE ", name, " ", options));
  return Dsn(name);
}

void TestPostgres::Halt(const std::string& mode) {
  if (dir_.empty()) Die("a shared server is not to be halted");
  Run(absl::StrCat(Quoted(Script()), " halt ", Quoted(dir_), " ", mode));
}

void TestPostgres::Restart(const std::string& mode) {
  if (dir_.empty()) Die("a shared server is not to be restarted");
  Run(absl::StrCat(Quoted(Script()), " restart ", Quoted(dir_), " ", mode));
}

std::unique_ptr<PgConnection> MustConnect(const std::string& dsn) {
  auto connection = PgConnection::Connect(dsn);
  if (!connection.ok()) Die(connection.status().ToString());
  return *std::move(connection);
}

void MustExecute(PgConnection& sql, const std::string& statements) {
  const absl::Status status = sql.Execute(statements);
  if (!status.ok()) Die(status.ToString());
}

std::string MustQuery(PgConnection& sql, const std::string& query) {
  auto rows = sql.Query(query);
  if (!rows.ok()) Die(rows.status().ToString());
  return rows->size() == 0 ? "" : std::string(rows->Text(0, 0));
}

}  // namespace wallaby
