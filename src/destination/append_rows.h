// AppendRows: the rows that a change becomes in append mode, the same at every destination.
#ifndef WALLABY_DESTINATION_APPEND_ROWS_H_
#define WALLABY_DESTINATION_APPEND_ROWS_H_

#include "change/change_batch.h"

namespace wallaby {

struct AppendRow {
  char op = 0;                  // for kOpColumn
  const char* tuple = nullptr;  // in the batch; null for a truncate, which has no values
};

// One row; two for an update that gave the row another identity: the old row as deleted, then the new one. So the last
// row of each key, in order of (lsn, seq), is the table. Without a key the whole row is the identity: the old row
// always goes. Valid while the batch lives.
class AppendRows {
 public:
  AppendRows(const ChangeBatch& batch, const Change& change);
  const AppendRow* begin() const { return rows_; }
  const AppendRow* end() const { return rows_ + count_; }

 private:
  AppendRow rows_[2];
  int count_ = 1;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_APPEND_ROWS_H_
