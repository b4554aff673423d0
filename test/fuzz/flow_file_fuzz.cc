// Flow files, JSON and YAML: what is read is written and read back the same; checks give a status; what is shown has no
// secret, and an update made from it gets them back.
#include <string>

#include "base/mask.h"
#include "flow/flow.h"
#include "fuzz.h"
#include "service/flow_convert.h"
#include "wallaby/v1/types.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto flow = ParseFlow(text);
  if (!flow.ok()) {
    REQUIRE(absl::IsInvalidArgument(flow.status()), flow.status().message());
    return 0;
  }
  const auto again = ParseFlow(FlowToJson(*flow));
  REQUIRE(again.ok(), again.status().message());
  REQUIRE(*again == *flow, FlowToJson(*flow));
  (void)ValidateFlow(*flow);

  const Flow shown = Redacted(*flow);
  REQUIRE(Redacted(shown) == shown, "what is shown hides more when it is shown again");
  if (FlowToJson(*flow).find(kSecretMask) == std::string::npos) {
    bool twice = false;  // endpoints are matched by name
    for (size_t i = 0; i < flow->destinations.size(); ++i) {
      for (size_t j = 0; j < i; ++j) twice |= flow->destinations[i].name == flow->destinations[j].name;
    }
    Flow update = shown;
    RestoreSecrets(*flow, &update);
    REQUIRE(twice || update == *flow, FlowToJson(update));
  }
  v1::Flow proto;
  if (FlowToProto(*flow, &proto).ok()) {
    const auto back = FlowFromProto(proto);
    if (back.ok()) REQUIRE(*back == *flow, "a flow changed on the wire");
  }
  return 0;
}
