// The checks of a source one by one: for CheckSource, which makes all of them for a flow, and for the doctor.
#ifndef WALLABY_POSTGRES_SOURCE_CHECKS_H_
#define WALLABY_POSTGRES_SOURCE_CHECKS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postgres/catalog.h"
#include "postgres/publication_plan.h"
#include "postgres/slot.h"
#include "postgres/table_checks.h"

namespace wallaby {

// Each check adds what it finds. An error means that the check could not be made. All arguments outlive the object.
// Not before PostgreSQL 14.
class SourceChecker {
 public:
  SourceChecker(PgConnection& sql, const SourceOptions& options, const ServerInfo& server,
                std::vector<Finding>* findings)
      : sql_(sql), options_(options), server_(server), findings_(*findings) {}

  void CheckServer();
  // Makes a replication connection of its own.
  absl::Status CheckRole();
  absl::Status CheckSlot();
  // After CheckSlot, which knows whether the tables are to be copied.
  absl::Status CheckPublication();

 private:
  struct Mend {
    std::string sql;
    std::string_view run_as;
  };
  void Add(Finding::Severity severity, std::string_view check, std::string_view subject, std::string_view message,
           std::string_view remedy = "", const Mend& mend = {}) {
    findings_.push_back({severity, std::string(subject), std::string(message), std::string(remedy), std::string(check),
                         mend.sql, std::string(mend.run_as)});
  }

  absl::Status CheckReplicationConnection(const std::string& role);
  void CheckSlotState(const SlotInfo& slot);
  absl::Status CheckMissingPublication();
  absl::StatusOr<PublicationPlan> PlanToPrint() const;
  absl::Status CheckRightToPublish(const PublicationPlan& plan, const PlanFit& fit);
  absl::Status CheckPresentPublication();
  absl::Status CheckCoverage(const std::vector<PublishedTable>& tables);
  absl::Status CheckAbsentTables(const std::vector<TableName>& absent);

  PgConnection& sql_;
  const SourceOptions& options_;
  const ServerInfo& server_;
  std::vector<Finding>& findings_;
  bool copy_due_ = false;  // the flow is about to copy every table
};

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_SOURCE_CHECKS_H_
