// Checks of tables that only the doctor makes. Each adds what it finds.
#ifndef WALLABY_POSTGRES_DOCTOR_TABLES_H_
#define WALLABY_POSTGRES_DOCTOR_TABLES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "postgres/catalog.h"

namespace wallaby {

// Columns whose type is text at some destinations: of a publication's tables, or of those with `oids`, an array
// literal. `only_postgres`: there are no other destinations.
absl::Status CheckTypes(PgConnection& sql, const std::string& publication, bool only_postgres,
                        std::vector<Finding>* findings);
absl::Status CheckTypesToPublish(PgConnection& sql, const std::string& oids, bool only_postgres,
                                 std::vector<Finding>* findings);
// Partitions that are published each by itself.
absl::Status CheckPartitions(PgConnection& sql, const std::string& publication, std::vector<Finding>* findings);
// Whether the role may make publications at all, where no flow says which.
absl::Status CheckMayPublish(PgConnection& sql, std::vector<Finding>* findings);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_DOCTOR_TABLES_H_
