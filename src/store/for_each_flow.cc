#include "store/for_each_flow.h"

#include <string>
#include <vector>

#include "base/status.h"

namespace wallaby {

absl::Status ForEachFlow(ControlStore& store, absl::FunctionRef<absl::Status(const StoredFlow&)> visit) {
  constexpr int kPage = 500;
  std::string after;
  while (true) {
    ASSIGN_OR_RETURN(const std::vector<StoredFlow> flows, store.ListFlows(after, kPage));
    for (const StoredFlow& flow : flows) RETURN_IF_ERROR(visit(flow));
    if (flows.size() < kPage) return absl::OkStatus();
    after = flows.back().flow.id;
  }
}

}  // namespace wallaby
