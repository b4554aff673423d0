// Schema changes over a real channel, applied at a destination that only takes notes.
#include "service/ddl_service.h"

#include <algorithm>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "destination/registry.h"
#include "gmock/gmock.h"
#include "service/held_lease.h"
#include "service/service_test_base.h"

namespace wallaby {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What the destinations of this process were asked to do, and what they are to answer.
struct Notes {
  std::mutex mutex;
  ControlStore* store = nullptr;
  std::map<std::string, absl::Status> answers;  // by destination
  absl::Duration takes;
  std::vector<std::string> applied;  // "lake: add column note (text)"
  std::vector<std::string> holders;  // of the flow's lease meanwhile
  std::vector<bool> own_generation;  // whether the destination was given the lease's
  int now = 0, most = 0;             // at the same time
};

Notes& TheNotes() {
  static Notes* notes = new Notes;
  return *notes;
}

class NotingDestination final : public Destination {
 public:
  explicit NotingDestination(DestinationConfig config) : config_(std::move(config)) {}

  absl::StatusOr<Progress> Open() override { return Progress(); }
  absl::Status CheckTable(const Relation&) override { return absl::OkStatus(); }
  absl::Status Write(const ChangeBatch&) override { return absl::OkStatus(); }
  absl::Status Commit(const CommitPoint&) override { return absl::OkStatus(); }
  absl::Status ResetSnapshot(const Relation&, std::string_view) override { return absl::OkStatus(); }

  std::vector<std::string> DdlStatements(const SchemaChange&) const override { return {}; }

  absl::Status ApplyDdl(const SchemaChange& change) override {
    Notes& notes = TheNotes();
    absl::Duration takes;
    {
      std::lock_guard lock(notes.mutex);
      const Lease lease = notes.store->GetLease(config_.flow_id)->value();
      notes.holders.push_back(lease.holder);
      notes.own_generation.push_back(lease.generation == config_.generation);
      notes.most = std::max(notes.most, ++notes.now);
      takes = notes.takes;
    }
    absl::SleepFor(takes);
    std::lock_guard lock(notes.mutex);
    --notes.now;
    const absl::Status answer = notes.answers[config_.name];
    if (answer.ok()) notes.applied.push_back(absl::StrCat(config_.name, ": ", DescribeStep(change.steps.at(0))));
    return answer;
  }

 private:
  const DestinationConfig config_;
};

TableShape Orders() {
  TableShape shape;
  shape.relation.oid = 16400;
  shape.relation.schema = "public";
  shape.relation.name = "orders";
  shape.relation.key = {0};
  shape.relation.columns = {{"id", BuiltinType(20, -1), true}, {"total", BuiltinType(25, -1), false}};
  shape.details = {{.attnum = 1, .not_null = true}, {.attnum = 2}};
  return shape;
}

SchemaChange AddNote() {
  const TableShape before = Orders();
  TableShape after = before;
  after.relation.columns.push_back({"note", BuiltinType(25, -1), false});
  after.details.push_back({.attnum = 3});
  return CompareShapes(&before, &after);
}

SchemaChange DropTotal() {
  const TableShape before = Orders();
  TableShape after = before;
  after.relation.columns.pop_back();
  after.details.pop_back();
  return CompareShapes(&before, &after);
}

class DdlServiceTest : public ServiceTest {
 protected:
  DdlServiceTest() : ddl_(v1::DDLService::NewStub(channel_)) {
    Notes& notes = TheNotes();
    notes.store = store_.get();
    notes.answers.clear();
    notes.takes = absl::ZeroDuration();
    notes.applied.clear();
    notes.holders.clear();
    notes.own_generation.clear();
    notes.most = 0;
    RegisterDestination("duckdb", [](const DestinationConfig& config, std::unique_ptr<Destination>* out) {
      *out = std::make_unique<NotingDestination>(config);
      return absl::OkStatus();
    });
  }

  // A flow with two destinations, lake and copy, which has paused for an event.
  std::string GatedFlow(const std::string& id) {
    v1::Flow flow = MakeFlow(id);
    flow.set_id(id);
    *flow.add_destinations() = flow.destinations(0);
    flow.mutable_destinations(1)->set_name("copy");
    Create(flow, /*start=*/true);
    EXPECT_TRUE(store_->Transition(id, {}, FlowState::kPaused, "ddl_pending").ok());
    return id;
  }

