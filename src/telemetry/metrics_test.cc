#include "telemetry/metrics.h"

#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "telemetry/metric_table.h"
#include "telemetry/metrics_snapshot.h"
#include "telemetry/prometheus_text.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricsTest, InstrumentsExistAtZeroAndAreFoundAgain) {
  MetricRegistry registry;
  Counter& counter = registry.GetCounter(kErrors, {{"error_type", "internal"}});
  EXPECT_EQ(&counter, &registry.GetCounter(kErrors, {{"error_type", "internal"}}));
  EXPECT_NE(&counter, &registry.GetCounter(kErrors, {{"error_type", "aborted"}}));
  registry.GetHistogram(kBatchLatency);
  EXPECT_EQ(
      PrometheusText(registry.Collect()).find("wallaby_errors_total{error_type=\"internal\"} 0") != std::string::npos,
      true);
  EXPECT_THAT(PrometheusText(registry.Collect()), HasSubstr("wallaby_batch_latency_count 0"));
}

TEST(MetricsTest, NothingIsLostBetweenThreads) {
  MetricRegistry registry;
  Counter& counter = registry.GetCounter(kRecordsProcessed);
  Histogram& histogram = registry.GetHistogram(kBatchRecords);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10000; ++n) {
        counter.Add();
        histogram.Observe(2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 40000);
  EXPECT_EQ(histogram.value().total(), 40000);
  EXPECT_EQ(histogram.value().sum, 80000);
}

TEST(MetricsTest, BucketsHoldTheirUpperBound) {
  Histogram histogram(kRecordBounds);
  for (const double value : {0.0, 1.0, 1.5, 10.0, 100000.0, 100001.0}) histogram.Observe(value);
  const HistogramValue value = histogram.value();
  ASSERT_EQ(value.counts.size(), kRecordBounds.size() + 1);
  EXPECT_EQ(value.counts.front(), 2);
  EXPECT_EQ(value.counts[1], 2);
  EXPECT_EQ(value.counts[9], 1);
  EXPECT_EQ(value.counts[10], 1);
}

TEST(MetricsTest, UnknownGaugesAreNotShown) {
  MetricRegistry registry;
  Gauge& gauge = registry.GetGauge(kReplicationLag, {{"slot", "s"}});
  EXPECT_TRUE(registry.Collect().empty());
  gauge.Set(12);
  EXPECT_THAT(PrometheusText(registry.Collect()), HasSubstr("wallaby_source_replication_lag{slot=\"s\"} 12"));
  gauge.SetUnknown();
  EXPECT_TRUE(registry.Collect().empty());
}

TEST(MetricsTest, WhatTwoProcessesCountedIsOneSeries) {
  std::vector<MetricFamily> families;
  AddSamples(kDdlApplied, {{{{"type", "duckdb"}, {"flow_id", "a"}}, 2, {}}, {{{"type", "duckdb"}}, 1, {}}}, &families);
  AddSamples(kDdlApplied, {{{{"flow_id", "a"}, {"type", "duckdb"}}, 3, {}}}, &families);
  AddSamples(kBatchRecords, {{{}, 0, {{1, 2}, 5}}, {{}, 0, {{3, 4}, 6}}}, &families);
  UniteSamples(&families);
  ASSERT_EQ(families[0].samples.size(), 2u);
  EXPECT_EQ(families[0].samples[0].value, 5);
  EXPECT_EQ(families[0].samples[1].value, 1);
  ASSERT_EQ(families[1].samples.size(), 1u);
  EXPECT_EQ(families[1].samples[0].histogram.counts, (std::vector<int64_t>{4, 6}));
  EXPECT_EQ(families[1].samples[0].histogram.sum, 11);
}

TEST(MetricsTest, ALabelOfItsOwnWinsOverACommonOne) {
  MetricRegistry registry;
  registry.SetCommonLabels({{"flow_id", "common"}});
  registry.GetCounter(kDdlApplied, {{"flow_id", "own"}});
  EXPECT_EQ(registry.Collect()[0].samples[0].labels, (Labels{{"flow_id", "own"}}));
}

