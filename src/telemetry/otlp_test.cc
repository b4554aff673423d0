// What the environment asks for, and the real module against a collector that keeps what it gets.
#include "telemetry/otlp.h"

#include <stdlib.h>

#include <map>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/grpcpp.h"
#include "httplib.h"
#include "telemetry/metric_table.h"
#include "telemetry/trace_events.h"

extern char** environ;

namespace wallaby {
namespace {

using testing::HasSubstr;

// All that came, by path: "/v1/metrics" or the gRPC method.
class Received {
 public:
  void Add(const std::string& path, const std::string& body) {
    std::lock_guard lock(mutex_);
    bodies_[path] += body;
  }
  std::string At(const std::string& path) const {
    std::lock_guard lock(mutex_);
    const auto found = bodies_.find(path);
    return found == bodies_.end() ? "" : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> bodies_;
};

class HttpCollector {
 public:
  HttpCollector() {
    server_.Post(".*", [this](const httplib::Request& request, httplib::Response& response) {
      received.Add(request.path, request.body);
      headers.Add("x", request.get_header_value("x-key"));
      response.set_content("", "application/x-protobuf");
    });
    port = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) absl::SleepFor(absl::Milliseconds(1));
  }
  ~HttpCollector() {
    server_.stop();
    thread_.join();
  }
  Received received;
  Received headers;
  int port = 0;

 private:
  httplib::Server server_;
  std::thread thread_;
};

// Any unary method: keeps the request's bytes and answers with an empty message, which is a valid answer of all three.
class GrpcCollector : public grpc::CallbackGenericService {
 public:
  GrpcCollector() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
  }
  ~GrpcCollector() override { server_->Shutdown(); }

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    class Call final : public grpc::ServerGenericBidiReactor {
     public:
      Call(Received* into, std::string method) : into_(into), method_(std::move(method)) { StartRead(&request_); }
      void OnReadDone(bool ok) override {
        if (!ok) return Finish(grpc::Status::CANCELLED);
        std::vector<grpc::Slice> slices;
        if (request_.Dump(&slices).ok()) {
          for (const grpc::Slice& slice : slices) {
            into_->Add(method_, std::string(reinterpret_cast<const char*>(slice.begin()), slice.size()));
          }
        }
        grpc::Slice empty;
        answer_ = grpc::ByteBuffer(&empty, 1);
        StartWriteAndFinish(&answer_, grpc::WriteOptions(), grpc::Status::OK);
      }
      void OnDone() override { const std::unique_ptr<Call> self(this); }

     private:
      Received* const into_;
      const std::string method_;
      grpc::ByteBuffer request_, answer_;
    };
    return std::make_unique<Call>(&received, context->method()).release();
  }
  Received received;
  int port = 0;

 private:
  std::unique_ptr<grpc::Server> server_;
};

class OtlpTest : public testing::Test {
 protected:
  OtlpTest() {
    std::vector<std::string> names;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string text = *entry;
      if (text.starts_with("OTEL_")) names.push_back(text.substr(0, text.find('=')));
    }
    for (const std::string& name : names) unsetenv(name.c_str());
    setenv("WALLABY_MODULE_DIR", WALLABY_TEST_MODULE_DIR, 1);
  }

  static std::unique_ptr<Otlp> Start(const MetricRegistry& registry) {
    auto started = Otlp::Start(absl::Milliseconds(200), {"test", "1.2.3", [&] { return registry.Collect(); }});
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? *std::move(started) : nullptr;
  }
  // One of each signal; all is sent when this returns.
  static void SendAll() {
    MetricRegistry registry;
    registry.GetCounter(kDdlGated, {{"flow.id", "shop"}, {"ddl.status", "pending"}}).Add(0);
    registry.GetHistogram(kBatchLatency).Observe(0.2);
    const auto otlp = Start(registry);
    ASSERT_NE(otlp, nullptr);
    EXPECT_TRUE(IsTracing());
    Span batch("stream.batch");
    {
      Span read("source.read", &batch);
      const SpanScope scope(&read);
      TraceDdlGate("shop", 1, Lsn{0x20}, "ALTER TABLE a ADD b int");
    }
    Log(LogLevel::kWarn, "flow paused", {{"reason", "ddl_pending"}});
    batch.End();
  }
  static void ExpectAll(const std::string& metrics, const std::string& traces, const std::string& logs) {
    for (const char* part : {"wallaby.ddl.gated_total", "flow.id", "ddl.status", "pending", "wallaby.batch.latency",
                             "service.name", "1.2.3"}) {
      EXPECT_THAT(metrics, HasSubstr(part));
    }
    EXPECT_THAT(metrics, testing::Not(HasSubstr("gated_total_total")));
    for (const char* part :
         {"stream.batch", "source.read", "ddl.gated", "spec_action", "ReadDDL", "flow_state", "Paused"}) {
      EXPECT_THAT(traces, HasSubstr(part));
    }
    EXPECT_THAT(logs, HasSubstr("flow paused"));
    EXPECT_THAT(logs, HasSubstr("ddl_pending"));
    EXPECT_FALSE(IsTracing());
  }
};

