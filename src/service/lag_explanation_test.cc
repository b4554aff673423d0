#include "service/lag_explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/slot_watch.h"
#include "telemetry/metric_table.h"
#include "telemetry/metrics_snapshot.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;

class LagExplanationTest : public ::testing::Test {
 protected:
  // A flow that runs and is up to date.
  LagExplanationTest() {
    flow_.set_id("shop");
    flow_.set_state(v1::FLOW_STATE_RUNNING);
    flow_.set_activity("streaming");
    flow_.mutable_checkpoint()->set_lsn("0/100");
    for (const char* name : {"lake", "copy"}) {
      flow_.add_destinations()->set_name(name);
      facts_.destinations.push_back({.name = name, .queue_limit_bytes = 16 << 20});
    }
    v1::SlotStatus* slot = flow_.mutable_slot();
    slot->set_name("s");
    slot->set_exists(true);
    slot->set_active(true);
    slot->set_wal_status("reserved");
    slot->mutable_sender()->set_pid(7);
    slot->mutable_sender()->set_state("streaming");
    facts_.worker_reports = true;
  }

  v1::LagExplanation Explain() { return ExplainLag(facts_); }
  std::string Where() { return Explain().where(); }

  v1::Flow flow_;
  LagFacts facts_{.flow = flow_};
};

TEST_F(LagExplanationTest, Nothing) {
  EXPECT_EQ(Where(), "nothing");
  flow_.mutable_lag()->set_bytes(5 << 20);  // not confirmed yet, but delivered
  EXPECT_EQ(Where(), "nothing");
}

TEST_F(LagExplanationTest, AFlowThatHasNotBegun) {
  flow_.clear_checkpoint();
  flow_.mutable_slot()->set_exists(false);
  flow_.set_activity("starting");
  EXPECT_EQ(Where(), "worker");
  EXPECT_EQ(Explain().sentence(),
            "Nothing is delivered yet: the flow has no place in the source's changes so far, and its worker is at the "
            "start: starting.");
}

// What is delivered into a stream may lie there unread.
TEST_F(LagExplanationTest, AGroupOfConsumersThatIsBehind) {
  v1::StreamReader* reader = flow_.add_stream_readers();
  reader->set_stream("orders");
  reader->set_consumer_group("billing");
  reader->set_lag_messages(98);
  reader->set_lag_seconds(12);
  EXPECT_EQ(Explain().sentence(), "Nothing lags: what is committed at the source is delivered.");
  reader->set_lag_seconds(312.7);
  EXPECT_EQ(
      Explain().sentence(),
      "Nothing lags: what is committed at the source is delivered. Consumer group billing of stream orders has not "
      "acknowledged 98 messages, the oldest for 5m12s.");
  EXPECT_EQ(Explain().remedy(), "wallaby-admin stream groups -stream orders");
  EXPECT_EQ(Where(), "nothing");
  flow_.set_state(v1::FLOW_STATE_PAUSED);
  EXPECT_EQ(Where(), "paused");
  EXPECT_THAT(Explain().sentence(), HasSubstr("Consumer group billing"));
  EXPECT_EQ(Explain().remedy(), "wallaby-admin flow resume -flow-id shop");
}

TEST_F(LagExplanationTest, ASecondaryIsNamedThoughTheFlowIsUpToDate) {
  v1::DestinationStatus* primary = flow_.add_destination_status();
  primary->set_name("lake");
  primary->set_role("primary");
  v1::DestinationStatus* lane = flow_.add_destination_status();
  lane->set_name("copy");
  lane->set_role("secondary");
  lane->set_state("live");
  EXPECT_EQ(Where(), "nothing");
  lane->mutable_lag()->set_bytes(80 << 20);
  lane->mutable_lag()->set_seconds(70);
  lane->set_state("catching up");
  EXPECT_EQ(Explain().object(), "copy");
  EXPECT_EQ(Explain().sentence(), "Destination copy is 80 MiB behind while the others go on: catching up.");
  lane->set_state("failing");
  lane->set_error("connection refused");
  EXPECT_EQ(Explain().object(), "copy");
  EXPECT_THAT(Explain().sentence(), HasSubstr("it is tried again, the last try ended with: connection refused"));
  EXPECT_EQ(Explain().remedy(), "");
  lane->set_state("failed");
  EXPECT_EQ(Explain().remedy(), "wallaby-admin flow pause -flow-id shop; wallaby-admin flow resume -flow-id shop");
}

