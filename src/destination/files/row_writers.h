// RowWriters: the changes of a commit on their way into files, one file for each shape of a table, partition and kind
// (streamed rows, rows of a part of a snapshot). Memory and open files are bounded: the largest gathered rows leave as
// a row group, the file unused for longest is finished and another begun when its partition comes back.
#ifndef WALLABY_DESTINATION_FILES_ROW_WRITERS_H_
#define WALLABY_DESTINATION_FILES_ROW_WRITERS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "change/change_batch.h"
#include "codec/arrow_rows.h"
#include "destination/files/file_encoder.h"
#include "destination/files/file_store.h"
#include "destination/files/files_options.h"

namespace wallaby {

// Columns of the files of a table: its own, after type_mappings, and those of destination.h.
std::vector<ArrowColumn> FileColumns(const Relation& relation, const TableOptions& options);

// "public/orders": a table's folder below the path.
std::string TableFolder(const Relation& relation, const TableOptions& options);

class RowWriters {
 public:
  struct Limits {
    int64_t memory = 32 << 20;           // of gathered rows, all files together
    int64_t row_group_bytes = 16 << 20;  // of gathered rows, one file
    int64_t held_bytes = 16 << 20;       // that the store's outputs keep in memory, all files together
    size_t open_files = 64;
  };

  // All must outlive the object. `codec` is null for formats that take rows; `next_file` counts on.
  RowWriters(const FilesOptions& options, FileStore* store, Codec* codec, uint64_t* next_file, std::string flow,
             Limits limits);

  absl::Status Write(const ChangeBatch& batch);
  // Finishes what was streamed and the files of these parts, and hands them over, in order of their numbers. Rows of
  // other parts stay until theirs is finished, so that a part is published whole or not at all.
  absl::StatusOr<std::vector<StoredFile>> Finish(const std::vector<std::string>& parts);
  // Forgets the rows of a table's snapshot that were not handed over.
  absl::Status DiscardSnapshot(const std::string& table_folder, std::string_view part_prefix);

 private:
  struct Table {
    RelationPtr relation;
    std::string folder;
    std::vector<ArrowColumn> columns;
    Partitioner partitioner;
    std::string nulls;  // a row without values
    size_t open = 0;    // entries of `open_` that point here
  };
  struct OpenFile {
    Table* table;
    std::string part;  // of a snapshot
    bool snapshot;
    std::string partition;
    std::unique_ptr<FileOutput> output;  // once rows were flushed; outlives the encoder, which refers to it
    std::unique_ptr<FileEncoder> encoder;
    uint64_t number = 0;
    Lsn first, last;  // commits of its rows
    uint64_t last_used = 0;
  };
  struct ClosedFile {
    StoredFile file;
    std::string part;
    uint64_t number = 0;
  };
  using Key = std::tuple<Table*, bool, std::string, std::string>;
  using OpenFiles = std::map<Key, OpenFile>;

  absl::StatusOr<Table*> FindTable(const RelationPtr& relation);
  absl::Status WriteChange(Table* table, const ChangeBatch& batch, const Change& change);
  absl::Status AddRow(Table* table, const char* tuple, const RowExtras& extras, const std::string& part);
  // All changes of a relation, for formats that take slices.
  absl::Status WriteSlices(Table* table, const ChangeBatch& batch, uint32_t relation);
  absl::Status AddSlice(Table* table, const BatchSlice& slice);
  absl::StatusOr<OpenFile*> FindOpen(Table* table, bool snapshot, const std::string& part);
  OpenFile MakeOpen(Table* table, bool snapshot, const std::string& part) const;
  // Counts what came to `open`, whose encoder held `before` bytes, and keeps to the limits.
  absl::Status Gathered(OpenFile* open, int64_t before, Lsn commit);
  absl::Status Flush(OpenFile* open);
  absl::Status FlushLargest();
  absl::Status KeepHeldLow();
  absl::Status Close(OpenFiles::iterator it);
  void Forget(OpenFiles::iterator it);

  const FilesOptions& options_;
  FileStore* const store_;
  Codec* const codec_;
  uint64_t* const next_file_;
  const std::string flow_;
  const Limits limits_;

  std::vector<std::unique_ptr<Table>> tables_;
  OpenFiles open_;
  std::vector<ClosedFile> closed_;
  OpenFile* last_ = nullptr;  // written to last
  std::string partition_;     // of the row at hand
  int64_t gathered_ = 0;      // bytes of rows in memory
  uint64_t clock_ = 0;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_ROW_WRITERS_H_