  int64_t Record(const std::string& flow_id, uint64_t lsn, const SchemaChange& change) {
    DdlEvent event;
    event.flow_id = flow_id;
    event.lsn = Lsn{lsn};
    event.ddl = "ALTER TABLE orders ...";
    event.table = change.Table();
    event.gated = true;
    event.plan = PlanToJson(change, {{"lake", {"ALTER TABLE lake"}}, {"copy", {}}});
    return store_->RecordDdl({event})->front().event.id;
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::DDLService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    int64_t id, v1::DDLEvent* event = nullptr) {
    grpc::ClientContext context;
    Request request;
    request.set_id(id);
    Response response;
    const grpc::Status status = ((*ddl_).*method)(&context, request, &response);
    if (event != nullptr) *event = response.event();
    return status;
  }
  grpc::Status GetEvent(int64_t id, v1::DDLEvent* event = nullptr) {
    return Call(&v1::DDLService::Stub::GetDDL, id, event);
  }
  grpc::Status Approve(int64_t id, v1::DDLEvent* event = nullptr) {
    return Call(&v1::DDLService::Stub::ApproveDDL, id, event);
  }
  grpc::Status Reject(int64_t id, v1::DDLEvent* event = nullptr) {
    return Call(&v1::DDLService::Stub::RejectDDL, id, event);
  }
  grpc::Status Apply(int64_t id, v1::DDLEvent* event = nullptr) {
    return Call(&v1::DDLService::Stub::ApplyDDL, id, event);
  }
  grpc::Status MarkApplied(int64_t id, v1::DDLEvent* event = nullptr) {
    return Call(&v1::DDLService::Stub::MarkDDLApplied, id, event);
  }
  grpc::Status List(const std::string& status, const std::string& flow_id, std::vector<int64_t>* ids, int limit = 0,
                    int64_t before_id = 0) {
    grpc::ClientContext context;
    v1::ListDDLRequest request;
    request.set_status(status);
    request.set_flow_id(flow_id);
    request.set_limit(limit);
    request.set_before_id(before_id);
    v1::ListDDLResponse response;
    const grpc::Status answer = ddl_->ListDDL(&context, request, &response);
    ids->clear();
    for (const v1::DDLEvent& event : response.events()) ids->push_back(event.id());
    return answer;
  }
  grpc::Status RunOnce(const std::string& id) {
    grpc::ClientContext context;
    v1::RunFlowOnceRequest request;
    request.set_flow_id(id);
    v1::RunFlowOnceResponse response;
    return flows_->RunFlowOnce(&context, request, &response);
  }
  int Pending(const std::string& id) {
    v1::Flow flow;
    EXPECT_TRUE(Get(id, &flow).ok());
    return flow.pending_ddl();
  }

  std::unique_ptr<v1::DDLService::Stub> ddl_;
};

void ExpectRefused(const grpc::Status& status, const std::string& text) {
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr(text));
}

