// RequestBuilder: committed changes as requests, each with its key and the lane that keeps its order.
//
// Keys. A record:    TABLE-LSN-SEQ-OP           OP as in ChangeKind; TABLE is a hash of flow, destination and table
//       a batch:     TABLE-LSN-SEQ-LSN-SEQ-b    first and last record
//       a snapshot:  TABLE-LSN-HASH-r           of the row's key, or of the payload where there is none
// LSN and SEQ are the position (codec/codec.h), all numbers hexadecimal with leading zeros. So keys of streamed records
// are the same in every replay, and sort as the source wrote them.
#ifndef WALLABY_DESTINATION_PUSH_REQUEST_BUILDER_H_
#define WALLABY_DESTINATION_PUSH_REQUEST_BUILDER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "codec/codec.h"
#include "codec/relation_cache.h"
#include "destination/options.h"
#include "destination/push/lanes.h"
#include "destination/push_options.h"

namespace wallaby {

// For one thread.
class RequestBuilder {
 public:
  // Stands for every lane: what was sent before is answered first, and what follows waits.
  static constexpr uint64_t kBarrier = ~uint64_t{0};

  // Requests of one lane are in the order of the source. A wire request's lane is that of its table, any other's that
  // of its row's key; without a key, its table's.
  using Emit = absl::FunctionRef<absl::Status(uint64_t lane, QueuedRequest request)>;
  // Whether a record is to be left out.
  using Skip = std::function<bool(const RecordId&)>;

  // `codec` outlives the object; null for PayloadMode::kWal. `remember`: QueuedRequest::records is wanted.
  RequestBuilder(const DestinationConfig& config, const PushOptions& options, TableOptions table, Codec* codec,
                 bool remember);

  // Emits requests for all changes of the batch, but for those that `skip` says. Stops at the first error.
  absl::Status Build(const ChangeBatch& batch, const Skip& skip, Emit emit);

 private:
  // What is the same in all requests of a table.
  struct Table {
    std::string schema;
    std::string name;
    std::string key_prefix;
    std::string relation_message;  // kWal
  };
  // Changes of one relation that go together.
  struct Run {
    size_t begin = 0;
    size_t end = 0;  // behind the last one
    int64_t changes = 0;
  };

  absl::StatusOr<const Table*> FindTable(const RelationPtr& relation);
  PushRequest NewRequest(const Table& table, std::string_view operation) const;
  bool IsSkipped(const ChangeBatch& batch, const Change& change, const Skip& skip) const;

  absl::Status BuildWire(const ChangeBatch& batch, const Skip& skip, Emit emit);
  absl::Status EmitRun(const ChangeBatch& batch, uint32_t relation, const Run& run, Emit emit);
  absl::Status BuildRecords(const ChangeBatch& batch, const Skip& skip, Emit emit);
  absl::Status EmitRecord(const BatchSlice& slice, const Table& table, const EncodedRecord& record, Emit emit) const;
  absl::Status BuildWal(const ChangeBatch& batch, const Skip& skip, Emit emit);

  const std::string flow_id_;
  const std::string destination_;
  const PushOptions options_;
  const TableOptions table_;
  Codec* const codec_;
  const bool remember_;
  RelationCache<Table> tables_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PUSH_REQUEST_BUILDER_H_
