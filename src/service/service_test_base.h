// A real server on a real channel, with a SQLite store and workers that are shell scripts.
#ifndef WALLABY_SERVICE_SERVICE_TEST_BASE_H_
#define WALLABY_SERVICE_SERVICE_TEST_BASE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "access/access.h"
#include "dispatch/dispatcher.h"
#include "flow/settings.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "service/server.h"
#include "store/control_store.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {

bool Eventually(const std::function<bool()>& condition, absl::Duration limit = absl::Seconds(60));

class ServiceTest : public testing::Test {
 protected:
  ServiceTest();
  ~ServiceTest() override;

  // Starts the server anew, with settings_.
  void Begin();
  // A flow whose source is `dsn`; with a password in it, which trusting servers ignore.
  static v1::Flow MakeFlow(const std::string& name, const std::string& dsn = "postgres://u:pw@127.0.0.1:1/none");
  // Creates it or fails the test; gives what the server answered.
  v1::Flow Create(const v1::Flow& flow, bool start = false);
  grpc::Status Get(const std::string& id, v1::Flow* flow);
  v1::FlowState State(const std::string& id);

  // Each call of a method of FlowService that takes a flow's id and gives the flow.
  template <typename Request>
  grpc::Status Ask(grpc::Status (v1::FlowService::Stub::*method)(grpc::ClientContext*, const Request&, v1::Flow*),
                   const std::string& id, v1::Flow* flow = nullptr) {
    grpc::ClientContext context;
    Request request;
    request.set_flow_id(id);
    v1::Flow ignored;
    return ((*flows_).*method)(&context, request, flow == nullptr ? &ignored : flow);
  }
  grpc::Status Start(const std::string& id, v1::Flow* flow = nullptr) {
    return Ask(&v1::FlowService::Stub::StartFlow, id, flow);
  }
  grpc::Status Stop(const std::string& id) { return Ask(&v1::FlowService::Stub::StopFlow, id); }
  grpc::Status Pause(const std::string& id) { return Ask(&v1::FlowService::Stub::PauseFlow, id); }
  grpc::Status Resume(const std::string& id) { return Ask(&v1::FlowService::Stub::ResumeFlow, id); }
  grpc::Status Delete(const std::string& id);

  // "pid arguments" of each worker so far.
  std::vector<std::string> WorkerStarts();

  std::string folder_;
  Settings settings_;
  std::unique_ptr<ControlStore> store_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<Access> access_;
  std::unique_ptr<ControlServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::FlowService::Stub> flows_;
  std::unique_ptr<v1::CheckpointService::Stub> checkpoints_;
  std::unique_ptr<v1::SourceService::Stub> sources_;
};

// Calls a method of which no generated code is at hand; `request` and the answer are encoded messages.
grpc::Status RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::string& request, std::string* response);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SERVICE_TEST_BASE_H_