TEST_F(DdlServiceTest, ListsByStatusAndFlow) {
  GatedFlow("a");
  GatedFlow("b");
  const int64_t first = Record("a", 100, AddNote());
  const int64_t second = Record("b", 100, AddNote());
  const int64_t third = Record("a", 200, DropTotal());
  ASSERT_TRUE(Approve(first).ok());
  std::vector<int64_t> ids;
  ASSERT_TRUE(List("", "", &ids).ok());
  EXPECT_THAT(ids, ElementsAre(first, second, third));
  ASSERT_TRUE(List("pending", "", &ids).ok());
  EXPECT_THAT(ids, ElementsAre(second, third));
  ASSERT_TRUE(List("pending", "a", &ids).ok());
  EXPECT_THAT(ids, ElementsAre(third));
  ASSERT_TRUE(List("failed", "", &ids).ok());
  EXPECT_THAT(ids, IsEmpty());

  const grpc::Status unknown = List("held", "", &ids);
  EXPECT_EQ(unknown.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(unknown.error_message(),
            "status: got 'held'; allowed: pending, approved, applying, applied, rejected, failed");
  EXPECT_EQ(List("", "nobody", &ids).error_code(), StatusCode::NOT_FOUND);

  grpc::ClientContext context;
  v1::ListPendingDDLRequest request;
  request.set_flow_id("b");
  v1::ListPendingDDLResponse response;
  ASSERT_TRUE(ddl_->ListPendingDDL(&context, request, &response).ok());
  ASSERT_EQ(response.events_size(), 1);
  EXPECT_EQ(response.events(0).id(), second);
}

// Of a flow with more events than an answer holds, the newest, and then those before.
TEST_F(DdlServiceTest, ListsWithMoreThanAnAnswerHolds) {
  v1::Flow flow = MakeFlow("Shop");
  flow.set_id("shop");
  Create(flow);
  std::vector<int64_t> all;
  for (uint64_t i = 1; i <= 17; ++i) {
    DdlEvent event;
    event.flow_id = "shop";
    event.lsn = Lsn{i};
    event.ddl = std::string(1 << 20, 'x');
    all.push_back(store_->RecordDdl({event})->front().event.id);
  }
  std::vector<int64_t> ids;
  const grpc::Status refused = List("", "shop", &ids);
  EXPECT_EQ(refused.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("limit"));
  std::vector<int64_t> seen;
  while (true) {
    ASSERT_TRUE(List("", "shop", &ids, 3, seen.empty() ? 0 : seen.front()).ok());
    if (ids.empty()) break;
    seen.insert(seen.begin(), ids.begin(), ids.end());
  }
  EXPECT_EQ(seen, all);
  EXPECT_EQ(List("", "shop", &ids, -1).error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(DdlServiceTest, IdsAreChecked) {
  for (const auto& method : std::vector<std::function<grpc::Status(int64_t)>>{
           [&](int64_t id) { return GetEvent(id); }, [&](int64_t id) { return Approve(id); },
           [&](int64_t id) { return Reject(id); }, [&](int64_t id) { return Apply(id); },
           [&](int64_t id) { return MarkApplied(id); }}) {
    EXPECT_EQ(method(0).error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(method(0).error_message(), HasSubstr("id: is missing"));
    EXPECT_EQ(method(-7).error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(method(99).error_code(), StatusCode::NOT_FOUND);
    EXPECT_THAT(method(99).error_message(), HasSubstr("99"));
  }
}

TEST_F(DdlServiceTest, GetShowsEverything) {
  GatedFlow("shop");
  const int64_t id = Record("shop", 0x16B3748, AddNote());
  ASSERT_TRUE(store_->PutDdlReceipt(id, "lake").ok());
  const DdlEvent stored = *store_->GetDdl(id);
  v1::DDLEvent event;
  ASSERT_TRUE(GetEvent(id, &event).ok());
  EXPECT_EQ(event.id(), id);
  EXPECT_EQ(event.flow_id(), "shop");
  EXPECT_EQ(event.ddl(), "ALTER TABLE orders ...");
  EXPECT_EQ(event.lsn(), "0/16B3748");
  EXPECT_EQ(event.status(), "pending");
  EXPECT_EQ(event.table(), "public.orders");
  EXPECT_TRUE(event.gated());
  EXPECT_EQ(event.error(), "");
  EXPECT_EQ(event.plan_json(), stored.plan);
  EXPECT_THAT(event.plan_json(), HasSubstr(R"("destinations":{"copy":[],"lake":["ALTER TABLE lake"]})"));
  EXPECT_EQ(event.created_at().seconds(), absl::ToUnixSeconds(stored.created_at));
  ASSERT_EQ(event.receipts_size(), 1);
  EXPECT_EQ(event.receipts(0).destination(), "lake");
  EXPECT_EQ(event.receipts(0).applied_at().seconds(), absl::ToUnixSeconds(stored.receipts[0].at));
}

TEST_F(DdlServiceTest, ApproveApplyResume) {
  const std::string flow = GatedFlow("shop");
  const int64_t id = Record(flow, 100, AddNote());
  EXPECT_EQ(Pending(flow), 1);
  ExpectRefused(Resume(flow), absl::StrCat("DDL event ", id));
  ExpectRefused(Resume(flow), absl::StrCat("wallaby-admin ddl approve -id ", id));
  ExpectRefused(RunOnce(flow), absl::StrCat("DDL event ", id));
  ExpectRefused(Apply(id), "is pending; approve it first");
  ExpectRefused(MarkApplied(id), "is pending");

  v1::DDLEvent event;
  ASSERT_TRUE(Approve(id, &event).ok());
  EXPECT_EQ(event.status(), "approved");
  ExpectRefused(Approve(id), "is approved");
  ExpectRefused(Reject(id), "is approved");
  ExpectRefused(Resume(flow), absl::StrCat("wallaby-admin ddl apply -id ", id));
  EXPECT_EQ(Pending(flow), 1);
  EXPECT_THAT(TheNotes().applied, IsEmpty());

  const grpc::Status applied = Apply(id, &event);
  ASSERT_TRUE(applied.ok()) << applied.error_message();
  EXPECT_EQ(event.status(), "applied");
  ASSERT_EQ(event.receipts_size(), 2);
  EXPECT_THAT(TheNotes().applied, ElementsAre("lake: add column note (text)", "copy: add column note (text)"));
  EXPECT_THAT(TheNotes().holders, testing::Each(HasSubstr(absl::StrCat(":", getpid(), ":ddl apply"))));
  EXPECT_THAT(TheNotes().own_generation, testing::Each(true));
  // Given back: the worker need not wait.
  EXPECT_TRUE(store_->AcquireLease(flow, "worker", absl::Seconds(1)).ok());
  ExpectRefused(Apply(id), "is applied already");

  EXPECT_EQ(Pending(flow), 0);
  const grpc::Status resumed = Resume(flow);
  EXPECT_TRUE(resumed.ok()) << resumed.error_message();
  EXPECT_EQ(State(flow), v1::FLOW_STATE_RUNNING);
}

TEST_F(DdlServiceTest, AFlowThatPausedForWhatIsSettledGoesOn) {
  const std::string flow = GatedFlow("shop");
  EXPECT_TRUE(RunOnce(flow).ok());
  EXPECT_TRUE(Resume(flow).ok());
  EXPECT_EQ(State(flow), v1::FLOW_STATE_RUNNING);
}

TEST_F(DdlServiceTest, StartIsRefusedAsResumeIs) {
  const std::string flow = GatedFlow("shop");
  const int64_t id = Record(flow, 100, AddNote());
  ASSERT_TRUE(store_->Transition(flow, {}, FlowState::kFailed, "a reason").ok());
  ExpectRefused(Start(flow), absl::StrCat("cannot start the flow, which is failed: DDL event ", id));
  EXPECT_EQ(State(flow), v1::FLOW_STATE_FAILED);
  // Of a running one the worker is at it.
  ASSERT_TRUE(store_->Transition(flow, {}, FlowState::kRunning, "").ok());
  EXPECT_TRUE(Start(flow).ok());
  EXPECT_TRUE(RunOnce(flow).ok());
}

TEST_F(DdlServiceTest, NothingIsAppliedWhileTheFlowRuns) {
  const std::string flow = GatedFlow("shop");
  const int64_t id = Record(flow, 100, AddNote());
  ASSERT_TRUE(Approve(id).ok());
  ASSERT_TRUE(store_->Transition(flow, {}, FlowState::kRunning, "").ok());
  ExpectRefused(Apply(id), "is running; wait until it is paused");
  ASSERT_TRUE(store_->Transition(flow, {}, FlowState::kStopping, "").ok());
  ExpectRefused(Apply(id), "is stopping; wait until it is stopped");
  EXPECT_THAT(TheNotes().applied, IsEmpty());
  EXPECT_EQ(store_->GetDdl(id)->status, DdlStatus::kApproved);
}

TEST_F(DdlServiceTest, AWorkerThatEndsIsWaitedFor) {
  const std::string flow = GatedFlow("shop");
  const int64_t id = Record(flow, 100, AddNote());
  ASSERT_TRUE(Approve(id).ok());
  const Lease worker = *store_->AcquireLease(flow, "worker", absl::Minutes(5));
  std::thread ending([&] {
    absl::SleepFor(absl::Milliseconds(300));
    EXPECT_TRUE(store_->ReleaseLease(worker).ok());
  });
  const grpc::Status applied = Apply(id);
  ending.join();
  EXPECT_TRUE(applied.ok()) << applied.error_message();
  EXPECT_EQ(TheNotes().applied.size(), 2u);
}

TEST_F(DdlServiceTest, AWorkerThatStaysIsNamed) {
  const std::string flow = GatedFlow("shop");
  const int64_t id = Record(flow, 100, AddNote());
  ASSERT_TRUE(Approve(id).ok());
  ASSERT_TRUE(store_->AcquireLease(flow, "that worker", absl::Minutes(5)).ok());
  DdlServiceImpl impatient(store_.get(), absl::ZeroDuration());
  grpc::ServerBuilder builder;
  builder.RegisterService(&impatient);
  const auto server = builder.BuildAndStart();
  ddl_ = v1::DDLService::NewStub(server->InProcessChannel(grpc::ChannelArguments()));
  ExpectRefused(Apply(id), "that worker holds its lease");
  EXPECT_THAT(TheNotes().applied, IsEmpty());
  EXPECT_EQ(store_->GetDdl(id)->status, DdlStatus::kApproved);
}

TEST_F(DdlServiceTest, ALeaseIsKeptUntilItIsGivenBack) {
  const std::string flow = GatedFlow("shop");
  const auto never = [] { return false; };
  auto lease = HeldLease::Take(store_.get(), flow, "test", absl::ZeroDuration(), never, absl::Seconds(2));
  ASSERT_TRUE(lease.ok()) << lease.status();
  const absl::Time first = store_->GetLease(flow)->value().expires;
  EXPECT_TRUE(Eventually([&] { return store_->GetLease(flow)->value().expires > first; }));
  EXPECT_EQ(store_->GetLease(flow)->value().generation, (*lease)->generation());
  const auto other = [&](absl::Duration limit, bool given_up) {
    return HeldLease::Take(store_.get(), flow, "other", limit, [given_up] { return given_up; }).status();
  };
  EXPECT_TRUE(absl::IsFailedPrecondition(other(absl::ZeroDuration(), false)));
  EXPECT_TRUE(absl::IsCancelled(other(absl::Hours(1), true)));
  lease->reset();
  EXPECT_TRUE(other(absl::ZeroDuration(), false).ok());
}

TEST_F(DdlServiceTest, WhatFailedIsFinishedAndNotRepeated) {
  const std::string flow = GatedFlow("shop");
  const int64_t id = Record(flow, 100, AddNote());
  ASSERT_TRUE(Approve(id).ok());
  // Its NOT_FOUND is no unknown id.
  TheNotes().answers["copy"] = absl::NotFoundError("table orders is gone; make it again");
  ExpectRefused(Apply(id), "destination copy: table orders is gone; make it again");
  v1::DDLEvent event;
  ASSERT_TRUE(GetEvent(id, &event).ok());
  EXPECT_EQ(event.status(), "failed");
  EXPECT_EQ(event.error(), "destination copy: table orders is gone; make it again");
  EXPECT_EQ(Pending(flow), 1);
  ExpectRefused(Resume(flow), absl::StrCat("wallaby-admin ddl apply -id ", id));

  TheNotes().answers["copy"] = absl::DeadlineExceededError("no answer");
  EXPECT_EQ(Apply(id).error_code(), StatusCode::UNAVAILABLE);
  TheNotes().answers.clear();
  ASSERT_TRUE(Apply(id, &event).ok());
  EXPECT_EQ(event.error(), "");
  EXPECT_THAT(TheNotes().applied, ElementsAre("lake: add column note (text)", "copy: add column note (text)"));
}

TEST_F(DdlServiceTest, OneIsAppliedAfterTheOther) {
  std::vector<int64_t> ids;
  for (const std::string flow : {"a", "b", "c"}) {
    ids.push_back(Record(GatedFlow(flow), 100, AddNote()));
    ASSERT_TRUE(Approve(ids.back()).ok());
  }
  TheNotes().takes = absl::Milliseconds(50);
  std::vector<std::thread> threads;
  for (const int64_t id : ids) threads.emplace_back([this, id] { EXPECT_TRUE(Apply(id).ok()); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(TheNotes().applied.size(), 6u);
  EXPECT_EQ(TheNotes().most, 1);
}

TEST_F(DdlServiceTest, RejectedColumnsStayOutAndTheFlowGoesOn) {
  const std::string flow = GatedFlow("shop");
  const int64_t id = Record(flow, 100, AddNote());
  v1::DDLEvent event;
  ASSERT_TRUE(Reject(id, &event).ok());
  EXPECT_EQ(event.status(), "rejected");
  EXPECT_EQ(Pending(flow), 0);
  ExpectRefused(Apply(id), "is rejected");
  EXPECT_TRUE(Resume(flow).ok());
  EXPECT_THAT(TheNotes().applied, IsEmpty());
}

TEST_F(DdlServiceTest, AnyOtherRejectedChangeHoldsTheFlow) {
  const std::string flow = GatedFlow("shop");
  const int64_t id = Record(flow, 100, DropTotal());
  ASSERT_TRUE(Reject(id).ok());
  EXPECT_EQ(Pending(flow), 1);
  ExpectRefused(Resume(flow), absl::StrCat("DDL event ", id));
  ASSERT_TRUE(Approve(id).ok());
  ASSERT_TRUE(Apply(id).ok());
  EXPECT_TRUE(Resume(flow).ok());
}

TEST_F(DdlServiceTest, WhatWasDoneByHandIsMarkedInOrder) {
  const std::string flow = GatedFlow("shop");
  const int64_t first = Record(flow, 100, AddNote());
  const int64_t second = Record(flow, 200, DropTotal());
  ASSERT_TRUE(Approve(first).ok());
  ASSERT_TRUE(Approve(second).ok());
  ExpectRefused(MarkApplied(second), absl::StrCat("after event ", first));
  ExpectRefused(Apply(second), absl::StrCat("after event ", first));
  v1::DDLEvent event;
  ASSERT_TRUE(MarkApplied(first, &event).ok());
  EXPECT_EQ(event.status(), "applied");
  EXPECT_EQ(Pending(flow), 1);
  ASSERT_TRUE(Apply(second).ok());
  EXPECT_THAT(TheNotes().applied, ElementsAre("lake: drop column total", "copy: drop column total"));
  EXPECT_TRUE(Resume(flow).ok());
}

TEST_F(DdlServiceTest, WhatOnlyTablesWaitForIsLeftToTheWorker) {
  const std::string flow = GatedFlow("shop");
  SchemaChange users = AddNote();
  for (auto* shape : {&users.before, &users.after}) {
    (*shape)->relation.oid = 16500;
    (*shape)->relation.name = "users";
  }
  const int64_t other = Record(flow, 50, users), event = Record(flow, 100, AddNote()),
                next = Record(flow, 200, DropTotal());
  ASSERT_TRUE(store_->PutTableHolds(flow, {{16500, "public.users", Lsn{50}}, {16400, "public.orders", Lsn{100}}}).ok());
  ASSERT_TRUE(store_->Transition(flow, {}, FlowState::kRunning, "").ok());
  ASSERT_TRUE(Approve(event).ok());
  ASSERT_TRUE(Approve(next).ok());

  // What the worker says.
  const auto answer_with = [&](absl::Status failure) {
    grpc::Status answer;
    std::thread asks([&] { answer = Apply(event); });
    while (store_->GetDdl(event)->status != DdlStatus::kApplying) absl::SleepFor(absl::Milliseconds(5));
    if (failure.ok()) {
      EXPECT_TRUE(store_->SettleDdl(event, {DdlStatus::kApplying}, {.shape = AddNote().after}).ok());
    } else {
      EXPECT_TRUE(
          store_->MoveDdl(event, {DdlStatus::kApplying}, DdlStatus::kFailed, std::string(failure.message())).ok());
    }
    asks.join();
    return answer;
  };
  const grpc::Status failed = answer_with(absl::UnavailableError("destination lake: no room"));
  EXPECT_EQ(failed.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(failed.error_message(), HasSubstr("destination lake: no room"));
  // The event of another table is earlier, and no matter.
  EXPECT_EQ(store_->GetDdl(other)->status, DdlStatus::kPending);
  EXPECT_TRUE(answer_with(absl::OkStatus()).ok());
  EXPECT_THAT(TheNotes().applied, IsEmpty());

  // What came between two changes of a table is delivered before the second is applied.
  const grpc::Status early = Apply(next);
  EXPECT_EQ(early.error_code(), StatusCode::FAILED_PRECONDITION);
  ASSERT_TRUE(store_->PutTableHolds(flow, {{16400, "public.orders", Lsn{150}}}).ok());
  EXPECT_THAT(MarkApplied(next).error_message(), HasSubstr("still to be delivered, from 0/96"));
}

}  // namespace
}  // namespace wallaby
