#include "destination/http/http_destination.h"

#include "base/status.h"
#include "destination/http/http_sender.h"
#include "destination/options.h"
#include "destination/push/push_destination.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<Destination>> MakeHttpDestination(const DestinationConfig& config) {
  ASSIGN_OR_RETURN(const TableOptions table, ParseTableOptions("http", config));
  ASSIGN_OR_RETURN(const HttpOptions options, ParseHttpOptions(config));
  return MakePushDestination(config, table, options.push,
                             [options, flow_id = config.flow_id, name = config.name, cut_short = config.cut_short] {
                               return std::make_unique<HttpSender>(options, flow_id, name, cut_short);
                             });
}

}  // namespace wallaby
