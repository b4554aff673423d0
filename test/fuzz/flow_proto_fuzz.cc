// A flow as a client sends it: any bytes that are a v1.Flow message.
#include <string>

#include "flow/flow.h"
#include "fuzz.h"
#include "service/flow_convert.h"
#include "wallaby/v1/types.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  v1::Flow proto;
  if (!proto.ParseFromArray(data, static_cast<int>(size))) return 0;
  const auto flow = FlowFromProto(proto);
  if (!flow.ok()) {
    REQUIRE(absl::IsInvalidArgument(flow.status()), flow.status().message());
    return 0;
  }
  v1::Flow written;
  const absl::Status status = FlowToProto(*flow, &written);
  REQUIRE(status.ok(), status.message());
  const auto again = FlowFromProto(written);
  REQUIRE(again.ok() && *again == *flow, "a flow changed on the wire");
  const auto stored = ParseFlow(FlowToJson(*flow));
  REQUIRE(stored.ok() && *stored == *flow, FlowToJson(*flow));
  (void)ValidateFlow(*flow);
  (void)Redacted(*flow);
  return 0;
}