TEST_F(LagExplanationTest, SlotThatIsLostWeighsMost) {
  flow_.mutable_slot()->set_wal_status("lost");
  flow_.mutable_slot()->set_invalidation_reason("wal_removed");
  flow_.set_state(v1::FLOW_STATE_FAILED);
  EXPECT_EQ(Where(), "slot_lost");
  EXPECT_THAT(Explain().sentence(), HasSubstr("Slot s is lost (wal_removed)"));
  EXPECT_EQ(Explain().remedy(), "wallaby-worker -flow-id shop -mode backfill");
  flow_.mutable_slot()->set_exists(false);
  facts_.worker_reports = false;
  flow_.clear_checkpoint();
  EXPECT_EQ(Where(), "no_worker") << "a flow that never ran has no slot";
  flow_.mutable_checkpoint()->set_lsn("0/10");
  EXPECT_EQ(Where(), "slot_missing");
}

TEST_F(LagExplanationTest, GateByTheStepThatIsDue) {
  flow_.set_state(v1::FLOW_STATE_PAUSED);
  facts_.worker_reports = false;
  DdlEvent event;
  event.id = 3;
  event.table = "public.orders";
  facts_.ddl = {event};
  EXPECT_EQ(Where(), "gate");
  EXPECT_EQ(Explain().remedy(), "wallaby-admin ddl approve -id 3");
  facts_.ddl[0].status = DdlStatus::kFailed;
  facts_.ddl[0].error = "no space";
  EXPECT_EQ(Explain().remedy(), "wallaby-admin ddl apply -id 3");
  EXPECT_THAT(Explain().sentence(), HasSubstr("is failed, whose last try ended with: no space"));
  facts_.ddl.clear();
  EXPECT_EQ(Where(), "paused");
  EXPECT_EQ(Explain().remedy(), "wallaby-admin flow resume -flow-id shop");
}

TEST_F(LagExplanationTest, AGateThatHoldsTablesOnly) {
  DdlEvent event;
  event.id = 3;
  event.table = "public.orders";
  facts_.ddl = {event};
  EXPECT_EQ(Where(), "nothing");  // it is decided at its place in the stream
  v1::HeldTable* held = flow_.add_held_tables();
  held->set_table("public.orders");
  held->set_lsn("0/100");
  EXPECT_EQ(Where(), "gate");
  EXPECT_EQ(Explain().sentence(),
            "A gate holds table public.orders, while the others go on: schema change 3 of table public.orders is "
            "pending; changes wait since 0/100.");
  EXPECT_EQ(Explain().remedy(), "wallaby-admin ddl approve -id 3");
  flow_.add_held_tables()->set_table("public.lines");
  EXPECT_THAT(Explain().sentence(), HasSubstr("table public.orders and 1 other, while"));
  facts_.destinations[0].busy = absl::Seconds(72);
  EXPECT_EQ(Where(), "destination");
}

