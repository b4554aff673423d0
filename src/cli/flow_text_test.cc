#include "cli/flow_text.h"

#include "gtest/gtest.h"

namespace wallaby {
namespace {

constexpr int64_t kMillis = 1769879045000;  // 2026-01-31 17:04:05 UTC

v1::Flow Orders() {
  v1::Flow flow;
  flow.set_id("orders-1");
  flow.set_name("orders");
  flow.set_state(v1::FLOW_STATE_RUNNING);
  flow.mutable_source()->set_name("shop");
  flow.mutable_source()->set_type(v1::ENDPOINT_TYPE_POSTGRES);
  flow.add_destinations()->set_name("lake");
  flow.mutable_destinations(0)->set_type(v1::ENDPOINT_TYPE_DUCKDB);
  flow.add_destinations()->set_type(v1::ENDPOINT_TYPE_PARQUET);
  flow.mutable_checkpoint()->set_lsn("0/16B3748");
  flow.mutable_checkpoint()->set_timestamp_unix_millis(kMillis);
  flow.mutable_slot()->set_name("orders_slot");
  flow.mutable_slot()->set_exists(true);
  flow.mutable_slot()->set_active(true);
  flow.mutable_slot()->set_active_pid(4711);
  flow.mutable_slot()->set_retained_bytes(16 << 20);
  flow.mutable_slot()->set_wal_status("reserved");
  flow.mutable_lag()->set_bytes(2048);
  flow.mutable_lag()->set_seconds(0.2);
  flow.set_activity("streaming");
  return flow;
}

absl::Time Now() {
  return absl::FromUnixMillis(kMillis + 65000);
}

TEST(FlowTextTest, ShowsAllThatIsKnown) {
  EXPECT_EQ(FlowText(Orders(), Now()),
            "id:              orders-1\n"
            "name:            orders\n"
            "state:           running\n"
            "reason:          -\n"
            "source:          shop (postgres)\n"
            "destinations:    lake (duckdb), parquet\n"
            "last checkpoint: 0/16B3748 at 2026-01-31 17:04:05 UTC (1m 5s ago)\n"
            "slot name:       orders_slot\n"
            "slot active:     yes (pid 4711)\n"
            "retained WAL:    16 MiB\n"
            "lag:             2.0 KiB, 0.2s\n"
            "pending DDL:     0\n"
            "activity:        streaming\n"
            "last error:      -\n");
}

TEST(FlowTextTest, SaysWhatIsNotKnown) {
  v1::Flow flow;
  flow.set_id("new");
  flow.set_state(v1::FLOW_STATE_CREATED);
  flow.mutable_lag()->set_bytes(-1);
  flow.mutable_lag()->set_seconds(-1);
  flow.mutable_slot()->set_name("s");
  flow.mutable_slot()->set_error("connection refused");
  const std::string text = FlowText(flow, Now());
  EXPECT_NE(text.find("last checkpoint: -\n"), std::string::npos) << text;
  EXPECT_NE(text.find("slot active:     unknown: connection refused\n"), std::string::npos) << text;
  EXPECT_NE(text.find("retained WAL:    -\n"), std::string::npos) << text;
  EXPECT_NE(text.find("lag:             -\n"), std::string::npos) << text;
  flow.mutable_slot()->clear_error();
  EXPECT_NE(FlowText(flow, Now()).find("slot active:     no, it does not exist\n"), std::string::npos);
}

TEST(FlowTextTest, WhatItHoldsOfTheSpool) {
  v1::Flow flow = Orders();
  flow.mutable_spool()->set_size_bytes(3 << 20);
  flow.mutable_spool()->set_full_in_seconds(-1);
  EXPECT_NE(FlowText(flow, Now()).find("spool:           nothing behind, 3.0 MiB of no limit\n"), std::string::npos)
      << FlowText(flow, Now());
  flow.mutable_spool()->set_behind_bytes(1 << 20);
  flow.mutable_spool()->set_limit_bytes(16 << 20);
  flow.mutable_spool()->set_full_in_seconds(90);
  EXPECT_NE(FlowText(flow, Now()).find("1.0 MiB behind, 3.0 MiB of 16 MiB, full in 1m 30s"), std::string::npos)
      << FlowText(flow, Now());
}

TEST(FlowTextTest, WhoReadsItsStreams) {
  v1::Flow flow = Orders();
  v1::StreamReader* behind = flow.add_stream_readers();
  behind->set_stream("orders");
  behind->set_consumer_group("billing");
  behind->set_lag_messages(98);
  behind->set_lag_seconds(12);
  behind->set_in_flight(2);
  v1::StreamReader* even = flow.add_stream_readers();
  even->set_stream("orders");
  even->set_consumer_group("audit");
  const std::string text = FlowText(flow, Now());
  EXPECT_NE(text.find("read by billing: stream orders, 98 behind, the oldest for 12s, 2 in flight\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("read by audit:   stream orders, 0 behind\n"), std::string::npos) << text;
}

TEST(FlowTextTest, EachOfSeveralDestinationsShows) {
  v1::Flow flow = Orders();
  v1::DestinationStatus* primary = flow.add_destination_status();
  primary->set_name("lake");
  primary->mutable_lag()->set_bytes(-1);
  primary->mutable_lag()->set_seconds(-1);
  EXPECT_EQ(FlowText(flow, Now()).find("to lake:"), std::string::npos) << "there is only one";
  v1::DestinationStatus* lane = flow.add_destination_status();
  lane->set_name("copy");
  lane->set_role("secondary");
  lane->set_state("failing");
  lane->set_lsn("0/16B3748");
  lane->mutable_lag()->set_bytes(2048);
  lane->mutable_lag()->set_seconds(181);
  lane->set_error("connection refused");
  lane->mutable_failing_since()->set_seconds(kMillis / 1000);
  const std::string text = FlowText(flow, Now());
  EXPECT_NE(text.find("to lake:         -\n"), std::string::npos) << text;
  EXPECT_NE(text.find("to copy:         secondary, failing, for 1m 5s, at 0/16B3748, lag 2.0 KiB, 3m 1s: connection "
                      "refused\n"),
            std::string::npos)
      << text;
}

TEST(FlowTextTest, ALostSlotShows) {
  v1::Flow flow = Orders();
  flow.mutable_slot()->set_wal_status("lost");
  flow.mutable_slot()->set_invalidation_reason("wal_removed");
  EXPECT_NE(FlowText(flow, Now()).find("retained WAL:    16 MiB, lost, invalid: wal_removed\n"), std::string::npos);
}

void AddTable(v1::Flow* flow, const std::string& name, const std::string& state, int64_t parts, int64_t parts_done,
              int64_t rows, int64_t estimated) {
  v1::TableProgress* table = flow->add_tables();
  table->set_table(name);
  table->set_state(state);
  table->set_parts_total(parts);
  table->set_parts_done(parts_done);
  table->set_rows_copied(rows);
  table->set_rows_estimated(estimated);
}

TEST(FlowTextTest, TablesShowUntilAllAreCopied) {
  v1::Flow flow = Orders();
  AddTable(&flow, "public.done", "done", 1, 1, 90, 100);
  EXPECT_EQ(FlowText(flow, Now()).find("TABLE"), std::string::npos);
  AddTable(&flow, "public.large", "copying", 8, 3, 500, 400);
  AddTable(&flow, "public.unknown", "copying", 4, 1, 500, -1);
  AddTable(&flow, "public.next", "pending", 0, 0, 0, 10);
  const std::string text = FlowText(flow, Now());
  EXPECT_NE(text.find("\n\n"
                      "TABLE           STATE    PARTS  ROWS  DONE\n"
                      "public.done     done       1/1    90  100%\n"
                      "public.large    copying    3/8   500   99%\n"
                      "public.unknown  copying    1/4   500   25%\n"
                      "public.next     pending      -     0    0%\n"),
            std::string::npos)
      << text;
}

TEST(FlowsTextTest, OneLineAFlow) {
  v1::ListFlowsResponse flows;
  EXPECT_NE(FlowsText(flows, Now()).find("There are no flows"), std::string::npos);
  *flows.add_flows() = Orders();
  v1::Flow* paused = flows.add_flows();
  paused->set_id("b");
  paused->set_state(v1::FLOW_STATE_PAUSED);
  paused->set_reason("ddl_pending");
  EXPECT_EQ(FlowsText(flows, Now()),
            "ID        NAME    STATE    LAG            CHECKPOINT  AGE    REASON\n"
            "orders-1  orders  running  2.0 KiB, 0.2s  0/16B3748   1m 5s  -\n"
            "b         -       paused   -              -           -      ddl_pending\n");
  EXPECT_EQ(FlowLine(*paused), "b: paused (ddl_pending)\n");
}

TEST(FlowsTextTest, ClocksOfTwoMachinesGiveNoNegativeAge) {
  v1::Checkpoint checkpoint;
  checkpoint.set_timestamp_unix_millis(kMillis + 3600 * 1000);
  EXPECT_EQ(CheckpointAge(checkpoint, Now()), "0s");
}

TEST(StateTextTest, NamesStatesOfANewerServer) {
  EXPECT_EQ(StateText(v1::FLOW_STATE_STOPPING), "stopping");
  EXPECT_EQ(StateText(static_cast<v1::FlowState>(99)), "unknown");
}

TEST(FindingsTextTest, EveryFindingWithItsRemedy) {
  v1::ValidateFlowResponse response;
  auto* finding = response.add_findings();
  finding->set_severity("error");
  finding->set_subject("source");
  finding->set_message("wal_level is replica");
  finding->set_remedy("ALTER SYSTEM SET wal_level = logical");
  EXPECT_EQ(FindingsText(response),
            "error: source: wal_level is replica\n"
            "  remedy: ALTER SYSTEM SET wal_level = logical\n"
            "The flow is not valid.\n");
}

}  // namespace
}  // namespace wallaby