TEST(PrometheusTest, NamesEndInTotalOnce) {
  EXPECT_EQ(PrometheusName(kDdlGated), "wallaby_ddl_gated_total");
  EXPECT_EQ(PrometheusName(kErrors), "wallaby_errors_total");
  EXPECT_EQ(PrometheusName(kRecordsProcessed), "wallaby_records_processed_total");
  EXPECT_EQ(PrometheusName(kDdlApplied), "wallaby_destination_ddl_applied_total");
  EXPECT_EQ(PrometheusName(kReplicationLag), "wallaby_source_replication_lag");
  EXPECT_EQ(PrometheusName(kBatchLatency), "wallaby_batch_latency");
}

TEST(PrometheusTest, PageHasHelpTypeLabelsAndBuckets) {
  MetricRegistry registry;
  registry.SetCommonLabels({{"flow.id", "a\"b\\c\nd\xff"}});
  registry.GetCounter(kDdlGated, {{"ddl.status", "pending"}}).Add(3);
  registry.GetHistogram(kBatchRecords).Observe(7);
  const std::string page = PrometheusText(registry.Collect());
  EXPECT_THAT(page, HasSubstr("# TYPE wallaby_ddl_gated_total counter\n"
                              "wallaby_ddl_gated_total{ddl_status=\"pending\",flow_id=\"a\\\"b\\\\c\\nd?\"} 3\n"));
  EXPECT_THAT(page, HasSubstr("# HELP wallaby_ddl_gated_total "));
  EXPECT_THAT(page, HasSubstr("le=\"1\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("le=\"10\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("le=\"+Inf\"} 1\n"));
  EXPECT_THAT(page, Not(HasSubstr("total_total")));
}

TEST(SnapshotTest, ComesBackAsItWas) {
  MetricRegistry registry;
  registry.GetCounter(kRecordsProcessed).Add(123456789012345);
  registry.GetCounter(kDestinationWrites, {{"destination", "lake \xff"}}).Add(2);
  registry.GetGauge(kReplicationLag, {{"slot", "s"}}).Set(0.5);
  registry.GetHistogram(kBatchLatency).Observe(0.003);
  const auto back = DecodeMetrics(EncodeMetrics(registry.Collect()));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(PrometheusText(*back), PrometheusText(registry.Collect()));
}

TEST(SnapshotTest, WhatThisVersionDoesNotKnowIsLeftOut) {
  const auto back = DecodeMetrics(
      R"({"metrics":{"wallaby.of.the.future":[{"v":1}],"wallaby.batch.records":[{"c":[1,2],"s":3}],)"
      R"("wallaby.records.processed":[{"v":"x"},{"l":[],"v":1},7,{"v":5}],"wallaby.batches.processed":{}},"more":1})");
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->size(), 1u);
  EXPECT_EQ((*back)[0].def, &kRecordsProcessed);
  ASSERT_EQ((*back)[0].samples.size(), 1u);
  EXPECT_EQ((*back)[0].samples[0].value, 5);
}

TEST(SnapshotTest, OtherTextIsRefusedAndNoneIsEmpty) {
  EXPECT_TRUE(DecodeMetrics("")->empty());
  for (const char* text : {"{", "[]", "{}", "{\"metrics\":1}", "7"}) {
    EXPECT_EQ(DecodeMetrics(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(MetricTableTest, NamesAreUniqueAndDocumented) {
  const char* source = std::getenv("WALLABY_SOURCE_DIR");
  ASSERT_NE(source, nullptr);
  std::ifstream in(absl::StrCat(source, "/docs/metrics.md"));
  const std::string page{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  std::set<std::string_view> names;
  for (const MetricDef* def : kAllMetrics) {
    EXPECT_TRUE(names.insert(def->name).second) << def->name;
    EXPECT_THAT(page, HasSubstr(absl::StrCat("`", def->name, "`")));
    EXPECT_EQ(def->bounds.empty(), def->kind != MetricKind::kHistogram) << def->name;
  }
}

}  // namespace
}  // namespace wallaby
