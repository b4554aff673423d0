// What the tests of files share: batches of changes, and folders read back as rows of text.
#ifndef WALLABY_DESTINATION_FILES_FILES_TEST_KIT_H_
#define WALLABY_DESTINATION_FILES_FILES_TEST_KIT_H_

#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "change/change_batch.h"
#include "change/test_tuple.h"
#include "destination/destination.h"

namespace wallaby {

// A folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string path(const std::string& below = "") const;

 private:
  std::filesystem::path path_;
};

// shop.orders (id bigint key, placed timestamp, note text).
RelationPtr Orders();

// A batch of whole transactions, built step by step.
class BatchMaker {
 public:
  explicit BatchMaker(RelationPtr relation = Orders()) : relation_(std::move(relation)) {}
  BatchMaker& Begin(uint64_t commit);
  BatchMaker& Insert(const TestRow& row) { return Add(ChangeKind::kInsert, &row, nullptr, false); }
  BatchMaker& Update(const TestRow& row) { return Add(ChangeKind::kUpdate, &row, nullptr, false); }
  BatchMaker& UpdateFrom(const TestRow& old, const TestRow& row, bool old_is_key) {
    return Add(ChangeKind::kUpdate, &row, &old, old_is_key);
  }
  BatchMaker& Delete(const TestRow& old) { return Add(ChangeKind::kDelete, nullptr, &old, true); }
  BatchMaker& Truncate() { return Add(ChangeKind::kTruncate, nullptr, nullptr, false); }
  BatchMaker& Read(const TestRow& row) { return Add(ChangeKind::kRead, &row, nullptr, false); }
  BatchMaker& Part(const std::string& part);
  BatchMaker& Use(RelationPtr relation);
  const ChangeBatch& batch() const { return batch_; }

 private:
  BatchMaker& Add(ChangeKind kind, const TestRow* row, const TestRow* old, bool old_is_key);

  RelationPtr relation_;
  ChangeBatch batch_;
  uint32_t seq_ = 0;
};

CommitPoint Point(uint64_t commit, std::vector<std::string> parts = {});

// Paths of the data files, relative to the folder, sorted; hidden and staged ones are not among them.
std::vector<std::string> DataFiles(const std::string& folder);

// The rows of a Parquet file's bytes, sortable and as Rows() gives them.
using SortableRow = std::tuple<int64_t, int64_t, std::string>;
void ReadRows(const std::string& parquet, std::vector<SortableRow>* rows);
std::vector<std::string> SortedTexts(std::vector<SortableRow> rows);

// All rows of all data files, as "u|10|0|5|2024-05-01 00:00:00|note|unchanged": operation, LSN, ordinal, the table's
// own columns (null is ~), unchanged names; sorted by LSN and ordinal.
std::vector<std::string> Rows(const std::string& folder);

// A source: a part of a snapshot, its second try after a reset, then two transactions, committed in four steps. Opens
// the destination, whose option partition_by is `note`, and skips whatever its progress holds, as the worker does.
absl::Status Deliver(Destination& destination);
// The rows when all of it has come.
const std::vector<std::string>& Delivered();

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_FILES_TEST_KIT_H_