TEST_F(OtlpTest, NothingUnasked) {
  const auto plan = OtlpPlanFromEnvironment({});
  ASSERT_TRUE(plan.ok());
  EXPECT_FALSE(plan->any());
  EXPECT_EQ(*Otlp::Start({}, {}), nullptr);
}

TEST_F(OtlpTest, AnEndpointTurnsOnWhatItIsFor) {
  setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1", 1);
  EXPECT_TRUE(OtlpPlanFromEnvironment({})->traces.on);
  EXPECT_FALSE(OtlpPlanFromEnvironment({})->metrics.on);
  setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", 1);
  setenv("OTEL_LOGS_EXPORTER", "none", 1);
  setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", 1);
  setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf", 1);
  setenv("OTEL_METRIC_EXPORT_INTERVAL", "5000", 1);
  const auto plan = OtlpPlanFromEnvironment({});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->metrics.on);
  EXPECT_FALSE(plan->logs.on);
  EXPECT_EQ(plan->metrics.protocol, OtlpProtocol::kHttp);
  EXPECT_EQ(plan->traces.protocol, OtlpProtocol::kGrpc);
  EXPECT_EQ(plan->metrics_interval, absl::Seconds(5));
  EXPECT_EQ(OtlpPlanFromEnvironment(absl::Seconds(7))->metrics_interval, absl::Seconds(7));
  setenv("OTEL_SDK_DISABLED", "true", 1);
  EXPECT_FALSE(OtlpPlanFromEnvironment({})->any());
}

TEST_F(OtlpTest, BadValuesNameTheVariable) {
  for (const auto& [name, value] : std::map<std::string, std::string>{{"OTEL_METRICS_EXPORTER", "carrier-pigeon"},
                                                                      {"OTEL_EXPORTER_OTLP_PROTOCOL", "smtp"},
                                                                      {"OTEL_METRIC_EXPORT_INTERVAL", "soon"}}) {
    setenv(name.c_str(), value.c_str(), 1);
    EXPECT_THAT(std::string(OtlpPlanFromEnvironment({}).status().message()), HasSubstr(name));
    unsetenv(name.c_str());
  }
  setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", 1);
  setenv("WALLABY_MODULE_DIR", "/nonexistent", 1);
  EXPECT_THAT(std::string(Otlp::Start({}, {}).status().message()), HasSubstr("/nonexistent/otlp.so"));
}

TEST_F(OtlpTest, AllSignalsOverHttp) {
  HttpCollector collector;
  setenv("OTEL_EXPORTER_OTLP_ENDPOINT", absl::StrCat("http://127.0.0.1:", collector.port).c_str(), 1);
  setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret", 1);
  setenv("OTEL_SERVICE_NAME", "my-wallaby", 1);
  setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test", 1);
  testing::internal::CaptureStderr();
  SendAll();
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::Not(HasSubstr("secret")));
  ExpectAll(collector.received.At("/v1/metrics"), collector.received.At("/v1/traces"),
            collector.received.At("/v1/logs"));
  EXPECT_THAT(collector.received.At("/v1/metrics"), HasSubstr("my-wallaby"));
  EXPECT_THAT(collector.received.At("/v1/traces"), HasSubstr("deployment.environment"));
  EXPECT_THAT(collector.headers.At("x"), HasSubstr("secret"));
}

TEST_F(OtlpTest, AllSignalsOverGrpc) {
  GrpcCollector collector;
  setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", 1);
  setenv("OTEL_EXPORTER_OTLP_ENDPOINT", absl::StrCat("http://127.0.0.1:", collector.port).c_str(), 1);
  SendAll();
  const std::string prefix = "/opentelemetry.proto.collector.";
  ExpectAll(collector.received.At(prefix + "metrics.v1.MetricsService/Export"),
            collector.received.At(prefix + "trace.v1.TraceService/Export"),
            collector.received.At(prefix + "logs.v1.LogsService/Export"));
}

TEST_F(OtlpTest, ACollectorThatIsAwayFailsNothing) {
  setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", 1);
  setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "500ms", 1);
  SendAll();
  EXPECT_FALSE(IsTracing());
}

}  // namespace
}  // namespace wallaby
