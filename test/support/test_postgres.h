// TestPostgres: a throwaway PostgreSQL server of a given major version, for integration tests.
#ifndef WALLABY_TEST_SUPPORT_TEST_POSTGRES_H_
#define WALLABY_TEST_SUPPORT_TEST_POSTGRES_H_

#include <memory>
#include <string>
#include <vector>

#include "postgres/connection.h"

namespace wallaby {

// The server ends when the process does, however it ends. A server that does not start ends the test program.
class TestPostgres {
 public:
  // The one server of this major version that the tests of this process share, and under ctest those of all processes
  // of one run; wal_level=logical, 50 slots, 150 connections. Not to be halted. When WALLABY_TEST_POSTGRES_<MAJOR>
  // holds a DSN, that server is used instead of a new one.
  static TestPostgres& Shared(int major);

  // A server of one's own, with settings "name=value". May be halted and restarted.
  explicit TestPostgres(int major, const std::vector<std::string>& settings = {});
  ~TestPostgres();
  TestPostgres(const TestPostgres&) = delete;
  TestPostgres& operator=(const TestPostgres&) = delete;

  int major() const { return major_; }
  // Superuser's DSN of the database "postgres", a URI.
  const std::string& dsn() const { return dsn_; }
  // The same for another database and role.
  std::string Dsn(const std::string& database, const std::string& user = "postgres") const;

  // A new, empty database with a name that no other test uses; returns its DSN.
  std::string CreateDatabase(const std::string& options = "");

  // Ends the server (mode fast, immediate or smart) and keeps its data.
  void Halt(const std::string& mode = "fast");
  void Restart(const std::string& mode = "fast");

 private:
  TestPostgres(int major, std::string dsn, std::string dir);
  int major_;
  std::string dsn_;
  std::string dir_;  // empty: not this process's to stop
  int databases_ = 0;
};

// Connects or ends the test program.
std::unique_ptr<PgConnection> MustConnect(const std::string& dsn);
// Runs statements or ends the test program.
void MustExecute(PgConnection& sql, const std::string& statements);
// First column of the first row; "" for null or no rows.
std::string MustQuery(PgConnection& sql, const std::string& query);

}  // namespace wallaby

#endif  // WALLABY_TEST_SUPPORT_TEST_POSTGRES_H_
