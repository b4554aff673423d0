// What goes wrong with Jobs, against a real API server: each case is a row of the table in docs/dispatch.md.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dispatch/kubernetes/kubernetes_dispatch.h"
#include "dispatch/kubernetes/test_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kLimit = absl::Seconds(60);
constexpr char kRunsUntilAsked[] = "trap 'exit 0' TERM; while [ -e \"$0\" ]; do sleep 0.05; done";

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kLimit;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(50));
  }
  return true;
}

class KubernetesDispatcherTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = TestCluster::WhyNot(); !why.empty()) GTEST_SKIP() << why;
    folder_ = testing::TempDir() + "/wallaby-jobs-XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    store_ = OpenSqliteStore(folder_ + "/wallaby.db").value();
    std::ofstream(Worker()) << "#!/bin/sh\necho $$ >>" << folder_ << "/starts\n. " << folder_ << "/behaviour\n";
    chmod(Worker().c_str(), 0755);
    Behave(kRunsUntilAsked);
    AddFlow("shop");
  }
  void TearDown() override {
    dispatcher_.reset();
    cluster_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  std::string Worker() const { return folder_ + "/worker"; }
  void Behave(const std::string& script) { std::ofstream(folder_ + "/behaviour") << script << "\n"; }
  void AddFlow(const std::string& id) {
    Flow flow;
    flow.id = flow.name = id;
    flow.source = {"db", "postgres", {{"dsn", "postgres://localhost/x"}}};
    flow.destinations = {{"lake", "duckdb", {{"dsn", "/tmp/x.db"}}}};
    ASSERT_TRUE(store_->CreateFlow(flow).ok());
  }
  void UseCluster(bool own = false) {
    cluster_ = std::make_unique<TestCluster>(own);
    settings_ = cluster_->Settings(Worker());
    settings_.job_backoff_limit = 0;
  }
  std::unique_ptr<Dispatcher> Make() {
    KubernetesDispatcherOptions options;
    options.settings = settings_;
    options.review_interval = absl::Seconds(1);
    options.backoff_base = absl::Milliseconds(200);
    options.backoff_cap = absl::Seconds(1);
    auto dispatcher = MakeKubernetesDispatcher(store_.get(), options).value();
    EXPECT_TRUE(dispatcher->Start().ok());
    return dispatcher;
  }
  void Begin() { dispatcher_ = Make(); }
  void Run(const std::string& id = "shop") {
    ASSERT_TRUE(store_->Transition(id, {}, FlowState::kRunning, "").ok());
    const absl::Status status = dispatcher_->Ensure(id);
    ASSERT_TRUE(status.ok()) << status;
  }
  size_t Starts() const {
    std::ifstream in(folder_ + "/starts");
    size_t lines = 0;
    for (std::string line; std::getline(in, line);) ++lines;
    return lines;
  }
  bool AwaitStart(size_t count) {
    return Eventually([&] { return Starts() >= count; });
  }
  std::string LastError() { return store_->GetFlow("shop").value().last_error; }

  std::string folder_;
  std::unique_ptr<ControlStore> store_;
  std::unique_ptr<TestCluster> cluster_;
  KubernetesSettings settings_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

TEST_F(KubernetesDispatcherTest, AJobDeletedByHandShowsAndIsFollowed) {
  UseCluster();
  Begin();
  Run();
  ASSERT_TRUE(AwaitStart(1));
  const std::string name = cluster_->Jobs().at(0).name;
  cluster_->DeleteJob(name);
  EXPECT_TRUE(Eventually([&] { return LastError().find("was deleted, and not by WALlaby") != std::string::npos; }));
  EXPECT_THAT(LastError(), HasSubstr(name));
  EXPECT_TRUE(AwaitStart(2));
  EXPECT_NE(cluster_->Jobs().at(0).name, name);
}

TEST_F(KubernetesDispatcherTest, AnUnpullableImageShows) {
  UseCluster();
  settings_.job_image = "registry.example/unpullable:1";
  Begin();
  Run();
  EXPECT_TRUE(Eventually([&] { return dispatcher_->Trouble("shop").find("ImagePullBackOff") != std::string::npos; }));
  EXPECT_THAT(dispatcher_->Trouble("shop"), HasSubstr("registry.example/unpullable:1"));
  EXPECT_TRUE(Eventually([&] { return LastError().find("cannot be pulled") != std::string::npos; }));
  EXPECT_TRUE(dispatcher_->IsActive("shop"));
  // It can be stopped all the same.
  ASSERT_TRUE(store_->Transition("shop", {}, FlowState::kStopping, "").ok());
  dispatcher_->Stop("shop");
  EXPECT_TRUE(Eventually([&] { return store_->GetFlow("shop")->state == FlowState::kStopped; }));
  EXPECT_EQ(dispatcher_->Trouble("shop"), "");
}

TEST_F(KubernetesDispatcherTest, AnEvictedPodShowsAndDoesNotCountAsAFailure) {
  UseCluster();
  Begin();
  Run();
  ASSERT_TRUE(AwaitStart(1));
  ASSERT_TRUE(Eventually([&] { return cluster_->Pods().at(0).running; }));
  const Json condition = {{"type", "DisruptionTarget"}, {"status", "True"}, {"reason", "TerminationByKubelet"}};
  cluster_->Call("PATCH", "/api/v1", "/pods/" + cluster_->Pods().at(0).name + "/status",
                 {{"status",
                   {{"phase", "Failed"},
                    {"reason", "Evicted"},
                    {"message", "The node was low on resource: memory."},
                    {"conditions", Json::array({condition})}}}},
                 "application/strategic-merge-patch+json");
  EXPECT_TRUE(Eventually([&] { return LastError().find("Evicted: The node was low") != std::string::npos; }))
      << LastError();
  EXPECT_TRUE(AwaitStart(2));  // of the same Job, although its limit is 0
  EXPECT_EQ(cluster_->Jobs().size(), 1u);
}

TEST_F(KubernetesDispatcherTest, AJobOutOfBackoffShowsAndIsFollowed) {
  UseCluster();
  Behave("exit 1");
  Begin();
  Run();
  EXPECT_TRUE(Eventually([&] { return LastError().find("BackoffLimitExceeded") != std::string::npos; })) << LastError();
  Behave(kRunsUntilAsked);
  const size_t before = Starts();
  EXPECT_TRUE(AwaitStart(before + 1));
}

TEST_F(KubernetesDispatcherTest, TwoServersMakeOneJob) {
  UseCluster();
  Begin();
  const std::unique_ptr<Dispatcher> other = Make();
  ASSERT_TRUE(store_->Transition("shop", {}, FlowState::kRunning, "").ok());
  std::thread first([&] { EXPECT_TRUE(dispatcher_->Ensure("shop").ok()); });
  std::thread second([&] { EXPECT_TRUE(other->Ensure("shop").ok()); });
  first.join();
  second.join();
  ASSERT_TRUE(AwaitStart(1));
  absl::SleepFor(absl::Seconds(2));
  EXPECT_EQ(cluster_->Jobs().size(), 1u);
  EXPECT_TRUE(Eventually([&] { return other->IsActive("shop"); }));
}

TEST_F(KubernetesDispatcherTest, AnyFlowIdMakesAJob) {
  UseCluster();
  Begin();
  const std::string id = "Größe / of: " + std::string(200, 'x');
  AddFlow(id);
  Run(id);
  ASSERT_TRUE(AwaitStart(1));
  ASSERT_EQ(cluster_->Jobs().size(), 1u);
  EXPECT_EQ(cluster_->Jobs()[0].identity.flow_id, id);
  EXPECT_TRUE(Eventually([&] { return dispatcher_->IsActive(id); }));
}

TEST_F(KubernetesDispatcherTest, WithoutTheRoleTheMissingVerbIsNamed) {
  UseCluster();
  cluster_->Call("DELETE", "/apis/rbac.authorization.k8s.io/v1", "/rolebindings/wallaby");
  Begin();
  ASSERT_TRUE(store_->Transition("shop", {}, FlowState::kRunning, "").ok());
  absl::Status status;
  EXPECT_TRUE(Eventually([&] { return absl::IsPermissionDenied(status = dispatcher_->Ensure("shop")); })) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("verb `list` on the resource `jobs`"));
}

