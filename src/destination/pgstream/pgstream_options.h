// Options of the pgstream destination.
#ifndef WALLABY_DESTINATION_PGSTREAM_PGSTREAM_OPTIONS_H_
#define WALLABY_DESTINATION_PGSTREAM_PGSTREAM_OPTIONS_H_

#include <string>

#include "absl/status/statusor.h"
#include "destination/options.h"
#include "stream/segments.h"

namespace wallaby {

struct PgstreamOptions {
  TableOptions table;  // for progress and type mappings
  std::string dsn;     // empty: the control store's
  std::string stream;
  std::string schema = "wallaby";  // of the stream's tables
  Retention retention;
};

// INVALID_ARGUMENT names the option and what is allowed.
absl::StatusOr<PgstreamOptions> ParsePgstreamOptions(const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PGSTREAM_PGSTREAM_OPTIONS_H_
