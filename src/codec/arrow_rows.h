// ArrowRows: rows in PostgreSQL's wire form to Arrow columns, straight from the bytes: no per-value allocation beyond
// what the Arrow builders hold. Used by every columnar destination.
//
// Logical types become: kBool bool; kInt16/32/64, kUInt32 int16/int32/int64/uint32; kFloat32/64 float/double;
// kDecimal decimal128(p,s); kBytes binary; kDate date32; kTime time64[us]; kTimestamp timestamp[us]; kTimestampTz
// timestamp[us, UTC]; kUuid extension arrow.uuid over fixed_size_binary(16); kJson and kText utf8.
// Arrow's headers stay out of this one: results leave through the Arrow C data interface or the opaque pointer.
#ifndef WALLABY_CODEC_ARROW_ROWS_H_
#define WALLABY_CODEC_ARROW_ROWS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "change/relation.h"
#include "change/tuple.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace wallaby {

// Where an Arrow column's values come from.
enum class ArrowSource {
  kRow,         // column `index` of the row's tuple; null and absent both become null
  kOrigin,      // column `index` of RowExtras::origin; null when there is no origin
  kOp,          // utf8, RowExtras::op
  kLsn,         // int64
  kSeq,         // int64
  kCommitTime,  // timestamp[us, UTC]
  kUnchanged,   // utf8: names of the row's absent columns joined by commas, null when none
  kCopies,      // int64, RowExtras::copies
};

struct ArrowColumn {
  std::string name;
  ArrowSource source = ArrowSource::kRow;
  int index = 0;
  PgType type;  // kRow and kOrigin
};

struct RowExtras {
  char op = 'c';
  uint64_t lsn = 0;
  uint32_t seq = 0;
  int64_t commit_time_micros = 0;
  int64_t copies = 0;
  const char* origin = nullptr;
};

// A table's own columns, and behind them those of append mode (change/append_rows.h). `type_of` gives a column's type
// after type_mappings.
std::vector<ArrowColumn> ArrowAppendColumns(const Relation& relation, absl::FunctionRef<PgType(const Column&)> type_of);

class ArrowRows {
 public:
  // `relation` names the columns for errors and for kUnchanged; must outlive the object.
  ArrowRows(const Relation& relation, std::vector<ArrowColumn> columns);
  ~ArrowRows();

  // INVALID_ARGUMENT or OUT_OF_RANGE names table, column, the value's first 64 characters and the remedy
  // (type_mappings) when a value does not fit; the object is then unusable.
  absl::Status Append(const char* tuple, const RowExtras& extras);
  int64_t rows() const;
  // About how many bytes the builders hold.
  int64_t bytes() const;
  std::shared_ptr<arrow::Schema> schema() const;
  // Takes out what was appended; the object is empty again and can be used on.
  absl::StatusOr<std::shared_ptr<arrow::RecordBatch>> Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wallaby

#endif  // WALLABY_CODEC_ARROW_ROWS_H_
