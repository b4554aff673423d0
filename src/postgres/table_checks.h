// The part of CheckSource that looks at tables.
#ifndef WALLABY_POSTGRES_TABLE_CHECKS_H_
#define WALLABY_POSTGRES_TABLE_CHECKS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postgres/catalog.h"
#include "postgres/publication_plan.h"

namespace wallaby {

// `copy_due`: the flow will copy every table at once, so that what keeps it from reading one is an error.

// OIDs of the tables, roots and partitions that the plan would publish, as an array literal.
absl::StatusOr<std::string> OidsToPublish(PgConnection& sql, const PublicationPlan& plan);

// Tables of a publication that exists. True when it could carry updates and deletes of all of them as well.
absl::StatusOr<bool> CheckPublishedTables(PgConnection& sql, const SourceOptions& options,
                                          const std::vector<PublishedTable>& tables, bool copy_due,
                                          std::vector<Finding>* findings);

// Whether tables can be published without making their users' UPDATE and DELETE fail.
struct PlanFit {
  bool fits = false;
  bool with_stored = false;  // only by a publication that carries generated columns (PublicationPlan::CreateSql)
};
// Tables that are about to be put into the publication of the options: by the flow, or where `by_flow` is false by
// whoever runs what the finding about the publication says.
absl::StatusOr<PlanFit> CheckTablesToPublish(PgConnection& sql, const SourceOptions& options,
                                             const PublicationPlan& plan, bool by_flow, bool copy_due,
                                             std::vector<Finding>* findings);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_TABLE_CHECKS_H_
