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

// Tables of a publication that exists.
absl::Status CheckPublishedTables(PgConnection& sql, const SourceOptions& options,
                                  const std::vector<PublishedTable>& tables, bool copy_due,
                                  std::vector<Finding>* findings);

// Tables that the flow is about to publish.
absl::Status CheckTablesToPublish(PgConnection& sql, const SourceOptions& options, const PublicationPlan& plan,
                                  bool copy_due, std::vector<Finding>* findings);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_TABLE_CHECKS_H_
