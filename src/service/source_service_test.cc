// Slots, publications and checks against a real PostgreSQL.
#include "absl/strings/str_cat.h"
#include "service/service_test_base.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using grpc::StatusCode;

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

class SourceServiceTest : public ServiceTest {
 protected:
  SourceServiceTest() : dsn_(TestPostgres::Shared(15).CreateDatabase()), sql_(MustConnect(dsn_)) {
    MustExecute(*sql_,
                "CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE items (id int PRIMARY KEY);"
                "CREATE TABLE notes (t text); ALTER TABLE notes REPLICA IDENTITY FULL");
    slot_ = MustQuery(*sql_, "SELECT 'wallaby_' || current_database()");
  }
  ~SourceServiceTest() override {
    sql_->Query(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = "
            "current_database()")
        .status()
        .IgnoreError();
  }

  v1::Flow SourceFlow() {
    v1::Flow flow = MakeFlow("Shop", dsn_);
    (*flow.mutable_source()->mutable_options())["slot"] = slot_;
    return flow;
  }
  void MakeSlot() {
    MustQuery(*sql_, absl::StrCat("SELECT pg_create_logical_replication_slot('", slot_, "', 'pgoutput')"));
  }
  void MakePublication() { MustExecute(*sql_, "CREATE PUBLICATION wallaby_shop FOR TABLE orders"); }

  v1::ValidateFlowResponse Validate(const v1::Flow& flow) {
    grpc::ClientContext context;
    v1::ValidateFlowRequest request;
    *request.mutable_flow() = flow;
    v1::ValidateFlowResponse response;
    EXPECT_TRUE(flows_->ValidateFlow(&context, request, &response).ok());
    return response;
  }
  grpc::Status Sync(const v1::SyncPublicationRequest& request, v1::SyncPublicationResponse* response) {
    grpc::ClientContext context;
    return sources_->SyncPublication(&context, request, response);
  }
  std::string Published() {
    return MustQuery(*sql_, "SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_publication_tables");
  }

  std::string dsn_;
  std::unique_ptr<PgConnection> sql_;
  std::string slot_;
};

TEST_F(SourceServiceTest, GetFlowLooksAtTheSlotNow) {
  const std::string id = Create(SourceFlow()).id();
  v1::Flow flow;
  ASSERT_TRUE(Get(id, &flow).ok());
  EXPECT_FALSE(flow.slot().exists());
  EXPECT_EQ(flow.slot().error(), "");
  MakeSlot();
  MustExecute(*sql_, "INSERT INTO orders SELECT generate_series(1, 1000)");
  ASSERT_TRUE(Get(id, &flow).ok());
  EXPECT_TRUE(flow.slot().exists());
  EXPECT_FALSE(flow.slot().active());
  EXPECT_EQ(flow.slot().plugin(), "pgoutput");
  EXPECT_NE(flow.slot().confirmed_flush_lsn(), "");
  EXPECT_GT(flow.lag().bytes(), 1000);
  EXPECT_EQ(flow.lag().seconds(), -1);  // no worker
}

TEST_F(SourceServiceTest, SlotsAreListedShownAndDropped) {
  const std::string id = Create(SourceFlow()).id();
  const auto drop = [&] {
    grpc::ClientContext context;
    v1::DropSlotRequest request;
    request.set_flow_id(id);
    v1::DropSlotResponse response;
    return sources_->DropSlot(&context, request, &response);
  };
  EXPECT_EQ(drop().error_code(), StatusCode::NOT_FOUND);
  MakeSlot();
  {
    grpc::ClientContext context;
    v1::GetSlotRequest request;
    request.set_flow_id(id);
    v1::SlotStatus slot;
    ASSERT_TRUE(sources_->GetSlot(&context, request, &slot).ok());
    EXPECT_EQ(slot.name(), slot_);
    EXPECT_TRUE(slot.exists());
  }
  {
    grpc::ClientContext context;
    v1::ListSlotsRequest request;
    request.set_flow_id(id);
    v1::ListSlotsResponse response;
    ASSERT_TRUE(sources_->ListSlots(&context, request, &response).ok());
    EXPECT_GE(response.slots_size(), 1);
  }
  ASSERT_TRUE(Start(id).ok());
  EXPECT_EQ(drop().error_code(), StatusCode::FAILED_PRECONDITION);
  ASSERT_TRUE(Stop(id).ok());
  ASSERT_TRUE(Eventually([&] { return State(id) == v1::FLOW_STATE_STOPPED; }));
  EXPECT_TRUE(drop().ok());
  EXPECT_EQ(MustQuery(*sql_, absl::StrCat("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '", slot_, "'")),
            "0");
}

