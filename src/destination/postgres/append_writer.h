// AppendWriter: append mode. Every change is its AppendRows, with the columns that destination/destination.h names
// behind it.
#ifndef WALLABY_DESTINATION_POSTGRES_APPEND_WRITER_H_
#define WALLABY_DESTINATION_POSTGRES_APPEND_WRITER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "change/append_rows.h"
#include "change/change_batch.h"
#include "destination/postgres/copy_into.h"
#include "destination/postgres/session.h"
#include "destination/postgres/table_plan.h"

namespace wallaby {

class AppendWriter {
 public:
  AppendWriter(Session& session, TablePlans& plans) : session_(session), plans_(plans) {}

  // In the open transaction. Rows of a table keep their order.
  absl::Status Write(const ChangeBatch& batch);

 private:
  absl::Status WriteTable(const ChangeBatch& batch, const std::vector<const Change*>& changes, TablePlan& plan);
  absl::Status CopyTable(const ChangeBatch& batch, const std::vector<const Change*>& changes, const TablePlan& plan);
  absl::Status CopyRow(const AppendRow& row, const Position& at, const Transaction& transaction, const TablePlan& plan,
                       CopyInto* copy);
  absl::Status AddStatement(const ChangeBatch& batch, const std::vector<const Change*>& changes, const TablePlan& plan);
  absl::Status AddValues(const AppendRow& row, const Position& at, const Transaction& transaction,
                         const TablePlan& plan, std::string* sql);
  // Puts the names of the columns of fields_ whose value was not sent into unchanged_.
  void FindUnchanged(const TablePlan& plan);

  Session& session_;
  TablePlans& plans_;
  RowFields fields_;
  std::string unchanged_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_APPEND_WRITER_H_
