#include "flow/fan_out.h"

#include <gtest/gtest.h>

namespace wallaby {
namespace {

Flow FlowTo(std::vector<std::string> destinations, AckPolicy policy, const std::string& primary) {
  Flow flow;
  for (std::string& name : destinations) flow.destinations.push_back({std::move(name), "null", {}});
  flow.config.ack_policy = policy;
  flow.config.primary_destination = primary;
  return flow;
}

TEST(FanOutTest, SeveralDestinationsOfWhichOneIsThePrimary) {
  const Flow flow = FlowTo({"lake", "copy"}, AckPolicy::kPrimary, "lake");
  EXPECT_TRUE(FansOut(flow));
  EXPECT_TRUE(IsPrimary(flow, "lake"));
  EXPECT_FALSE(IsSecondary(flow, "lake"));
  EXPECT_TRUE(IsSecondary(flow, "copy"));
  EXPECT_FALSE(IsSecondary(flow, "gone"));
  EXPECT_FALSE(FansOut(FlowTo({"lake"}, AckPolicy::kPrimary, "lake")));
  EXPECT_FALSE(FansOut(FlowTo({"lake", "copy"}, AckPolicy::kAll, "")));
  EXPECT_FALSE(IsSecondary(FlowTo({"lake", "copy"}, AckPolicy::kAll, "lake"), "copy"));
}

TEST(FanOutTest, NeedsASpoolAndTheWholeFlowAtTheGate) {
  const Flow flow = FlowTo({"lake", "copy"}, AckPolicy::kPrimary, "lake");
  EXPECT_TRUE(CheckFanOut(flow, {}, /*has_spool=*/true).ok());
  EXPECT_EQ(CheckFanOut(flow, {}, /*has_spool=*/false).message(),
            "config.ack_policy: primary with several destinations needs a spool, from which the others catch up; set "
            "WALLABY_SPOOL_DIR, or use ack_policy all");
  EffectiveDdlPolicy tables{.gate = true, .auto_approve = false, .auto_apply = false, .scope = DdlScope::kTable};
  EXPECT_EQ(CheckFanOut(flow, tables, true).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(CheckFanOut(FlowTo({"lake", "copy"}, AckPolicy::kAll, ""), tables, false).ok());
}

}  // namespace
}  // namespace wallaby
