// RowStream: rows in wire form as a stream of Arrow record batches that are built while DuckDB reads them, so that only
// one bounded record batch is in memory at a time.
#ifndef WALLABY_DESTINATION_DUCKDB_ROW_STREAM_H_
#define WALLABY_DESTINATION_DUCKDB_ROW_STREAM_H_

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "codec/arrow_rows.h"

struct ArrowArrayStream;

namespace wallaby {

// Appends the next row (or none, to skip); false when there are no more.
using RowProducer = absl::AnyInvocable<absl::StatusOr<bool>(ArrowRows*)>;

// Used once. What `produce` and `relation` refer to must live until the stream has been read or released.
class RowStream {
 public:
  RowStream(const Relation& relation, std::vector<ArrowColumn> columns, RowProducer produce);
  ~RowStream();

  // Hands the rows to a consumer, which may read on any one thread at a time.
  absl::Status Export(ArrowArrayStream* out);
  // The first failure of the producer; the consumer's own error text is only a consequence of it.
  absl::Status status() const;

 private:
  class Reader;
  std::shared_ptr<Reader> reader_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_DUCKDB_ROW_STREAM_H_
