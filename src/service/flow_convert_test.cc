#include "service/flow_convert.h"

#include "gtest/gtest.h"

namespace wallaby {
namespace {

Flow Full() {
  Flow flow;
  flow.id = "shop";
  flow.name = "Shop";
  flow.source = {"db", "postgres", {{"dsn", "postgres://h/d"}, {"slot", "s"}}};
  flow.destinations = {{"lake", "duckdb", {{"dsn", "/tmp/x.db"}}}, {"files", "parquet", {{"path", "/tmp/p"}}}};
  flow.wire_format = WireFormat::kAvro;
  flow.parallelism = 3;
  flow.config.ack_policy = AckPolicy::kPrimary;
  flow.config.primary_destination = "lake";
  flow.config.failure_mode = FailureMode::kDropSlot;
  flow.config.give_up_policy = GiveUpPolicy::kOnRetryExhaustion;
  flow.config.ddl.gate = false;
  flow.config.ddl.auto_apply = true;
  flow.config.ddl.scope = DdlScope::kTable;
  return flow;
}

TEST(FlowConvertTest, EverythingComesBack) {
  v1::Flow proto;
  ASSERT_TRUE(FlowToProto(Full(), &proto).ok());
  const auto back = FlowFromProto(proto);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, Full());
  EXPECT_TRUE(proto.config().ddl().has_gate());
  EXPECT_FALSE(proto.config().ddl().has_auto_approve());
}

TEST(FlowConvertTest, WhatIsUnsetStaysUnset) {
  Flow flow;
  flow.source.type = "postgres";
  v1::Flow proto;
  ASSERT_TRUE(FlowToProto(flow, &proto).ok());
  EXPECT_FALSE(proto.config().has_ddl());
  EXPECT_EQ(*FlowFromProto(proto), flow);
}

TEST(FlowConvertTest, FieldsThatCannotBeAreNamed) {
  v1::Flow proto;
  EXPECT_EQ(FlowFromProto(proto).status().message(), "source.type: is missing");
  ASSERT_TRUE(FlowToProto(Full(), &proto).ok());
  proto.mutable_destinations(1)->set_type(static_cast<v1::EndpointType>(77));
  EXPECT_EQ(FlowFromProto(proto).status().message(), "destinations[1].type: 77 is none of its values");
  proto.mutable_destinations(1)->set_type(v1::ENDPOINT_TYPE_S3);
  proto.mutable_config()->set_failure_mode(static_cast<v1::FailureMode>(9));
  EXPECT_EQ(FlowFromProto(proto).status().message(), "config.failure_mode: 9 is none of its values");

  Flow flow = Full();
  flow.destinations[0].type = "oracle";
  const absl::Status status = FlowToProto(flow, &proto);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message().substr(0, 36), "destinations[0].type: got 'oracle'; ");
}

TEST(FlowConvertTest, EveryTypeOfTheWireHasItsName) {
  const auto* types = v1::EndpointType_descriptor();
  for (int i = 0; i < types->value_count(); ++i) {
    const auto type = static_cast<v1::EndpointType>(types->value(i)->number());
    if (type == v1::ENDPOINT_TYPE_UNSPECIFIED) continue;
    EXPECT_NE(EndpointTypeName(type), "") << types->value(i)->name();
    EXPECT_EQ(EndpointTypeFromName(EndpointTypeName(type)), type);
  }
}

TEST(FlowConvertTest, StatesHaveTheSameValues) {
  for (const auto& [state, name] :
       {std::pair(v1::FLOW_STATE_CREATED, "created"), std::pair(v1::FLOW_STATE_RUNNING, "running"),
        std::pair(v1::FLOW_STATE_PAUSED, "paused"), std::pair(v1::FLOW_STATE_STOPPING, "stopping"),
        std::pair(v1::FLOW_STATE_FAILED, "failed"), std::pair(v1::FLOW_STATE_STOPPED, "stopped")}) {
    EXPECT_EQ(FlowStateName(FlowStateFromProto(state)), name);
    EXPECT_EQ(FlowStateToProto(FlowStateFromProto(state)), state);
  }
}

}  // namespace
}  // namespace wallaby
