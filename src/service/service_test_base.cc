#include "service/service_test_base.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/generic/generic_stub.h"

namespace wallaby {

bool Eventually(const std::function<bool()>& condition, absl::Duration limit) {
  const absl::Time deadline = absl::Now() + limit;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return true;
}

ServiceTest::ServiceTest() {
  folder_ = testing::TempDir() + "/wallaby-service-XXXXXX";
  EXPECT_NE(mkdtemp(folder_.data()), nullptr);
  store_ = OpenSqliteStore(folder_ + "/wallaby.db").value();
  LocalDispatcherOptions dispatch;
  dispatch.worker = folder_ + "/worker";
  dispatch.review_interval = absl::Milliseconds(100);
  std::ofstream(dispatch.worker) << "#!/bin/sh\necho \"$$ $*\" >>" << folder_
                                 << "/starts\ntrap 'exit 0' TERM\nwhile [ -e \"$0\" ]; do sleep 0.05; done\n";
  chmod(dispatch.worker.c_str(), 0755);
  dispatcher_ = MakeLocalDispatcher(store_.get(), dispatch);
  EXPECT_TRUE(dispatcher_->Start().ok());
  settings_.grpc_listen = "127.0.0.1:0";
  Begin();
}

void ServiceTest::Begin() {
  server_.reset();
  access_ = Access::Make(settings_.access).value();
  auto server = ControlServer::Start(store_.get(), store_.get(), dispatcher_.get(), access_.get(), settings_);
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = std::move(server).value();
  channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials());
  flows_ = v1::FlowService::NewStub(channel_);
  checkpoints_ = v1::CheckpointService::NewStub(channel_);
  sources_ = v1::SourceService::NewStub(channel_);
}

ServiceTest::~ServiceTest() {
  server_.reset();
  // First, or it would start a worker anew for each that is killed.
  dispatcher_.reset();
  for (const std::string& line : WorkerStarts()) kill(std::stoi(line), SIGKILL);
  // One that was started so late that it has not told its pid ends when it sees its own program gone.
  std::filesystem::remove_all(folder_);
}

v1::Flow ServiceTest::MakeFlow(const std::string& name, const std::string& dsn) {
  v1::Flow flow;
  flow.set_name(name);
  flow.mutable_source()->set_name("db");
  flow.mutable_source()->set_type(v1::ENDPOINT_TYPE_POSTGRES);
  auto& options = *flow.mutable_source()->mutable_options();
  options["dsn"] = dsn;
  options["slot"] = "wallaby_shop";
  options["publication"] = "wallaby_shop";
  options["publication_tables"] = "public.orders";
  v1::Endpoint* lake = flow.add_destinations();
  lake->set_name("lake");
  lake->set_type(v1::ENDPOINT_TYPE_DUCKDB);
  (*lake->mutable_options())["dsn"] = "/tmp/wallaby-service-test.duckdb";
  return flow;
}

v1::Flow ServiceTest::Create(const v1::Flow& flow, bool start) {
  grpc::ClientContext context;
  v1::CreateFlowRequest request;
  *request.mutable_flow() = flow;
  request.set_start_immediately(start);
  v1::Flow created;
  const grpc::Status status = flows_->CreateFlow(&context, request, &created);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return created;
}

grpc::Status ServiceTest::Get(const std::string& id, v1::Flow* flow) {
  return Ask(&v1::FlowService::Stub::GetFlow, id, flow);
}

v1::FlowState ServiceTest::State(const std::string& id) {
  v1::Flow flow;
  EXPECT_TRUE(Get(id, &flow).ok());
  return flow.state();
}

grpc::Status ServiceTest::Delete(const std::string& id) {
  grpc::ClientContext context;
  v1::DeleteFlowRequest request;
  request.set_flow_id(id);
  v1::DeleteFlowResponse response;
  return flows_->DeleteFlow(&context, request, &response);
}

std::vector<std::string> ServiceTest::WorkerStarts() {
  std::ifstream in(folder_ + "/starts");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

grpc::Status RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::string& request, std::string* response) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
  grpc::CompletionQueue queue;
  int step = 0;
  const auto await = [&] {
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return ok;
  };
  const auto tag = [&] { return reinterpret_cast<void*>(static_cast<intptr_t>(++step)); };
  const auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(tag());
  if (await()) {
    const grpc::Slice slice(request);
    const grpc::ByteBuffer buffer(&slice, 1);
    call->WriteLast(buffer, grpc::WriteOptions(), tag());
    await();
    grpc::ByteBuffer answer;
    call->Read(&answer, tag());
    std::vector<grpc::Slice> slices;
    if (await() && answer.Dump(&slices).ok()) {
      for (const grpc::Slice& part : slices) {
        response->append(reinterpret_cast<const char*>(part.begin()), part.size());
      }
    }
  }
  grpc::Status status;
  call->Finish(&status, tag());
  await();
  queue.Shutdown();
  while (await()) {
  }
  return status;
}

}  // namespace wallaby
