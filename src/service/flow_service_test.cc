// Flows over a real channel: definition, lifecycle, what clients see.
#include "service/flow_service.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/service_test_base.h"
#include "store/sql_database.h"

namespace wallaby {
namespace {

using grpc::StatusCode;

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(MakeFlowIdTest, IsReadableAndAllowed) {
  const std::string id = MakeFlowId("  Shop: Ordérs (EU)");
  EXPECT_EQ(id.substr(0, id.size() - 6), "shop-ord-rs-eu-");
  EXPECT_NE(MakeFlowId("a"), MakeFlowId("a"));
  EXPECT_EQ(MakeFlowId("é").substr(0, 5), "flow-");
  EXPECT_LE(MakeFlowId(std::string(200, 'x')).size(), 63u);
}

class FlowServiceTest : public ServiceTest {};

TEST_F(FlowServiceTest, CreatesWithAnIdAndHidesSecrets) {
  const v1::Flow created = Create(MakeFlow("Shop"));
  EXPECT_EQ(created.id().substr(0, 5), "shop-");
  EXPECT_EQ(created.state(), v1::FLOW_STATE_CREATED);
  EXPECT_EQ(created.source().options().at("dsn"), "postgres://u:******@127.0.0.1:1/none");
  EXPECT_EQ(store_->GetFlow(created.id())->flow.source.options.at("dsn"), "postgres://u:pw@127.0.0.1:1/none");

  v1::Flow got;
  ASSERT_TRUE(Get(created.id(), &got).ok());
  EXPECT_EQ(got.SerializeAsString().find("pw@"), std::string::npos);
  EXPECT_EQ(got.slot().name(), "wallaby_shop");
  EXPECT_NE(got.slot().error(), "");
  EXPECT_EQ(got.lag().bytes(), -1);
  EXPECT_EQ(got.lag().seconds(), -1);
}

TEST_F(FlowServiceTest, BadInputIsNamed) {
  const auto create = [&](const v1::Flow& flow) {
    grpc::ClientContext context;
    v1::CreateFlowRequest request;
    *request.mutable_flow() = flow;
    v1::Flow created;
    return flows_->CreateFlow(&context, request, &created);
  };
  v1::Flow flow = MakeFlow("Shop");
  (*flow.mutable_destinations(0)->mutable_options())["write_mode"] = "merge";
  grpc::Status status = create(flow);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Contains(status.error_message(), "write_mode")) << status.error_message();

  flow = MakeFlow("Shop");
  flow.mutable_source()->set_type(v1::ENDPOINT_TYPE_UNSPECIFIED);
  EXPECT_EQ(create(flow).error_message(), "source.type: is missing");