TEST_F(KubernetesDispatcherTest, AnExpiredTokenIsReplacedByTheOneInItsFile) {
  UseCluster();
  std::ofstream(folder_ + "/token") << cluster_->Token();
  std::ofstream(folder_ + "/kubeconfig") << "clusters: [{name: c, cluster: {server: '" << cluster_->url()
                                         << "', certificate-authority: '" << cluster_->folder()
                                         << "/ca.crt'}}]\nusers: [{name: u, user: {tokenFile: token}}]\ncontexts: "
                                            "[{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n";
  settings_.api_server.clear();
  settings_.token.clear();
  settings_.ca_file.clear();
  settings_.kubeconfig = folder_ + "/kubeconfig";
  Begin();
  Run();
  ASSERT_TRUE(AwaitStart(1));
  // Tokens end with their service account.
  cluster_->DeleteServiceAccount();
  cluster_->MakeServiceAccount();
  std::ofstream(folder_ + "/token") << cluster_->Token();
  AddFlow("other");
  Run("other");
  EXPECT_TRUE(AwaitStart(2));
}

TEST_F(KubernetesDispatcherTest, AClientCertificateIsAccess) {
  UseCluster();
  settings_.token.clear();
  settings_.client_cert = cluster_->folder() + "/admin.crt";
  settings_.client_key = cluster_->folder() + "/admin.key";
  Begin();
  Run();
  EXPECT_TRUE(AwaitStart(1));
}

