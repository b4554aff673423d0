// AppendRows: the rows that a change becomes where every change is a row, the same in every table and file.
#ifndef WALLABY_CHANGE_APPEND_ROWS_H_
#define WALLABY_CHANGE_APPEND_ROWS_H_

#include "change/change_batch.h"

namespace wallaby {

// The columns that stand behind the source's own, in this order. An update that changes the key is two rows with the
// same lsn and seq: d with the old row as sent, then u with the new one. So is every update of a table without a key,
// where the whole row is the identity. The last row of each key by (lsn, seq) is the table.
//   _wallaby_op           text                      c insert, u update, d delete (key columns or whole old row),
//                                                   t truncate, r snapshot
//   _wallaby_lsn          integer (64 bit)          commit LSN of the transaction
//   _wallaby_seq          integer (64 bit)          ordinal of the change in the transaction
//   _wallaby_commit_time  timestamp with time zone
//   _wallaby_unchanged    text                      comma-separated names of columns whose unchanged value was not
//                                                   sent; null when none
inline constexpr const char* kOpColumn = "_wallaby_op";
inline constexpr const char* kLsnColumn = "_wallaby_lsn";
inline constexpr const char* kSeqColumn = "_wallaby_seq";
inline constexpr const char* kCommitTimeColumn = "_wallaby_commit_time";
inline constexpr const char* kUnchangedColumn = "_wallaby_unchanged";

// True when an update gave the row another key. The values decide, for an old row is also sent with each update under
// identity full, and when the key itself is so large that it stands outside the row. False without an old row or key.
bool KeyChanged(const ChangeBatch& batch, const Change& change);

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

#endif  // WALLABY_CHANGE_APPEND_ROWS_H_
