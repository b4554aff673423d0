// BatchMapper: the changes of a batch as a destination shall see them. One thread. Keeps its memory from batch to
// batch; no allocation for a row or a value beyond the growth of the batch that it fills.
//
// Rows under a filter follow what PostgreSQL does for a publication's WHERE (documentation, "Row Filters"): null counts
// as no; an update whose row did not match and does now is an insert, one that did and does not is a delete. Where the
// old row does not tell, and the destination holds current rows, the new row alone decides: yes writes it, no deletes
// its key, which does nothing where it is not there.
#ifndef WALLABY_MAPPING_BATCH_MAPPER_H_
#define WALLABY_MAPPING_BATCH_MAPPER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "change/change_batch.h"
#include "mapping/keyed_hash.h"
#include "mapping/table_mapping.h"
#include "mapping/tuple_fields.h"

namespace wallaby {

class BatchMapper {
 public:
  // `hash` may be null where nothing is masked by it.
  explicit BatchMapper(std::shared_ptr<const KeyedHash> hash) : hash_(std::move(hash)) {}

  // `tables` has one for each of in.relations(). Fills `out`, whose content is dropped. Transactions are kept, also
  // those of which no change is left. Errors name table, column and position, and quote no value.
  absl::Status Map(const ChangeBatch& in, const std::vector<const TableMapping*>& tables, ChangeBatch* out);

 private:
  // How much of a row is written.
  enum class Part {
    kNew,      // all of it
    kOld,      // all that comes from the source's columns; the rest is null
    kKey,      // the key; the rest is null
    kDeleted,  // the key and that it is deleted; the rest is unchanged
  };

  absl::Status MapChange(const Change& change, const TableMapping& table);
  absl::Status MapUpdate(const Change& change, const TableMapping& table);
  absl::Status MapDelete(const Change& change, const TableMapping& table);
  absl::Status MapTruncate(const Change& change, const TableMapping& table);

  absl::StatusOr<bool> Matches(const TableMapping& table, const TupleFields& row, const TupleFields* fallback) const;

  absl::Status AddInsert(const Change& change, const TableMapping& table, ChangeKind kind, const TupleFields* fallback);
  absl::Status AddUpdate(const Change& change, const TableMapping& table);
  // Of the old row, or where there is none, of the new row's key.
  absl::Status AddDelete(const Change& change, const TableMapping& table);
  Change& AddLike(const Change& change, ChangeKind kind);

  absl::StatusOr<uint64_t> WriteRow(const Change& change, const TableMapping& table, const TupleFields& row,
                                    const TupleFields* fallback, Part part, ChangeKind kind);
  absl::Status WriteColumn(const MappedColumn& column, const Column& source, const PgType& target, const Field& value);
  absl::Status WriteConverted(const MappedColumn& column, const Column& source, const PgType& target,
                              const Field& value);
  void WriteOwn(const MappedColumn& column, const Transaction& transaction, uint32_t seq, ChangeKind kind);
  void WriteText(FieldKind kind, std::string_view text);
  void WriteInteger(int64_t value);

  absl::Status Explain(const Change& change, const TableMapping& table, const absl::Status& status) const;

  const std::shared_ptr<const KeyedHash> hash_;
  // Of the batch that is mapped.
  const ChangeBatch* in_ = nullptr;
  ChangeBatch* out_ = nullptr;
  uint32_t relation_ = 0;  // index in `out_`
  TupleFields new_, old_;
  std::string scratch_;
};

}  // namespace wallaby

#endif  // WALLABY_MAPPING_BATCH_MAPPER_H_
