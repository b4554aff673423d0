// What a change is as records, for the codecs of rows: which rows stand in a record, and its key.
#ifndef WALLABY_CODEC_RECORD_ROWS_H_
#define WALLABY_CODEC_RECORD_ROWS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "change/change_batch.h"
#include "codec/codec.h"

namespace wallaby {

// The rows of one record, as offsets of tuples; null where there is none.
struct RecordRows {
  ChangeKind kind = ChangeKind::kInsert;
  const char* before = nullptr;  // the whole old row
  const char* after = nullptr;
  // The key's columns are taken from `key`, and what is absent there from `key_rest`.
  const char* key = nullptr;
  const char* key_rest = nullptr;
};

// One record, or two for an update that changed the key: a delete of the old one comes first.
class ChangeRecords {
 public:
  ChangeRecords(const ChangeBatch& batch, const Change& change);
  const RecordRows* begin() const { return records_; }
  const RecordRows* end() const { return records_ + count_; }

 private:
  RecordRows records_[2];
  int count_ = 1;
};

// Calls `visit(const Change&, const RecordRows&)` -> Status for every record of a slice in order.
template <typename Visit>
absl::Status ForEachRecord(const BatchSlice& slice, Visit visit) {
  const std::vector<Change>& changes = slice.batch.changes();
  for (size_t i = slice.begin; i < slice.end; ++i) {
    if (changes[i].relation != slice.relation) continue;
    for (const RecordRows& rows : ChangeRecords(slice.batch, changes[i])) {
      if (absl::Status status = visit(changes[i], rows); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

// What the sink is told of a record. `key` counts where the record has one.
inline EncodedRecord Encoded(const BatchSlice& slice, const Change& change, const RecordRows& rows,
                             std::string_view key, std::string_view value) {
  const bool has_key = rows.key != nullptr;
  return {.kind = rows.kind,
          .position = slice.batch.position(change),
          .transaction = &slice.batch.transaction(change),
          .has_key = has_key,
          .key = has_key ? key : std::string_view(),
          .value = value};
}

// The key's columns in column order. FAILED_PRECONDITION when a value is nowhere.
absl::Status ForKeyFields(const Relation& relation, TupleCursor row, const char* rest,
                          absl::FunctionRef<absl::Status(int, const Field&)> visit);

// After type_mappings.
PgType TypeOf(const CodecOptions& options, const Relation& relation, const Column& column);
// The topic, or "schema.table".
std::string TopicOf(const CodecOptions& options, const Relation& relation);

}  // namespace wallaby

#endif  // WALLABY_CODEC_RECORD_ROWS_H_
