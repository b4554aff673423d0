// Database: the simulated PostgreSQL as it is on its disk: tables with every version that a row ever had, the
// write-ahead log, one replication slot. It is what the oracle compares with. No threads, no faults: those are the
// business of who talks to it (source.h).
#ifndef WALLABY_TEST_SIMULATION_DATABASE_H_
#define WALLABY_TEST_SIMULATION_DATABASE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/lsn.h"
#include "change/schema_change.h"

namespace wallaby::simulation {

inline constexpr char kPublication[] = "pub";
inline constexpr char kSlot[] = "slot";
inline constexpr char kDdlPrefix[] = "wallaby_ddl";

// A row's values by attribute number - 1, as text; nothing is null. The first is the key, an integer.
using Values = std::vector<std::optional<std::string>>;
using RowPtr = std::shared_ptr<const Values>;
using ShapePtr = std::shared_ptr<const TableShape>;

// One message of a transaction.
struct WalOp {
  enum class Kind { kInsert, kUpdate, kDelete, kTruncate, kMessage };
  Kind kind;
  uint32_t oid = 0;
  ShapePtr shape;                // of the table when it was written
  RowPtr old_row;                // update, delete
  RowPtr new_row;                // insert, update
  bool unchanged_large = false;  // update: the large value was not written again, so it is not sent
  std::string content;           // kMessage
};

struct WalTransaction {
  Lsn begin;
  Lsn commit;  // start of the commit record
  Lsn end;
  int64_t time_micros = 0;
  uint32_t xid = 0;
  std::vector<WalOp> ops;
};

class Table {
 public:
  explicit Table(uint32_t table_oid) : oid(table_oid) {}

  struct Version {
    Lsn commit;
    RowPtr row;  // null: the row was gone
  };
  struct Shaped {
    Lsn commit;
    ShapePtr shape;  // null: the table was gone
    uint32_t file = 0;
  };

  // As transactions whose commit LSN is below have left it.
  RowPtr RowBefore(int64_t key, Lsn lsn) const;
  const Shaped& ShapeBefore(Lsn lsn) const;
  const Shaped& now() const { return shapes.back(); }
  bool exists() const { return now().shape != nullptr; }
  std::string name() const { return now().shape->relation.QualifiedName(); }
  std::vector<int64_t> Keys() const;  // of rows that are there now
  RowPtr Row(int64_t key) const { return RowBefore(key, Lsn{UINT64_MAX}); }

  const uint32_t oid;
  std::map<int64_t, std::vector<Version>> rows;
  std::vector<Shaped> shapes;  // the first is from before everything
  int last_attnum = 0;
  uint32_t file = 0;
};

struct Slot {
  bool exists = false;
  int maker = 0;  // number of the process for which it is being made; it does not exist yet
  bool lost = false;
  Lsn confirmed;
  Lsn persisted;  // where a crash of the server would leave it
  int active_pid = 0;
  int owner = 0;  // number of the process that it serves
  // Walsenders outlive their clients by a little.
  int64_t active_until = 0;  // of a walsender whose client is gone; 0: its client is there
};

// A change of a table's shape, for the oracle.
struct DdlRecord {
  Lsn commit;
  uint32_t oid = 0;
  std::string sql;
  int column = 0;               // attribute number; 0: of the table
  bool captured = false;        // a message tells of it; else the next relation message does, perhaps
  uint32_t changes_before = 0;  // of its transaction
};

class Database;

// A transaction that is being written. Nothing of it is there before Commit().
class Writing {
 public:
  explicit Writing(Database* database) : database_(*database) {}

  std::vector<int64_t> Keys(const Table& table) const;
  void Insert(Table& table, Values values);
  void Update(Table& table, int64_t key, Values values, bool unchanged_large);
  void Delete(Table& table, int64_t key);
  void Truncate(Table& table);
  // Rows of the table as the transaction sees them.
  RowPtr Row(const Table& table, int64_t key) const;

  // ---- DDL: `shape` is changed, and told of as the event trigger does ----
  Table& CreateTable(const std::string& name, bool full_identity);
  void DropTable(Table& table);
  // `rewrite`: gives every row that is there a value of its own in the new column, by its key.
  void Alter(Table& table, const std::string& sql, TableShape shape, bool rewrite);
  // From its key to `full` and back: relation messages change, and no destination has anything to do.
  void ChangeIdentity(Table& table);

  const TableShape& Shape(const Table& table) const;
  bool Exists(const Table& table) const { return ShapeOf(table) != nullptr; }
  Lsn Commit(int64_t now_micros);
  size_t size() const { return ops_.size(); }

 private:
  void Record(DdlRecord record);
  void Capture(const std::string& tag, const std::string& sql, const TableShape* before, const TableShape* after);
  ShapePtr ShapeOf(const Table& table) const;
  void Put(Table& table, int64_t key, RowPtr row) { rows_[table.oid][key] = std::move(row); }

  Database& database_;
  std::vector<WalOp> ops_;
  std::map<uint32_t, std::map<int64_t, RowPtr>> rows_;
  std::map<uint32_t, Table::Shaped> shapes_;
  std::vector<DdlRecord> ddl_;
};

class Database {
 public:
  Table& AddTable();
  Table* Find(uint32_t oid);
  Table* FindByName(const std::string& qualified_name);
  // Traffic that is of no interest to the publication.
  void OtherTraffic(uint64_t bytes) { next_ += bytes; }
  // Where the next record will stand.
  Lsn current() const { return Lsn{next_}; }
  // What a copy of the disk would hold: everything before `end`, and the slot as it was.
  struct Image {
    Lsn end;
    Lsn confirmed;
    uint32_t next_xid = 0;
  };
  Image TakeImage() const { return {current(), slot.confirmed, next_xid_}; }
  // Goes on from there: positions and numbers of transactions are given out again. There was no DDL since.
  void Restore(const Image& image);
  // The number of the first transaction of `wal` that commits there or later.
  size_t FirstFrom(Lsn commit) const;

  std::deque<std::unique_ptr<Table>> tables;
  std::deque<WalTransaction> wal;
  std::vector<DdlRecord> ddl;
  // Attribute numbers by table and name of the column, of all times: no name is used twice.
  std::map<std::pair<uint32_t, std::string>, int> column_numbers;
  Slot slot;
  bool captures_ddl = false;
  // A crash of the server ends all sessions.
  int64_t sessions_epoch = 0;
  int64_t down_until = 0;  // nanoseconds
  int next_pid = 100;

 private:
  friend class Writing;
  uint64_t next_ = 0x1000000;
  uint32_t next_oid_ = 16384;
  uint32_t next_xid_ = 700;
  uint32_t next_file_ = 50000;
};

int64_t KeyOf(const Values& values);
// The key's column and the two that every table begins with: a value, and one that is large enough to be stored out of
// line.
TableShape FirstShape(uint32_t oid, const std::string& name, bool full_identity);
// The columns as relation and details, from the details and names.
void AddColumn(TableShape* shape, const std::string& name, ColumnDetail detail);

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_DATABASE_H_
