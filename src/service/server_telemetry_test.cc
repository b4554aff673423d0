// What an operator sees of a real server: the pages over real HTTP.
#include "service/server_telemetry.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "httplib.h"
#include "service/service_test_base.h"
#include "telemetry/metric_table.h"
#include "telemetry/metrics_snapshot.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::Not;

class ServerTelemetryTest : public ServiceTest {
 protected:
  ServerTelemetryTest() {
    settings_.metrics_listen = "127.0.0.1:0";
    settings_.admin_listen = "127.0.0.1:0";
    BeginTelemetry();
  }
  // Anew, with settings_.
  void BeginTelemetry() {
    telemetry_.reset();
    telemetry_access_ = Access::Make(settings_.access).value();
    auto started = ServerTelemetry::Start(store_.get(), store_.get(), telemetry_access_.get(), settings_);
    EXPECT_TRUE(started.ok()) << started.status();
    telemetry_ = *std::move(started);
  }
  ~ServerTelemetryTest() override { telemetry_.reset(); }

  httplib::Client Admin() { return httplib::Client("127.0.0.1", telemetry_->admin_port()); }
  std::string Page() {
    const auto answer = httplib::Client("127.0.0.1", telemetry_->metrics_port()).Get("/metrics");
    EXPECT_TRUE(answer);
    return answer ? answer->body : "";
  }
  std::string PutFlow(const std::string& id) {
    Flow flow;
    flow.id = flow.name = id;
    flow.source = {"db", "postgres", {{"dsn", "postgres://127.0.0.1:1/none"}}};
    flow.destinations = {{"lake", "duckdb", {{"dsn", "/tmp/x.db"}}}};
    EXPECT_TRUE(store_->CreateFlow(flow).ok());
    return id;
  }
  void PutReport(const std::string& id, int64_t records, absl::Time at) {
    MetricRegistry worker;
    worker.SetCommonLabels({{"flow_id", "what the worker says"}});
    worker.GetCounter(kRecordsProcessed).Add(records);
    worker.GetGauge(kReplicationLag, {{"slot", "s1"}}).Set(4096);
    EXPECT_TRUE(store_->PutReport(id, {.slot = "s1", .at = at, .metrics = EncodeMetrics(worker.Collect())}).ok());
  }

  std::unique_ptr<Access> telemetry_access_;
  std::unique_ptr<ServerTelemetry> telemetry_;
};

TEST_F(ServerTelemetryTest, PagesOfTheAdminListener) {
  auto admin = Admin();
  const auto health = admin.Get("/healthz");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->status, 200);
  EXPECT_EQ(admin.Get("/readyz")->status, 200);
  const auto metrics = admin.Get("/metrics");
  EXPECT_EQ(metrics->status, 200);
  EXPECT_THAT(metrics->get_header_value("Content-Type"), HasSubstr("version=0.0.4"));
  EXPECT_THAT(metrics->body, HasSubstr("wallaby_control_store_up 1\n"));
  const auto nowhere = admin.Get("/nowhere");
  EXPECT_EQ(nowhere->status, 404);
  EXPECT_THAT(nowhere->body, HasSubstr("/readyz"));
}

TEST_F(ServerTelemetryTest, RecoverySaysThatDbosIsOff) {
  auto admin = Admin();
  for (const auto& answer :
       {admin.Post("/dbos-workflow-recovery"), admin.Post("/dbos-workflow-recovery", "[\"local\"]", "application/json"),
        admin.Post("/dbos-workflow-recovery", "", "text/plain")}) {
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503);
    EXPECT_EQ(answer->get_header_value("Content-Type"), "application/json");
    EXPECT_EQ(answer->body, "{\"error\":\"DBOS is not enabled on this server; set WALLABY_DBOS_ENABLED=true\"}\n");
  }
  EXPECT_EQ(admin.Get("/dbos-workflow-recovery")->status, 404);
}

TEST_F(ServerTelemetryTest, GatedTotalIsThereAtZeroAndCountsEvents) {
  EXPECT_THAT(Page(), Not(HasSubstr("wallaby_ddl_gated_total")));
  const std::string series = "wallaby_ddl_gated_total{flow_id=\"shop\",ddl_status=\"pending\"} ";
  PutFlow("shop");
  EXPECT_THAT(Page(), HasSubstr(series + "0\n"));
  DdlEvent event;
  event.flow_id = "shop";
  event.lsn = Lsn{7};
  event.ddl = "ALTER TABLE a ADD COLUMN b int";
  event.gated = true;
  ASSERT_TRUE(store_->RecordDdl({event}).ok());
  EXPECT_THAT(Page(), HasSubstr(series + "1\n"));
  // The same event once more, by a worker that came back, is no second one.
  ASSERT_TRUE(store_->RecordDdl({event}).ok());
  EXPECT_THAT(Page(), HasSubstr(series + "1\n"));
  EXPECT_THAT(Page(), Not(HasSubstr("total_total")));
}

