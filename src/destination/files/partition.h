// Hive style partitions: which folder below a table's own a row belongs to.
//
// `col` gives "col=value"; `col:day` gives "col_day=2024-05-01", `col:hour` "col_hour=2024-05-01-13", `col:month`
// "col_month=2024-05", `col:year` "col_year=2024", for dates and timestamps (those with zone in UTC). A null, a value
// that was not sent and a row without values (truncate, a delete that carries the key only) give Hive's own word,
// __HIVE_DEFAULT_PARTITION__.
#ifndef WALLABY_DESTINATION_FILES_PARTITION_H_
#define WALLABY_DESTINATION_FILES_PARTITION_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "change/relation.h"

namespace wallaby {

enum class PartitionUnit { kValue, kYear, kMonth, kDay, kHour };

struct PartitionField {
  std::string column;
  PartitionUnit unit = PartitionUnit::kValue;

  friend bool operator==(const PartitionField&, const PartitionField&) = default;
};

// "col" or "col:day|hour|month|year", several with commas between.
absl::StatusOr<std::vector<PartitionField>> ParsePartitionBy(std::string_view text);

// A name as one component of a path: all but letters, digits and - _ . + becomes %XX, also a leading dot or a leading
// underscore that would hide the folder or take it for our own.
std::string EncodePathComponent(std::string_view name);

// The partition fields as they lie in one relation.
class Partitioner {
 public:
  // A field whose column the relation does not have is left out. INVALID_ARGUMENT when a column cannot be cut by the
  // unit, or would clash with another by its name.
  static absl::StatusOr<Partitioner> Make(const Relation& relation, const std::vector<PartitionField>& fields);

  bool empty() const { return places_.empty(); }
  // The columns that the relation does not have.
  const std::vector<std::string>& missing() const { return missing_; }
  // Sets `out` to "a=1/b_day=2024-05-01", or "" without fields. `tuple` is in the wire form.
  absl::Status FolderOf(const char* tuple, std::string* out);

 private:
  struct Place {
    int column = -1;
    PartitionUnit unit = PartitionUnit::kValue;
    std::string prefix;  // "order_date_day="
    PgType type;
    std::string name;  // of the column, for errors
  };
  std::vector<Place> places_;
  std::vector<std::string> missing_;
  std::vector<std::string> values_;  // one for each place; kept for its memory
  std::string table_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_PARTITION_H_
