// The packets of a walsender. Source: PostgreSQL documentation, "Streaming Replication Protocol".
#ifndef WALLABY_POSTGRES_WALSENDER_STREAM_H_
#define WALLABY_POSTGRES_WALSENDER_STREAM_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "postgres/replication_stream.h"

namespace wallaby {

// As StartReplication(), by the walsender from the first packet on.
absl::StatusOr<std::unique_ptr<ReplicationStream>> StartWalsender(const StreamOptions& options);

// What the output plugin is told, on whichever way it is asked: names and values, not quoted.
std::vector<std::pair<std::string, std::string>> PluginOptions(const StreamOptions& options);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_WALSENDER_STREAM_H_
