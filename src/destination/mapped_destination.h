// MappedDestination: stands before any destination whose options hold a mapping, and shows it the tables, changes and
// schema changes as they are after it. What is masked or left out never gets past here. docs/mapping.md.
#ifndef WALLABY_DESTINATION_MAPPED_DESTINATION_H_
#define WALLABY_DESTINATION_MAPPED_DESTINATION_H_

#include <memory>

#include "destination/destination.h"
#include "mapping/table_mapping.h"

namespace wallaby {

std::unique_ptr<Destination> MakeMappedDestination(MappingSetup setup, std::unique_ptr<Destination> inner);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_MAPPED_DESTINATION_H_