TEST_F(SourceServiceTest, ASlotThatOthersNeedIsDroppedOnlyWhenAsked) {
  const std::string one = Create(SourceFlow()).id();
  v1::Flow second = SourceFlow();
  second.set_name("Other");
  const std::string two = Create(second).id();
  MakeSlot();
  const auto drop = [&](bool shared) {
    grpc::ClientContext context;
    v1::DropSlotRequest request;
    request.set_flow_id(one);
    request.set_shared(shared);
    v1::DropSlotResponse response;
    return sources_->DropSlot(&context, request, &response);
  };
  // One that has never run loses nothing.
  ASSERT_TRUE(drop(false).ok());
  MakeSlot();
  ASSERT_TRUE(Start(two).ok());
  EXPECT_TRUE(Contains(drop(false).error_message(), "'" + two + "' must be copied again"));
  EXPECT_TRUE(Contains(drop(true).error_message(), "flow '" + two + "', which shares it, is running"));
  ASSERT_TRUE(Stop(two).ok());
  ASSERT_TRUE(Eventually([&] { return State(two) == v1::FLOW_STATE_STOPPED; }));
  // It has been read, under a DSN that this server cannot compare.
  StoredFlow stored = *store_->GetFlow(two);
  stored.flow.source.options["dsn"] = "host=elsewhere";
  ASSERT_TRUE(store_->UpdateFlow(stored.flow).ok());
  Checkpoint checkpoint{.lsn = Lsn{100}};
  checkpoint.metadata = {{"source.system", MustQuery(*sql_, "SELECT system_identifier FROM pg_control_system()")},
                         {"source.slot", slot_}};
  ASSERT_TRUE(store_->PutCheckpoint(two, checkpoint, /*generation=*/0).ok());
  EXPECT_EQ(drop(false).error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(drop(true).ok());
}

TEST_F(SourceServiceTest, FlowsOnOneSlotReadOnePublication) {
  const std::string one = Create(SourceFlow()).id();
  v1::Flow second = SourceFlow();
  second.set_name("Other");
  auto& options = *second.mutable_source()->mutable_options();
  options["publication"] = "another";
  const auto create = [&] {
    grpc::ClientContext context;
    v1::CreateFlowRequest request;
    *request.mutable_flow() = second;
    v1::Flow created;
    return flows_->CreateFlow(&context, request, &created);
  };
  const std::string part = "flow '" + one + "' reads slot " + slot_ + " with the publication 'wallaby_shop'";
  EXPECT_EQ(create().error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Contains(create().error_message(), part)) << create().error_message();
  const v1::ValidateFlowResponse response = Validate(second);
  EXPECT_FALSE(response.valid());
  EXPECT_TRUE(Contains(response.ShortDebugString(), "reads slot")) << response.ShortDebugString();
  options["slot"] = slot_ + "_2";
  v1::Flow created = Create(second);
  // Nor does an update lead there.
  (*created.mutable_source()->mutable_options())["slot"] = slot_;
  {
    grpc::ClientContext context;
    v1::UpdateFlowRequest request;
    *request.mutable_flow() = created;
    v1::Flow updated;
    const grpc::Status status = flows_->UpdateFlow(&context, request, &updated);
    EXPECT_TRUE(Contains(status.error_message(), part)) << status.error_message();
  }
  // One that is deleted says who is left on the slot.
  (*second.mutable_source()->mutable_options())["slot"] = slot_;
  (*second.mutable_source()->mutable_options())["publication"] = "wallaby_shop";
  second.set_name("Third");
  const std::string three = Create(second).id();
  grpc::ClientContext context;
  v1::DeleteFlowRequest request;
  request.set_flow_id(three);
  v1::DeleteFlowResponse deleted;
  ASSERT_TRUE(flows_->DeleteFlow(&context, request, &deleted).ok());
  ASSERT_EQ(deleted.slot_readers_size(), 1);
  EXPECT_EQ(deleted.slot_readers(0), one);
}

TEST_F(SourceServiceTest, AnUnreachableSourceIsUnavailableAndKeepsItsPassword) {
  const std::string id = Create(MakeFlow("Away")).id();
  grpc::ClientContext context;
  v1::GetSlotRequest request;
  request.set_flow_id(id);
  v1::SlotStatus slot;
  const grpc::Status status = sources_->GetSlot(&context, request, &slot);
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE) << status.error_message();
  EXPECT_FALSE(Contains(status.error_message(), "pw"));
}

