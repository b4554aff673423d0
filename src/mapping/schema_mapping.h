// Schema changes as a destination shall see them: names, types and defaults after the mapping, and no word of columns
// and tables that are left out.
//
// Rules go by the source's names. A change after which a rule would no longer hold what it held is refused until the
// mapping says what shall be: above all a rename, after which a masked column would be an unmasked one of another name.
#ifndef WALLABY_MAPPING_SCHEMA_MAPPING_H_
#define WALLABY_MAPPING_SCHEMA_MAPPING_H_

#include <optional>

#include "absl/status/statusor.h"
#include "change/schema_change.h"
#include "mapping/table_mapping.h"

namespace wallaby {

// Nothing: nothing changes at the destination. FAILED_PRECONDITION names table, column and what to write into the
// mapping.
absl::StatusOr<std::optional<SchemaChange>> MapSchemaChange(const MappingSetup& setup, const SchemaChange& change);

// The same check for a table whose rows came in another shape without anybody telling of a schema change: a column that
// was hidden is gone, and one without a rule is new.
absl::Status CheckNewShape(const MappingSetup& setup, const Relation& before, const Relation& after);

}  // namespace wallaby

#endif  // WALLABY_MAPPING_SCHEMA_MAPPING_H_