TEST_F(ServerTelemetryTest, StatesAndTransitions) {
  PutFlow("shop");
  const std::string paused = "wallaby_flow_state{flow_id=\"shop\",state=\"paused\"} ";
  const std::string change = "wallaby_flow_state_transitions_total{from_state=\"running\",to_state=\"paused\"} ";
  std::string page = Page();
  EXPECT_THAT(page, HasSubstr("wallaby_flow_state{flow_id=\"shop\",state=\"created\"} 1\n"));
  EXPECT_THAT(page, HasSubstr(paused + "0\n"));
  EXPECT_THAT(page, HasSubstr(change + "0\n"));
  EXPECT_THAT(page, HasSubstr("wallaby_flow_create_total 1\n"));
  EXPECT_THAT(page, HasSubstr("wallaby_flows_active 0\n"));
  ASSERT_TRUE(store_->Transition("shop", {}, FlowState::kRunning, "").ok());
  EXPECT_THAT(Page(), HasSubstr("wallaby_flows_active 1\n"));
  ASSERT_TRUE(store_->Transition("shop", {}, FlowState::kPaused, "ddl_pending").ok());
  page = Page();
  EXPECT_THAT(page, HasSubstr(paused + "1\n"));
  EXPECT_THAT(page, HasSubstr(change + "1\n"));
}

TEST_F(ServerTelemetryTest, WorkersValuesUnderTheirFlow) {
  PutFlow("a");
  PutFlow("b");
  PutReport("a", 5, absl::Now());
  PutReport("b", 7, absl::Now() - absl::Minutes(5));
  ASSERT_TRUE(store_->PutCheckpoint("a", {Lsn{42}, absl::Now(), {}}, 0).ok());
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("wallaby_records_processed_total{flow_id=\"a\"} 5\n"));
  EXPECT_THAT(page, HasSubstr("wallaby_records_processed_total{flow_id=\"b\"} 7\n"));
  // What a worker said minutes ago about the lag is not the lag now.
  EXPECT_THAT(page, HasSubstr("wallaby_source_replication_lag{slot=\"s1\",flow_id=\"a\"} 4096\n"));
  EXPECT_THAT(page, Not(HasSubstr("wallaby_source_replication_lag{slot=\"s1\",flow_id=\"b\"}")));
  EXPECT_THAT(page, HasSubstr("wallaby_worker_report_age{flow_id=\"b\"} 3"));
  EXPECT_THAT(page, HasSubstr("wallaby_checkpoint_age{flow_id=\"a\"}"));
  EXPECT_THAT(page, Not(HasSubstr("what the worker says")));
}

TEST_F(ServerTelemetryTest, AReportThatCannotBeReadHidesNothingElse) {
  PutFlow("a");
  ASSERT_TRUE(store_->PutReport("a", {.slot = "s", .at = absl::Now(), .metrics = "{broken"}).ok());
  EXPECT_THAT(Page(), HasSubstr("wallaby_ddl_gated_total{flow_id=\"a\",ddl_status=\"pending\"} 0\n"));
}

TEST_F(ServerTelemetryTest, CallsAreCounted) {
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("wallaby_grpc_requests_total{method=\"FlowService/DeleteFlow\",status=\"ok\"} 0\n"));
  v1::Flow flow;
  EXPECT_EQ(Get("nobody", &flow).error_code(), grpc::StatusCode::NOT_FOUND);
  Create(MakeFlow("Shop"));
  const auto counted = [&](const std::string& series) {
    const std::string now = Page();
    const size_t at = now.find(series + " ");
    return at == std::string::npos ? -1 : std::atoi(now.c_str() + at + series.size());
  };
  // The process's counters also hold what tests before this one did.
  EXPECT_GE(counted("wallaby_grpc_requests_total{method=\"FlowService/CreateFlow\",status=\"ok\"}"), 1);
  EXPECT_GE(counted("wallaby_grpc_requests_total{method=\"FlowService/GetFlow\",status=\"error\"}"), 1);
  EXPECT_GE(counted("wallaby_grpc_errors_total{method=\"FlowService/GetFlow\",code=\"not_found\"}"), 1);
  EXPECT_GE(counted("wallaby_grpc_request_latency_count{method=\"FlowService/CreateFlow\"}"), 1);
}

TEST_F(ServerTelemetryTest, APortInUseIsNamedWithItsSetting) {
  Settings settings;
  settings.metrics_listen = absl::StrCat("127.0.0.1:", telemetry_->metrics_port());
  const auto second = ServerTelemetry::Start(store_.get(), store_.get(), access_.get(), settings);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("WALLABY_METRICS_LISTEN"));
}

TEST(ServerTelemetryOffTest, NothingListensUnasked) {
  const std::string folder = testing::TempDir() + "/wallaby-telemetry-off";
  const auto store = OpenSqliteStore(folder + "/wallaby.db").value();
  const auto telemetry = ServerTelemetry::Start(store.get(), store.get(), nullptr, Settings());
  ASSERT_TRUE(telemetry.ok());
  EXPECT_EQ((*telemetry)->metrics_port(), 0);
  EXPECT_EQ((*telemetry)->admin_port(), 0);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace wallaby
