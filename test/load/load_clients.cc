// Many clients of the gRPC API at once, for the load test. Each has a connection of its own and calls without a pause:
// reads of flows, DDL and checkpoints, and the whole life of a flow of its own. Some pause and resume running flows.
//
//   load_clients ENDPOINT CLIENTS SECONDS RUNNING
//
// Running flows are named running-0 to running-(RUNNING - 1). WALLABY_TOKEN is sent where it is set. Prints one JSON
// object: calls and errors by method, and percentiles of their duration. Every answer that is not OK is an error.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {
namespace {

using Steady = std::chrono::steady_clock;

struct Measured {
  int64_t calls = 0;
  std::map<std::string, int64_t> errors;  // by text
  std::vector<float> millis;
};
using Figures = std::map<std::string, Measured>;  // by method

class LoadClient {
 public:
  LoadClient(const std::string& endpoint, int index, int running) : index_(index), running_(running), random_(index) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    channel_ = grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
    flows_ = v1::FlowService::NewStub(channel_);
    ddl_ = v1::DDLService::NewStub(channel_);
    checkpoints_ = v1::CheckpointService::NewStub(channel_);
    if (const char* token = std::getenv("WALLABY_TOKEN")) token_ = token;
  }

  void Run(Steady::time_point until) {
    // One in ten steers running flows of its own, so that no two clients disagree.
    const bool steers = index_ % 10 == 0 && index_ / 10 < running_;
    for (int i = 0; Steady::now() < until; ++i) {
      Read();
      if (i % 8 == 0) Churn();
      if (steers && i % 200 == 0) PauseAndResume(absl::StrCat("running-", index_ / 10));
    }
  }

  const Figures& figures() const { return figures_; }

 private:
  template <typename Request, typename Response>
  bool Call(const char* method, const Request& request, Response* response,
            const std::function<grpc::Status(grpc::ClientContext*, const Request&, Response*)>& call) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    // All connect at once: one that is slow to is no error.
    context.set_wait_for_ready(true);
    if (!token_.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", token_));
    const auto began = Steady::now();
    const grpc::Status status = call(&context, request, response);
    Measured& measured = figures_[method];
    ++measured.calls;
    measured.millis.push_back(std::chrono::duration<float, std::milli>(Steady::now() - began).count());
    if (!status.ok()) ++measured.errors[absl::StrCat(status.error_code(), ": ", status.error_message())];
    return status.ok();
  }

#define CALL(stub, method, request, response)                                 \
  Call<std::decay_t<decltype(request)>, std::decay_t<decltype(*(response))>>( \
      #method, request, response,                                             \
      [this](grpc::ClientContext* c, const auto& in, auto* out) { return (stub)->method(c, in, out); })

  void Read() {
    switch (random_() % 5) {
      case 0: {
        v1::GetFlowRequest request;
        request.set_flow_id(absl::StrCat("running-", random_() % running_));
        v1::Flow flow;
        CALL(flows_, GetFlow, request, &flow);
        break;
      }
      case 1: {
        v1::ListFlowsRequest request;
        request.set_page_size(20);
        v1::ListFlowsResponse page;
        if (CALL(flows_, ListFlows, request, &page) && !page.next_page_token().empty()) {
          request.set_page_token(page.next_page_token());
          CALL(flows_, ListFlows, request, &page);
        }
        break;
      }
      case 2: {
        v1::ListDDLResponse events;
        CALL(ddl_, ListDDL, v1::ListDDLRequest(), &events);
        break;
      }
      case 3: {
        v1::ListCheckpointsResponse all;
        CALL(checkpoints_, ListCheckpoints, v1::ListCheckpointsRequest(), &all);
        break;
      }
      default: {
        v1::GetCheckpointRequest request;
        request.set_flow_id(absl::StrCat("running-", random_() % running_));
        v1::FlowCheckpoint checkpoint;
        CALL(checkpoints_, GetCheckpoint, request, &checkpoint);
      }
    }
  }

