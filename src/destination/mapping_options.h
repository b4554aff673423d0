// The options of a destination that are seen to in front of it: `mapping` and what goes with it. docs/mapping.md.
#ifndef WALLABY_DESTINATION_MAPPING_OPTIONS_H_
#define WALLABY_DESTINATION_MAPPING_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "change/relation.h"
#include "destination/destination.h"
#include "destination/options.h"
#include "mapping/table_mapping.h"

namespace wallaby {

// Whether the options ask for more than the destination does by itself: mapping, soft_delete, types other than text.
bool HasMapping(const DestinationConfig& config, const TableOptions& options);

// The mapping of the options; `options` is what ParseTableOptions() made of them. INVALID_ARGUMENT names the option,
// and within the mapping table and column. A secret that is a reference (flow/secret_reference.h) is not looked at.
absl::StatusOr<MappingSetup> MakeMappingSetup(const std::string& type, const DestinationConfig& config,
                                              const TableOptions& options);

// What is wrong with the mapping for these tables, one status each: columns that are missing, types that cannot be
// compared, tables that no rule's name fits, two tables under one name. Empty when the mapping fits, or there is none.
std::vector<absl::Status> CheckMapping(const std::string& type, const DestinationConfig& config,
                                       const std::vector<Relation>& tables);

// The options without those that the mapping sees to, for the destination behind it.
DestinationConfig WithoutMapping(const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_MAPPING_OPTIONS_H_