TEST_F(KubernetesDispatcherTest, AnUntrustedServerIsNotTalkedTo) {
  UseCluster();
  settings_.ca_file.clear();
  Begin();
  const absl::Status status = dispatcher_->Ensure("shop", {.max_empty_reads = 1});
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("certificate is not trusted"));
}

TEST_F(KubernetesDispatcherTest, ARunThatCompletedAsTheSettingsWantItRests) {
  UseCluster();
  settings_.job_max_empty_reads = 3;
  Behave("exit 0");
  Begin();
  Run();
  ASSERT_TRUE(AwaitStart(1));
  EXPECT_TRUE(Eventually([&] { return !dispatcher_->IsActive("shop"); }));
  absl::SleepFor(absl::Seconds(4));
  EXPECT_EQ(Starts(), 1u);
  EXPECT_TRUE(dispatcher_->Ensure("shop").ok());
  EXPECT_TRUE(AwaitStart(2));
}

TEST_F(KubernetesDispatcherTest, AnApiServerThatIsDownIsWaitedFor) {
  UseCluster(true);
  Begin();
  Run();
  ASSERT_TRUE(AwaitStart(1));
  cluster_->Halt();
  // What runs is left alone, and said to run.
  EXPECT_TRUE(dispatcher_->Ensure("shop").ok());
  EXPECT_TRUE(dispatcher_->IsActive("shop"));
  AddFlow("other");
  Run("other");
  EXPECT_TRUE(Eventually([&] { return dispatcher_->Trouble("other").find("cannot be reached") != std::string::npos; }));
  AddFlow("third");
  const absl::Status once = dispatcher_->Ensure("third", {.max_empty_reads = 1});
  EXPECT_TRUE(absl::IsUnavailable(once)) << once;
  cluster_->Resume();
  EXPECT_TRUE(AwaitStart(2));
  EXPECT_TRUE(Eventually([&] { return dispatcher_->Trouble("other").empty(); }));
  EXPECT_TRUE(dispatcher_->IsActive("shop"));
  EXPECT_EQ(Starts(), 2u);
}

}  // namespace
}  // namespace wallaby