  flow = MakeFlow("Shop");
  flow.set_id("shop");
  EXPECT_TRUE(create(flow).ok());
  EXPECT_EQ(create(flow).error_code(), StatusCode::ALREADY_EXISTS);
}

TEST_F(FlowServiceTest, NoTwoProducersShareATransactionalId) {
  const auto flow = [](const std::string& id, const std::string& destination, const std::string& transactional_id) {
    v1::Flow flow = MakeFlow(id);
    flow.set_id(id);
    v1::Endpoint* endpoint = flow.mutable_destinations(0);
    endpoint->set_name(destination);
    endpoint->set_type(v1::ENDPOINT_TYPE_KAFKA);
    endpoint->clear_options();
    (*endpoint->mutable_options())["brokers"] = "127.0.0.1:1";
    if (!transactional_id.empty()) (*endpoint->mutable_options())["transactional_id"] = transactional_id;
    return flow;
  };
  const auto create = [&](const v1::Flow& flow) {
    grpc::ClientContext context;
    v1::CreateFlowRequest request;
    *request.mutable_flow() = flow;
    v1::Flow created;
    return flows_->CreateFlow(&context, request, &created);
  };
  const auto update = [&](const v1::Flow& flow) {
    grpc::ClientContext context;
    v1::UpdateFlowRequest request;
    *request.mutable_flow() = flow;
    v1::Flow updated;
    return flows_->UpdateFlow(&context, request, &updated);
  };
  ASSERT_TRUE(create(flow("a", "k", "same")).ok());
  grpc::Status status = create(flow("b", "k2", "same"));
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Contains(status.error_message(),
                       "destination k2: option transactional_id: 'same' is that of destination "
                       "k of flow 'a'"))
      << status.error_message();
  ASSERT_TRUE(create(flow("b", "k", "other")).ok());
  EXPECT_EQ(update(flow("b", "k", "same")).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(update(flow("b", "k", "third")).ok());
  EXPECT_TRUE(update(flow("a", "k", "same")).ok());

  // Those that are made for want of a name: wallaby-c-d-e twice.
  ASSERT_TRUE(create(flow("c-d", "e", "")).ok());
  EXPECT_EQ(create(flow("c", "d-e", "")).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(create(flow("x", "k", "wallaby-c-d-e")).error_code(), StatusCode::INVALID_ARGUMENT);

  v1::Flow twice = flow("y", "k", "mine");
  v1::Endpoint* second = twice.add_destinations();
  *second = twice.destinations(0);
  second->set_name("k2");
  status = create(twice);
  EXPECT_TRUE(Contains(status.error_message(), "'mine' is that of destination k:")) << status.error_message();
  grpc::ClientContext context;
  v1::ValidateFlowRequest request;
  *request.mutable_flow() = twice;
  v1::ValidateFlowResponse response;
  ASSERT_TRUE(flows_->ValidateFlow(&context, request, &response).ok());
  EXPECT_FALSE(response.valid());
  EXPECT_TRUE(Contains(response.DebugString(), "transactional_id")) << response.DebugString();
  // Without transactions there is no id.
  v1::Flow plain = flow("z", "k", "");
  (*plain.mutable_destinations(0)->mutable_options())["acks"] = "leader";
  EXPECT_TRUE(create(plain).ok());
}

TEST_F(FlowServiceTest, UnknownAndMissingIds) {
  EXPECT_EQ(Start("nobody").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Stop("nobody").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Pause("nobody").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Resume("nobody").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Delete("nobody").error_code(), StatusCode::NOT_FOUND);
  v1::Flow flow;
  EXPECT_EQ(Get("nobody", &flow).error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Get("", &flow).error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(FlowServiceTest, WholeLifecycle) {
  const std::string id = Create(MakeFlow("Shop")).id();
  v1::Flow flow;
  ASSERT_TRUE(Start(id, &flow).ok());
  EXPECT_EQ(flow.state(), v1::FLOW_STATE_RUNNING);
  EXPECT_NE(flow.activity(), "");
  ASSERT_TRUE(Eventually([&] { return WorkerStarts().size() == 1; }));
  EXPECT_TRUE(Start(id).ok());  // idempotent
  EXPECT_EQ(Delete(id).error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(Contains(Delete(id).error_message(), "running"));

  ASSERT_TRUE(Pause(id).ok());
  ASSERT_TRUE(Get(id, &flow).ok());
  EXPECT_EQ(flow.state(), v1::FLOW_STATE_PAUSED);
  EXPECT_EQ(flow.reason(), "operator");
  EXPECT_TRUE(Eventually([&] { return !dispatcher_->IsActive(id); }));
  const grpc::Status refused = Start(id);
  EXPECT_EQ(refused.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(Contains(refused.error_message(), "paused")) << refused.error_message();

  ASSERT_TRUE(Resume(id).ok());
  ASSERT_TRUE(Eventually([&] { return WorkerStarts().size() == 2; }));
  ASSERT_TRUE(Stop(id).ok());
  EXPECT_TRUE(Eventually([&] { return State(id) == v1::FLOW_STATE_STOPPED; }));
  EXPECT_TRUE(Stop(id).ok());
  ASSERT_TRUE(Delete(id).ok());
  EXPECT_EQ(Get(id, &flow).error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(WorkerStarts().size(), 2u);
}

TEST_F(FlowServiceTest, AFlowThatCannotBeReadIsShownReplacedAndDeleted) {
  const v1::Flow whole = Create(MakeFlow("Shop"));
  Create(MakeFlow("Other"));
  const std::string& id = whole.id();
  const auto damage = [&] {
    const auto database = *OpenSqliteDatabase(folder_ + "/wallaby.db");
    const absl::Status done = database->Transact(SqlAccess::kWrite, [&](SqlSession& session) {
      return session.Query("UPDATE @flows SET definition = $2 WHERE id = $1", {id, "nothing"}).status();
    });
    ASSERT_TRUE(done.ok()) << done;
  };
  damage();
  grpc::ClientContext listing;
  v1::ListFlowsResponse list;
  ASSERT_TRUE(flows_->ListFlows(&listing, v1::ListFlowsRequest(), &list).ok());
  EXPECT_EQ(list.flows_size(), 2);
  v1::Flow flow;
  ASSERT_TRUE(Get(id, &flow).ok());
  EXPECT_EQ(flow.name(), "Shop");
  EXPECT_EQ(flow.state(), v1::FLOW_STATE_CREATED);
  EXPECT_TRUE(Contains(flow.error(), "cannot be read")) << flow.error();
  EXPECT_EQ(flow.source().options_size(), 0);
  const grpc::Status started = Start(id);
  EXPECT_TRUE(Contains(started.error_message(), "flow update with its whole file")) << started.error_message();
  const auto update = [&](const v1::Flow& with) {
    grpc::ClientContext context;
    v1::UpdateFlowRequest request;
    *request.mutable_flow() = with;
    v1::Flow updated;
    return flows_->UpdateFlow(&context, request, &updated);
  };
  // There is no secret that a mask could stand for.
  EXPECT_EQ(update(whole).error_code(), StatusCode::INVALID_ARGUMENT);
  v1::Flow again = MakeFlow("Shop");
  again.set_id(id);
  ASSERT_TRUE(update(again).ok());
  EXPECT_EQ(store_->GetFlow(id)->flow.source.options.at("dsn"), "postgres://u:pw@127.0.0.1:1/none");
  // One that should run gets no worker, and can be stopped and deleted.
  damage();
  ASSERT_TRUE(store_->Transition(id, {}, FlowState::kRunning, "").ok());
  ASSERT_TRUE(Stop(id).ok());
  EXPECT_TRUE(Eventually([&] { return State(id) == v1::FLOW_STATE_STOPPED; }));
  ASSERT_TRUE(Delete(id).ok());
  EXPECT_EQ(WorkerStarts().size(), 0u);
}

TEST_F(FlowServiceTest, UpdateOfAShownCopyKeepsTheSecret) {
  v1::Flow flow = Create(MakeFlow("Shop"));
  const auto update = [&] {
    grpc::ClientContext context;
    v1::UpdateFlowRequest request;
    *request.mutable_flow() = flow;
    v1::Flow updated;
    return flows_->UpdateFlow(&context, request, &updated);
  };
  flow.set_name("Shop 2");
  ASSERT_TRUE(update().ok());
  EXPECT_EQ(store_->GetFlow(flow.id())->flow.name, "Shop 2");
  EXPECT_EQ(store_->GetFlow(flow.id())->flow.source.options.at("dsn"), "postgres://u:pw@127.0.0.1:1/none");

  (*flow.mutable_source()->mutable_options())["dsn"] = "postgres://u:******@elsewhere/none";
  EXPECT_EQ(update().error_code(), StatusCode::INVALID_ARGUMENT);
  (*flow.mutable_source()->mutable_options())["dsn"] = "postgres://u:******@127.0.0.1:1/none";
  ASSERT_TRUE(Start(flow.id()).ok());
  EXPECT_EQ(update().error_code(), StatusCode::FAILED_PRECONDITION);
}

TEST_F(FlowServiceTest, ListsInPages) {
  for (const char* id : {"c", "a", "e", "b", "d"}) {
    v1::Flow flow = MakeFlow(absl::StrCat("Flow ", id));
    flow.set_id(id);
    Create(flow);
  }
  std::string seen, token;
  int pages = 0;
  do {
    grpc::ClientContext context;
    v1::ListFlowsRequest request;
    request.set_page_size(2);
    request.set_page_token(token);
    v1::ListFlowsResponse response;
    ASSERT_TRUE(flows_->ListFlows(&context, request, &response).ok());
    for (const v1::Flow& flow : response.flows()) seen += flow.id();
    token = response.next_page_token();
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(seen, "abcde");
  EXPECT_EQ(pages, 3);

  grpc::ClientContext context;
  v1::ListFlowsRequest request;
  request.set_page_size(5);
  v1::ListFlowsResponse response;
  ASSERT_TRUE(flows_->ListFlows(&context, request, &response).ok());
  EXPECT_EQ(response.next_page_token(), "");
  grpc::ClientContext other;
  request.set_page_size(-1);
  EXPECT_EQ(flows_->ListFlows(&other, request, &response).error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(FlowServiceTest, RunOnceDispatchesAProbe) {
  const std::string id = Create(MakeFlow("Shop")).id();
  for (int i = 0; i < 2; ++i) {  // an active one is success
    grpc::ClientContext context;
    v1::RunFlowOnceRequest request;
    request.set_flow_id(id);
    v1::RunFlowOnceResponse response;
    ASSERT_TRUE(flows_->RunFlowOnce(&context, request, &response).ok());
    EXPECT_TRUE(response.dispatched());
  }
  ASSERT_TRUE(Eventually([&] { return WorkerStarts().size() == 1; }));
  EXPECT_TRUE(Contains(WorkerStarts()[0], absl::StrCat("-flow-id ", id, " -max-empty-reads 1")));
  EXPECT_EQ(State(id), v1::FLOW_STATE_CREATED);
  EXPECT_EQ(Delete(id).error_code(), StatusCode::FAILED_PRECONDITION);
}

TEST_F(FlowServiceTest, ShowsWhatTheWorkerTells) {
  const std::string id = Create(MakeFlow("Shop"), /*start=*/true).id();
  WorkerReport report;
  report.slot = "wallaby_shop";
  report.slot_active = true;
  report.lag_bytes = 4096;
  report.lag_seconds = 1.5;
  report.detail = "streaming";
  report.at = absl::Now();
  ASSERT_TRUE(store_->PutReport(id, report).ok());
  ASSERT_TRUE(store_->PutCheckpoint(id, {Lsn{0x16B3748}, absl::FromUnixMillis(1234), {{"k", "v"}}}, 0).ok());
  ASSERT_TRUE(store_->PutTableSync(id, {"public.orders", TableSyncState::kCopying, Lsn{}, 8, 3, 300, 800}).ok());
  ASSERT_TRUE(store_->SetLastError(id, "connection lost").ok());

  v1::Flow flow;
  ASSERT_TRUE(Get(id, &flow).ok());
  EXPECT_EQ(flow.activity(), "streaming");
  EXPECT_EQ(flow.lag().bytes(), 4096);
  EXPECT_EQ(flow.lag().seconds(), 1.5);
  EXPECT_EQ(flow.checkpoint().lsn(), "0/16B3748");
  EXPECT_EQ(flow.checkpoint().timestamp_unix_millis(), 1234);
  EXPECT_EQ(flow.checkpoint().metadata().at("k"), "v");
  EXPECT_EQ(flow.error(), "connection lost");
  ASSERT_EQ(flow.tables_size(), 1);
  EXPECT_EQ(flow.tables(0).table(), "public.orders");
  EXPECT_EQ(flow.tables(0).state(), "copying");
  EXPECT_EQ(flow.tables(0).parts_done(), 3);

  grpc::ClientContext context;
  v1::ListFlowsResponse list;
  ASSERT_TRUE(flows_->ListFlows(&context, v1::ListFlowsRequest(), &list).ok());
  ASSERT_EQ(list.flows_size(), 1);
  EXPECT_TRUE(list.flows(0).slot().active());
  EXPECT_EQ(list.flows(0).lag().bytes(), 4096);

  // An old report says nothing about now.
  report.at = absl::Now() - absl::Minutes(5);
  ASSERT_TRUE(store_->PutReport(id, report).ok());
  ASSERT_TRUE(Get(id, &flow).ok());
  EXPECT_EQ(flow.lag().bytes(), -1);
  EXPECT_NE(flow.activity(), "streaming");
}

TEST_F(FlowServiceTest, Checkpoints) {
  const std::string id = Create(MakeFlow("Shop")).id();
  const auto get = [&](const std::string& flow_id, v1::FlowCheckpoint* out) {
    grpc::ClientContext context;
    v1::GetCheckpointRequest request;
    request.set_flow_id(flow_id);
    return checkpoints_->GetCheckpoint(&context, request, out);
  };
  const auto put = [&](const std::string& lsn) {
    grpc::ClientContext context;
    v1::PutCheckpointRequest request;
    request.set_flow_id(id);
    request.mutable_checkpoint()->set_lsn(lsn);
    v1::FlowCheckpoint out;
    return checkpoints_->PutCheckpoint(&context, request, &out);
  };
  v1::FlowCheckpoint got;
  EXPECT_EQ(get("nobody", &got).error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(get(id, &got).error_code(), StatusCode::NOT_FOUND);
  ASSERT_TRUE(put("1/2A").ok());
  ASSERT_TRUE(get(id, &got).ok());
  EXPECT_EQ(got.checkpoint().lsn(), "1/2A");
  EXPECT_EQ(put("nonsense").error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Contains(put("0/0").error_message(), "checkpoint.lsn"));
  grpc::ClientContext context;
  v1::ListCheckpointsResponse list;
  ASSERT_TRUE(checkpoints_->ListCheckpoints(&context, v1::ListCheckpointsRequest(), &list).ok());
  ASSERT_EQ(list.checkpoints_size(), 1);
  EXPECT_EQ(list.checkpoints(0).flow_id(), id);
  ASSERT_TRUE(Start(id).ok());
  EXPECT_EQ(put("1/2B").error_code(), StatusCode::FAILED_PRECONDITION);
}

TEST_F(FlowServiceTest, ReflectionNamesTheServicesAndHealthIsServing) {
  std::string answer;
  // ServerReflectionRequest with list_services = "" (field 7).
  const grpc::Status status = RawCall(channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                      std::string("\x3a\x00", 2), &answer);
  EXPECT_TRUE(status.ok()) << status.error_message();
  for (const char* service : {"wallaby.v1.FlowService", "wallaby.v1.CheckpointService", "wallaby.v1.SourceService",
                              "wallaby.v1.DDLService", "grpc.health.v1.Health"}) {
    EXPECT_TRUE(Contains(answer, service)) << service;
  }
  // file_containing_symbol (field 4): what grpcurl needs to call it.
  for (const std::string symbol : {"wallaby.v1.FlowService", "wallaby.v1.DDLService", "grpc.health.v1.Health"}) {
    answer.clear();
    EXPECT_TRUE(RawCall(channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                        absl::StrCat("\x22", std::string(1, static_cast<char>(symbol.size())), symbol), &answer)
                    .ok());
    EXPECT_TRUE(Contains(answer, ".proto")) << symbol;
  }
  answer.clear();
  EXPECT_TRUE(RawCall(channel_, "/grpc.health.v1.Health/Check", "", &answer).ok());
  EXPECT_EQ(answer, "\x08\x01");  // SERVING
  for (const std::string service : {"wallaby.v1.FlowService", "wallaby.v1.DDLService"}) {
    answer.clear();
    EXPECT_TRUE(RawCall(channel_, "/grpc.health.v1.Health/Check",
                        absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service), &answer)
                    .ok());
    EXPECT_EQ(answer, "\x08\x01") << service;
  }
}

TEST_F(FlowServiceTest, TheSamePortIsNotSharedWithAnotherServer) {
  Settings settings;
  settings.grpc_listen = absl::StrCat("127.0.0.1:", server_->port());
  const auto second = ControlServer::Start(store_.get(), store_.get(), dispatcher_.get(), access_.get(), settings);
  EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
}

}  // namespace
}  // namespace wallaby