TEST_F(LagExplanationTest, AFlowThatFailedHasTheRemedyOfItsReason) {
  facts_.worker_reports = false;
  flow_.set_state(v1::FLOW_STATE_FAILED);
  flow_.set_reason("the disk is full");
  EXPECT_EQ(Explain().remedy(), "wallaby-admin flow start -flow-id shop");
  flow_.set_reason(
      "slot s is gone; to copy every table again and go on from there, run: wallaby-worker -flow-id shop -mode "
      "backfill");
  EXPECT_EQ(Explain().remedy(), "wallaby-worker -flow-id shop -mode backfill; wallaby-admin flow start -flow-id shop");
  // A stopped flow has no reason, and perhaps an error that came later.
  flow_.set_state(v1::FLOW_STATE_STOPPED);
  flow_.clear_reason();
  flow_.set_error("its part of the spool was dropped; run: wallaby-worker -flow-id shop -mode backfill");
  EXPECT_EQ(Explain().remedy(), "wallaby-worker -flow-id shop -mode backfill; wallaby-admin flow start -flow-id shop");
  EXPECT_THAT(Explain().sentence(), HasSubstr("is stopped (its part of the spool was dropped"));
}

TEST_F(LagExplanationTest, WorkerThatDoesNotReport) {
  facts_.worker_reports = false;
  flow_.set_activity("waiting for its worker");
  flow_.mutable_slot()->set_retained_bytes(20 << 20);
  EXPECT_EQ(Explain().sentence(),
            "The flow is running, but no worker has told about itself lately (waiting for its worker); its slot keeps "
            "20 MiB of WAL.");
}

TEST_F(LagExplanationTest, AttemptsThatFailNameWhoseErrorItIs) {
  facts_.failing = absl::Seconds(75);
  flow_.set_error("opening destination copy: connection refused");
  EXPECT_EQ(Where(), "destination");
  EXPECT_EQ(Explain().object(), "copy");
  EXPECT_EQ(Explain().sentence(),
            "Destination copy does not take what arrives: attempts fail for 1m15s now, the last with: opening "
            "destination copy: connection refused");
  flow_.set_error("connecting to PostgreSQL: refused");
  EXPECT_EQ(Where(), "source");
  facts_.failing = absl::ZeroDuration();
  EXPECT_EQ(Where(), "nothing") << "an error of the past";
  flow_.mutable_slot()->set_error("no answer");
  EXPECT_EQ(Where(), "source");
}

TEST_F(LagExplanationTest, DestinationThatIsStuckOrSlow) {
  facts_.destinations[0].queued_bytes = 9 << 20;
  EXPECT_EQ(Explain().object(), "lake");
  EXPECT_EQ(Explain().sentence(), "Destination lake is slower than what arrives: 9 MiB of at most 16 MiB wait for it.");
  facts_.destinations[1].busy = absl::Seconds(30);
  EXPECT_EQ(Explain().object(), "copy") << "stuck weighs more than slow";
  EXPECT_THAT(Explain().sentence(), HasSubstr("has been at one write for 30s, with 0 KiB waiting behind it"));
  facts_.destinations[1].busy = absl::Seconds(1);
  facts_.destinations[0].queued_bytes = 7 << 20;
  EXPECT_EQ(Where(), "nothing");
}

TEST_F(LagExplanationTest, AFullSpoolIsToldBesides) {
  facts_.destinations[0].queued_bytes = 9 << 20;
  flow_.mutable_spool()->set_full_in_seconds(60);
  EXPECT_EQ(Explain().sentence().find("spool"), std::string::npos);
  flow_.mutable_spool()->set_full_in_seconds(0);
  EXPECT_THAT(Explain().sentence(), HasSubstr("wait for it. The spool is full: the slot is read no further"));
}

TEST_F(LagExplanationTest, AFullSpoolIsNotASourceThatDecodes) {
  flow_.mutable_spool()->set_full_in_seconds(0);
  EXPECT_EQ(Where(), "nothing");
  flow_.mutable_slot()->mutable_sender()->set_unsent_bytes(30 << 20);
  flow_.mutable_slot()->set_retained_bytes(31 << 20);
  flow_.set_activity("streaming; the spool is full: flow a holds 64 MiB of it");
  EXPECT_EQ(Where(), "spool");
  EXPECT_EQ(Explain().sentence(),
            "The spool is full (flow a holds 64 MiB of it): the slot is read no further until there is room in it; its "
            "slot keeps 31 MiB of WAL.");
}

