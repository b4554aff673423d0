// Rows and pgoutput messages for the measurements: an orders table of seven columns, the same rows in every run.
#ifndef WALLABY_BENCH_MICRO_ROWS_H_
#define WALLABY_BENCH_MICRO_ROWS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "change/change_batch.h"
#include "change/relation.h"
#include "pgoutput/test_bytes.h"

namespace wallaby::bench {

// Bytes of a row's values, in text form.
inline constexpr int kNarrow = 100;
inline constexpr int kWide = 1000;

// id bigint primary key, customer int, status text, total numeric(12,2), placed timestamptz, paid boolean, note text.
RelationPtr Orders();

// A row in wire form whose values take `value_bytes` when they are text. `id` has seven digits.
void AppendOrder(int64_t id, int value_bytes, bool binary, std::string* out);

// Messages one after the other in one buffer.
class Messages {
 public:
  // Ends the message that was written to buffer().
  void End() { ends_.push_back(buffer_.size()); }
  std::string* buffer() { return &buffer_; }
  size_t count() const { return ends_.size(); }
  size_t bytes() const { return buffer_.size(); }
  std::string_view at(size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(buffer_).substr(begin, ends_[i] - begin);
  }

 private:
  std::string buffer_;
  std::vector<size_t> ends_;
};

// Updates carry their old key in a stream, and none in a batch.
enum class Operation { kInsert, kUpdate };

// `transactions` of `changes` each: begin, changes, commit. The first has the relation's message.
Messages Stream(Operation operation, int transactions, int changes, int value_bytes, bool binary);

// A batch of such changes; every `distinct` of them, the keys begin again.
ChangeBatch Batch(Operation operation, int changes, int distinct, int value_bytes, bool binary);

using pgoutput::BuiltinTypes;

}  // namespace wallaby::bench

#endif  // WALLABY_BENCH_MICRO_ROWS_H_