TEST_F(SourceServiceTest, ValidateFindsAndChangesNothing) {
  v1::ValidateFlowResponse response = Validate(SourceFlow());
  EXPECT_TRUE(response.valid()) << response.ShortDebugString();
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM pg_publication"), "0");
  EXPECT_TRUE(store_->ListFlows("", 10)->empty());

  v1::Flow missing = SourceFlow();
  (*missing.mutable_source()->mutable_options())["publication_tables"] = "public.nothing";
  response = Validate(missing);
  EXPECT_FALSE(response.valid());
  EXPECT_TRUE(Contains(response.ShortDebugString(), "public.nothing")) << response.ShortDebugString();

  v1::Flow wrong = SourceFlow();
  (*wrong.mutable_source()->mutable_options())["colour"] = "red";
  response = Validate(wrong);
  EXPECT_FALSE(response.valid());
  ASSERT_EQ(response.findings_size(), 1);
  EXPECT_EQ(response.findings(0).severity(), "error");
  EXPECT_TRUE(Contains(response.findings(0).message(), "colour"));

  response = Validate(MakeFlow("Away"));
  EXPECT_FALSE(response.valid());
  ASSERT_EQ(response.findings_size(), 1);
  EXPECT_EQ(response.findings(0).subject(), "source");
}

TEST_F(SourceServiceTest, SyncAddsTablesMarksTheirSnapshotAndRestartsTheWorker) {
  const std::string id = Create(SourceFlow(), /*start=*/true).id();
  MakePublication();
  ASSERT_TRUE(Eventually([&] { return WorkerStarts().size() == 1; }));
  v1::SyncPublicationRequest request;
  request.set_flow_id(id);
  request.add_tables("public.items");
  request.set_snapshot(true);
  v1::SyncPublicationResponse response;
  grpc::Status status = Sync(request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.added_size(), 1);
  EXPECT_EQ(response.added(0), "public.items");
  EXPECT_EQ(Published(), "items,orders");
  auto syncs = store_->TableSyncs(id).value();
  ASSERT_EQ(syncs.size(), 1u);
  EXPECT_EQ(syncs[0].table, "public.items");
  EXPECT_EQ(syncs[0].state, TableSyncState::kPending);
  EXPECT_TRUE(Eventually([&] { return WorkerStarts().size() == 2; }));

  // Again: nothing changes, nobody is disturbed.
  ASSERT_TRUE(Sync(request, &response).ok());
  EXPECT_EQ(response.added_size(), 0);

  // Without -snapshot the new table gets no copy; mode sync removes what is not named, and forgets it.
  request.clear_tables();
  request.add_tables("public.orders");
  request.add_tables("public.notes");
  request.set_snapshot(false);
  request.set_mode("sync");
  ASSERT_TRUE(Sync(request, &response).ok());
  EXPECT_EQ(Published(), "notes,orders");
  EXPECT_TRUE(store_->TableSyncs(id)->empty());

  request.set_mode("replace");
  status = Sync(request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Contains(status.error_message(), "mode"));
}

TEST_F(SourceServiceTest, PublicationTablesTellIdentityAndSnapshot) {
  const std::string id = Create(SourceFlow()).id();
  MustExecute(*sql_, "CREATE PUBLICATION wallaby_shop FOR TABLE orders, notes");
  ASSERT_TRUE(store_->PutTableSync(id, {"public.orders", TableSyncState::kDone}).ok());
  grpc::ClientContext context;
  v1::ListPublicationTablesRequest request;
  request.set_flow_id(id);
  v1::ListPublicationTablesResponse response;
  ASSERT_TRUE(sources_->ListPublicationTables(&context, request, &response).ok());
  EXPECT_EQ(response.publication(), "wallaby_shop");
  ASSERT_EQ(response.tables_size(), 2);
  EXPECT_EQ(response.tables(0).table(), "notes");
  EXPECT_EQ(response.tables(0).replica_identity(), "full");
  EXPECT_EQ(response.tables(0).snapshot_state(), "");
  EXPECT_EQ(response.tables(1).snapshot_state(), "done");
}

TEST(HealthTest, NotServingWhileTheStoreDoesNotAnswer) {
  TestPostgres postgres(15);
  const std::string dsn = postgres.CreateDatabase();
  auto store = OpenPostgresStore(dsn);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto dispatcher = MakeLocalDispatcher(store->get(), {});
  Settings settings;
  settings.grpc_listen = "127.0.0.1:0";
  const auto access = Access::Make(settings.access).value();
  auto server = ControlServer::Start(store->get(), store->get(), dispatcher.get(), access.get(), settings);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto channel =
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", (*server)->port()), grpc::InsecureChannelCredentials());
  const auto health = [&] {
    std::string answer;
    EXPECT_TRUE(RawCall(channel, "/grpc.health.v1.Health/Check", "", &answer).ok());
    return answer;
  };
  EXPECT_EQ(health(), "\x08\x01");
  postgres.Halt();
  EXPECT_TRUE(Eventually([&] { return health() == "\x08\x02"; }, absl::Seconds(60)));
  postgres.Restart();
  EXPECT_TRUE(Eventually([&] { return health() == "\x08\x01"; }, absl::Seconds(60)));
}

}  // namespace
}  // namespace wallaby
