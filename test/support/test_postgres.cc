#include "test/support/test_postgres.h"

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <map>

#include "absl/strings/str_cat.h"
#include "test/support/server_of_the_run.h"

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

// "DSN<TAB>DIR" of a new server that lives as long as `owner` does.
std::string Start(int major, const std::vector<std::string>& settings, pid_t owner) {
  std::string command = absl::StrCat(Quoted(Script()), " start ", major, " --owner ", owner);
  for (const std::string& setting : settings) absl::StrAppend(&command, " -c ", Quoted(setting));
  std::string line = OutputOf(command);
  if (line.find('\t') == std::string::npos) Die("no DSN in: " + line);
  return line;
}

// The DSN of the server that the processes of this ctest run share; "" outside of one.
std::string SharedDsn(int major) {
  const std::string line =
      ServerOfTheRun(absl::StrCat("postgres-", major), [major](pid_t owner) { return Start(major, {}, owner); });
  return line.substr(0, line.find('\t'));
}

}  // namespace

TestPostgres& TestPostgres::Shared(int major) {
  static std::map<int, std::unique_ptr<TestPostgres>> servers;
  std::unique_ptr<TestPostgres>& server = servers[major];
  if (server == nullptr) {
    const char* given = std::getenv(absl::StrCat("WALLABY_TEST_POSTGRES_", major).c_str());
    const std::string dsn = given != nullptr && *given != '\0' ? given : SharedDsn(major);
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
  if (!dir_.empty()) OutputOf(absl::StrCat(Quoted(Script()), " stop ", Quoted(dir_)));
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
  OutputOf(absl::StrCat(Quoted(Script()), " halt ", Quoted(dir_), " ", mode));
}

void TestPostgres::Restart(const std::string& mode) {
  if (dir_.empty()) Die("a shared server is not to be restarted");
  OutputOf(absl::StrCat(Quoted(Script()), " restart ", Quoted(dir_), " ", mode));
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