TEST_F(LagExplanationTest, BetweenSourceAndWorker) {
  v1::WalSender* sender = flow_.mutable_slot()->mutable_sender();
  sender->set_unreceived_bytes(3 << 20);
  EXPECT_EQ(Where(), "network");
  sender->set_unsent_bytes(2 << 20);
  EXPECT_EQ(Where(), "decoding");
  EXPECT_THAT(Explain().sentence(), HasSubstr("its process 7 (streaming) has 2 MiB of WAL before it"));
  flow_.add_tables()->set_state("copying");
  EXPECT_EQ(Where(), "snapshot");
  flow_.mutable_tables(0)->set_state("done");
  flow_.mutable_slot()->clear_sender();
  flow_.mutable_lag()->set_bytes(2 << 20);
  flow_.mutable_lag()->set_seconds(4);
  EXPECT_EQ(Where(), "worker");
  flow_.set_activity("catching up");
  EXPECT_THAT(Explain().sentence(), HasSubstr("2 MiB behind: catching up"));
}

TEST_F(LagExplanationTest, TransactionThatHoldsWhatTheFlowDoesNot) {
  v1::SlotStatus* slot = flow_.mutable_slot();
  slot->set_retained_bytes(40 << 20);
  slot->set_restart_lsn("0/1000000");
  slot->set_confirmed_flush_lsn("0/3000000");
  EXPECT_EQ(Where(), "nothing") << "nobody holds it";
  v1::SlotHolder* holder = slot->add_holders();
  holder->set_pid(4711);
  holder->set_sentence("pid 4711 (idle in transaction, 2h) of role app in database shop");
  holder->set_sql("SELECT pg_terminate_backend(4711);");
  EXPECT_EQ(Where(), "transaction");
  EXPECT_EQ(Explain().object(), "pid 4711");
  EXPECT_EQ(Explain().remedy(), holder->sql());
  slot->set_confirmed_flush_lsn("0/1800000");
  EXPECT_EQ(Where(), "nothing") << "what is kept is the flow's own";
}

TEST(ReadLoadsTest, FromAWorkersMetrics) {
  std::vector<MetricFamily> families;
  AddSamples(kDestinationQueue, {{{{"destination", "lake"}, {"flow_id", "shop"}}, 5, {}}}, &families);
  AddSamples(kDestinationQueueLimit, {{{{"destination", "lake"}}, 16, {}}}, &families);
  AddSamples(kDestinationBusy, {{{{"destination", "lake"}}, 1.5, {}}}, &families);
  AddSamples(kWorkerFailing, {{{}, 7, {}}}, &families);
  const v1::Flow flow;
  LagFacts facts{.flow = flow};
  ASSERT_TRUE(ReadLoads(EncodeMetrics(families), &facts).ok());
  ASSERT_EQ(facts.destinations.size(), 1u);
  EXPECT_EQ(facts.destinations[0].queued_bytes, 5);
  EXPECT_EQ(facts.destinations[0].queue_limit_bytes, 16);
  EXPECT_EQ(facts.destinations[0].busy, absl::Milliseconds(1500));
  EXPECT_EQ(facts.failing, absl::Seconds(7));
  EXPECT_FALSE(ReadLoads("not json", &facts).ok());
}

TEST(GrowthTest, OverTheLastMinutes) {
  Growth growth;
  const absl::Time start = absl::FromUnixSeconds(1000);
  EXPECT_FALSE(growth.rate());
  growth.Add(start, 0);
  EXPECT_FALSE(growth.rate());
  growth.Add(start + absl::Seconds(10), 1000);
  EXPECT_DOUBLE_EQ(*growth.rate(), 100);
  growth.Add(start + absl::Seconds(20), 0);
  EXPECT_DOUBLE_EQ(*growth.rate(), 0);
  growth.Add(start + absl::Minutes(10), 5000);  // what was long ago is forgotten
  EXPECT_FALSE(growth.rate());
}

}  // namespace
}  // namespace wallaby