  void Churn() {
    v1::CreateFlowRequest create;
    v1::Flow& flow = *create.mutable_flow();
    flow.set_id(absl::StrCat("churn-", index_));
    flow.set_name(flow.id());
    flow.mutable_source()->set_name("source");
    flow.mutable_source()->set_type(v1::ENDPOINT_TYPE_POSTGRES);
    auto& options = *flow.mutable_source()->mutable_options();
    options["dsn"] = "postgres://nobody@127.0.0.1:1/nothing";
    options["slot"] = absl::StrCat("churn_", index_);
    options["publication"] = "churn";
    v1::Endpoint& destination = *flow.add_destinations();
    destination.set_name("lake");
    destination.set_type(v1::ENDPOINT_TYPE_DUCKDB);
    (*destination.mutable_options())["dsn"] = "/nonexistent/churn.duckdb";
    v1::Flow answer;
    if (!CALL(flows_, CreateFlow, create, &answer)) return;
    v1::UpdateFlowRequest update;
    *update.mutable_flow() = flow;
    update.mutable_flow()->set_name(absl::StrCat("renamed-", index_));
    CALL(flows_, UpdateFlow, update, &answer);
    v1::DeleteFlowRequest remove;
    remove.set_flow_id(flow.id());
    v1::DeleteFlowResponse removed;
    CALL(flows_, DeleteFlow, remove, &removed);
  }

  void PauseAndResume(const std::string& flow_id) {
    v1::PauseFlowRequest pause;
    pause.set_flow_id(flow_id);
    v1::Flow flow;
    if (!CALL(flows_, PauseFlow, pause, &flow)) return;
    v1::ResumeFlowRequest resume;
    resume.set_flow_id(flow_id);
    CALL(flows_, ResumeFlow, resume, &flow);
  }
#undef CALL

  const int index_;
  const int running_;
  std::mt19937 random_;
  std::string token_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::FlowService::Stub> flows_;
  std::unique_ptr<v1::DDLService::Stub> ddl_;
  std::unique_ptr<v1::CheckpointService::Stub> checkpoints_;
  Figures figures_;
};

std::string Json(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted + "\"";
}

void Print(Figures& figures) {
  std::vector<std::string> methods;
  for (auto& [method, measured] : figures) {
    std::sort(measured.millis.begin(), measured.millis.end());
    auto percentile = [&measured = measured](double p) {
      return measured.millis[static_cast<size_t>(p * static_cast<double>(measured.millis.size() - 1))];
    };
    std::vector<std::string> errors;
    for (const auto& [text, count] : measured.errors) errors.push_back(absl::StrCat(Json(text), ": ", count));
    methods.push_back(absl::StrCat(Json(method), ": {\"calls\": ", measured.calls, ", \"p50_ms\": ", percentile(0.5),
                                   ", \"p99_ms\": ", percentile(0.99), ", \"errors\": {", absl::StrJoin(errors, ", "),
                                   "}}"));
  }
  std::printf("{%s}\n", absl::StrJoin(methods, ",\n ").c_str());
}

int Main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: load_clients ENDPOINT CLIENTS SECONDS RUNNING\n");
    return 2;
  }
  const int count = std::atoi(argv[2]);
  const auto until = Steady::now() + std::chrono::seconds(std::atoi(argv[3]));
  std::vector<std::unique_ptr<LoadClient>> clients;
  for (int i = 0; i < count; ++i) clients.push_back(std::make_unique<LoadClient>(argv[1], i, std::atoi(argv[4])));
  std::vector<std::thread> threads;
  for (auto& client : clients) threads.emplace_back([&client, until] { client->Run(until); });
  for (std::thread& thread : threads) thread.join();
  Figures all;
  for (const auto& client : clients) {
    for (const auto& [method, measured] : client->figures()) {
      Measured& sum = all[method];
      sum.calls += measured.calls;
      sum.millis.insert(sum.millis.end(), measured.millis.begin(), measured.millis.end());
      for (const auto& [text, n] : measured.errors) sum.errors[text] += n;
    }
  }
  Print(all);
  return 0;
}

}  // namespace
}  // namespace wallaby

int main(int argc, char** argv) {
  return wallaby::Main(argc, argv);
}
