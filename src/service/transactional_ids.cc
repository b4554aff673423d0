#include "service/transactional_ids.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "destination/kafka/kafka_options.h"
#include "flow/destination_config.h"
#include "store/for_each_flow.h"

namespace wallaby {
namespace {

// The id of the destination's producer; "": it has none.
std::string TransactionalIdOf(const Flow& flow, const Endpoint& destination) {
  if (destination.type != "kafka" && destination.type != "bufstream") return "";
  const auto options = ParseKafkaOptions(destination.type, UnresolvedConfig(flow, destination));
  return options.ok() ? options->transactional_id : "";
}

absl::Status Taken(const std::string& destination, const std::string& id, const std::string& by) {
  return absl::InvalidArgumentError(absl::StrCat("destination ", destination, ": option transactional_id: '", id,
                                                 "' is that of ", by,
                                                 ": their producers would shut each other out for ever; give it one "
                                                 "that nobody else has"));
}

}  // namespace

absl::Status CheckTransactionalIds(const Flow& flow, ControlStore& store) {
  std::map<std::string, std::string> own;  // to the destination
  for (const Endpoint& destination : flow.destinations) {
    const std::string id = TransactionalIdOf(flow, destination);
    if (id.empty()) continue;
    const auto [first, added] = own.emplace(id, destination.name);
    if (!added) return Taken(destination.name, id, absl::StrCat("destination ", first->second));
  }
  if (own.empty()) return absl::OkStatus();
  return ForEachFlow(store, [&](const StoredFlow& other) -> absl::Status {
    if (other.flow.id == flow.id) return absl::OkStatus();
    for (const Endpoint& destination : other.flow.destinations) {
      const auto same = own.find(TransactionalIdOf(other.flow, destination));
      if (same == own.end()) continue;
      return Taken(same->second, same->first,
                   absl::StrCat("destination ", destination.name, " of flow '", other.flow.id, "'"));
    }
    return absl::OkStatus();
  });
}

}  // namespace wallaby
