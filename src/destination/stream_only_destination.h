// StreamOnlyDestination: stands before a destination whose option `snapshot` is `never`. It leaves out the copies of
// tables, first ones and those that are made later, and lets pass what changes. docs/fan-out.md.
#ifndef WALLABY_DESTINATION_STREAM_ONLY_DESTINATION_H_
#define WALLABY_DESTINATION_STREAM_ONLY_DESTINATION_H_

#include <map>
#include <memory>
#include <string>

#include "destination/destination.h"

namespace wallaby {

// Whether these options of a destination leave out copies.
bool LeavesOutCopies(const std::map<std::string, std::string>& options);

std::unique_ptr<Destination> MakeStreamOnlyDestination(std::unique_ptr<Destination> inner);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_STREAM_ONLY_DESTINATION_H_
