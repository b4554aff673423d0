// The `postgres` destination: a PostgreSQL database (14 to 18) that holds the source's tables (target mode) or every
// change as a row (append mode), and in the same transactions the flow's progress. For users:
// docs/destinations/postgres.md.
#ifndef WALLABY_DESTINATION_POSTGRES_POSTGRES_DESTINATION_H_
#define WALLABY_DESTINATION_POSTGRES_POSTGRES_DESTINATION_H_

#include <memory>

#include "absl/status/status.h"
#include "destination/destination.h"

namespace wallaby {

// Fits MakeDestinationFn. Does no I/O; INVALID_ARGUMENT names the option that is wrong.
absl::Status MakePostgresDestination(const DestinationConfig& config, std::unique_ptr<Destination>* out);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_POSTGRES_DESTINATION_H_
