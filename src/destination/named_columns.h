// What a destination's options say of columns and types by name, beside the mapping: partition_by and type_mappings.
// Whether there is such a thing shows where the tables are known.
#ifndef WALLABY_DESTINATION_NAMED_COLUMNS_H_
#define WALLABY_DESTINATION_NAMED_COLUMNS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "change/relation.h"
#include "destination/destination.h"

namespace wallaby {

// Whether the options name any.
bool NamesColumns(const std::string& type, const DestinationConfig& config);

// What is wrong with the names for these tables, one status each: a column of partition_by that no table has, a column
// of type_mappings that its table does not have. Tables that are not there may come one day.
std::vector<absl::Status> CheckNamedColumns(const std::string& type, const DestinationConfig& config,
                                            const std::vector<Relation>& tables);

// Names of types in option type_mappings that are no column's of these tables: the source knows whether they exist.
std::vector<std::string> NamedTypes(const std::string& type, const DestinationConfig& config,
                                    const std::vector<Relation>& tables);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_NAMED_COLUMNS_H_
