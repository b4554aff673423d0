// DuckDB through ADBC: one database file, connections to it, statements and bulk loads. The only place that knows ADBC.
//
// DuckDB's file lock belongs to the process, and a second open of the same file by the same process is not refused and
// ends in a damaged file. So all who open one path in this process share one DuckdbDatabase.
#ifndef WALLABY_DESTINATION_DUCKDB_DATABASE_H_
#define WALLABY_DESTINATION_DUCKDB_DATABASE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace wallaby {

class RowStream;

struct DuckdbSettings {
  int64_t memory_limit = 512 << 20;
  int threads = 0;  // 0: DuckDB decides
};

// A database file that this process has open. Safe from any thread. Closed, and the file's lock given back, with the
// last pointer.
class DuckdbDatabase {
 public:
  // Makes the file when it is missing. Settings count for the first who opens a path.
  static absl::StatusOr<std::shared_ptr<DuckdbDatabase>> Open(const std::string& path, const DuckdbSettings& settings);
  ~DuckdbDatabase();
  DuckdbDatabase(const DuckdbDatabase&) = delete;
  DuckdbDatabase& operator=(const DuckdbDatabase&) = delete;

  const std::string& path() const;

 private:
  friend class DuckdbConnection;
  struct Impl;
  explicit DuckdbDatabase(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A table by catalog (the database's name inside DuckDB), schema and name. All three, because a schema may be called
// like a catalog ("temp").
struct DuckdbTable {
  std::string catalog;  // empty in statements that are only shown
  std::string schema;
  std::string name;
  bool temporary = false;  // then only the name counts

  std::string Quoted() const;
  std::string QuotedSchema() const;
};

using DuckdbRow = std::vector<std::optional<std::string>>;

// A connection with a transaction that begins by itself with the first statement. For one thread. After an error only
// Rollback() has a meaning. Destruction rolls back.
class DuckdbConnection {
 public:
  static absl::StatusOr<std::unique_ptr<DuckdbConnection>> Connect(std::shared_ptr<DuckdbDatabase> database);
  ~DuckdbConnection();
  DuckdbConnection(const DuckdbConnection&) = delete;
  DuckdbConnection& operator=(const DuckdbConnection&) = delete;

  // How many rows the statement changed.
  absl::StatusOr<int64_t> Execute(const std::string& sql);
  // All result rows, as DuckDB prints the values. For small results.
  absl::StatusOr<std::vector<DuckdbRow>> Query(const std::string& sql);
  // Appends the stream's columns, by position, to the table that is there, or makes it (temporary tables only).
  absl::Status Ingest(const DuckdbTable& table, RowStream* rows);
  absl::Status Commit();
  void Rollback();

  const std::string& path() const;
  // The database's name inside DuckDB.
  const std::string& catalog() const;

 private:
  struct Impl;
  explicit DuckdbConnection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_DATABASE_H_
