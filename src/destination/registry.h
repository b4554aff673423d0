// Destinations that are linked into the program announce themselves here, so that this room need not know them.
#ifndef WALLABY_DESTINATION_REGISTRY_H_
#define WALLABY_DESTINATION_REGISTRY_H_

#include <string_view>

#include "destination/destination.h"

namespace wallaby {

// From now on MakeDestination(type) calls `make` instead of looking for a module. Call it from main() before threads
// start; a second call for the same type replaces the first.
void RegisterDestination(std::string_view type, MakeDestinationFn make);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_REGISTRY_H_
