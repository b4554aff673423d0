// The client and the watcher against an API server that misbehaves as it is told to.
#include "dispatch/kubernetes/kube_client.h"

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dispatch/kubernetes/watcher.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

class KubeClientTest : public testing::Test {
 protected:
  void Begin() {
    port_ = server_.bind_to_any_port("127.0.0.1");
    server_.set_keep_alive_timeout(1);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) absl::SleepFor(absl::Milliseconds(1));
    KubernetesSettings settings;
    settings.api_server = absl::StrCat("http://127.0.0.1:", port_);
    settings.name_space = "data";
    access_ = ClusterAccess::Load(settings).value();
    client_ = std::make_unique<KubeClient>(access_.get(), &end_);
  }
  ~KubeClientTest() override {
    end_.Set();
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  static void Answer(httplib::Response& response, int status, const std::string& message = "told so",
                     const std::string& reason = "") {
    response.status = status;
    response.set_content(Json{{"kind", "Status"}, {"message", message}, {"reason", reason}}.dump(), "application/json");
  }
  absl::Status ListAnswered(int status) {
    server_.Get("/apis/batch/v1/namespaces/data/jobs",
                [status](const httplib::Request&, httplib::Response& response) { Answer(response, status); });
    Begin();
    return client_->List(kJobs, "app=wallaby").status();
  }

  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  Event end_;
  std::unique_ptr<ClusterAccess> access_;
  std::unique_ptr<KubeClient> client_;
};

TEST_F(KubeClientTest, ForbiddenNamesTheVerb) {
  const absl::Status status = ListAnswered(403);
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("the verb `list` on the resource `jobs`"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("rbac.yaml"));
}

TEST_F(KubeClientTest, StatusesAreToldApart) {
  server_.Post("/apis/batch/v1/namespaces/data/jobs", [](const httplib::Request& request, httplib::Response& response) {
    const Json body = Json::parse(request.body);
    Answer(response, body["status"], "said so", body["reason"]);
  });
  Begin();
  const auto created = [&](int status, const std::string& reason = "") {
    return client_->Create(kJobs, {{"status", status}, {"reason", reason}}).status();
  };
  EXPECT_TRUE(absl::IsAlreadyExists(created(409, "AlreadyExists")));
  EXPECT_TRUE(absl::IsAborted(created(409, "Conflict")));
  EXPECT_TRUE(absl::IsNotFound(created(404)));
  EXPECT_TRUE(absl::IsInvalidArgument(created(422)));
  EXPECT_TRUE(absl::IsUnavailable(created(500)));
  EXPECT_TRUE(absl::IsOutOfRange(created(410)));
}

TEST_F(KubeClientTest, RetryAfterIsWaitedForOrHandedOn) {
  int calls = 0;
  std::string wait = "1";
  server_.Get("/apis/batch/v1/namespaces/data/jobs", [&](const httplib::Request&, httplib::Response& response) {
    if (++calls > 1 && wait == "1") {
      response.set_content(R"({"items": []})", "application/json");
      return;
    }
    response.set_header("Retry-After", wait);
    Answer(response, 429);
  });
  Begin();
  const absl::Time begin = absl::Now();
  EXPECT_TRUE(client_->List(kJobs, "a").ok());
  EXPECT_GE(absl::Now() - begin, absl::Seconds(1));
  wait = "120";
  const absl::Status busy = client_->List(kJobs, "a").status();
  EXPECT_TRUE(absl::IsResourceExhausted(busy)) << busy;
  EXPECT_EQ(RetryAfter(busy), absl::Minutes(2));
  EXPECT_EQ(calls, 3);
}

TEST_F(KubeClientTest, ExpiredTokenIsReadAgainOnce) {
  const std::string folder = testing::TempDir() + "/wallaby-token-XXXXXX";
  std::string path = folder;
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  std::ofstream(path + "/token") << "old\n";
  int calls = 0;
  server_.Get("/apis/batch/v1/namespaces/data/jobs", [&](const httplib::Request& request, httplib::Response& response) {
    ++calls;
    if (request.get_header_value("Authorization") != "Bearer new") return Answer(response, 401);
    response.set_content(R"({"items": []})", "application/json");
  });
  Begin();
  std::ofstream(path + "/kubeconfig") << "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:" << port_
                                      << "'}}]\nusers: [{name: u, user: {tokenFile: token}}]\ncontexts: [{name: x, "
                                         "context: {cluster: c, user: u, namespace: data}}]\ncurrent-context: x\n";
  KubernetesSettings settings;
  settings.kubeconfig = path + "/kubeconfig";
  const auto access = ClusterAccess::Load(settings).value();
  KubeClient client(access.get(), &end_);
  const absl::Status refused = client.List(kJobs, "a").status();
  EXPECT_TRUE(absl::IsUnauthenticated(refused)) << refused;
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("kubeconfig"));
  std::ofstream(path + "/token") << "new\n";
  EXPECT_TRUE(client.List(kJobs, "a").ok());
  EXPECT_EQ(calls, 4);
}

TEST_F(KubeClientTest, AServerThatIsAwayIsUnavailable) {
  Begin();
  server_.stop();
  thread_.join();
  const absl::Status status = client_->List(kJobs, "a").status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot be reached"));
  EXPECT_TRUE(IsOutcomeUnknown(status));
}

// Notes what a watcher tells.
class Notes : public WatchListener {
 public:
  void OnList(const KubeResource&, const std::vector<Json>& objects, absl::Duration) override {
    Add(absl::StrCat("list ", objects.size()));
  }
  void OnChange(const KubeResource&, const Json& object, bool gone) override {
    Add(absl::StrCat(gone ? "gone " : "change ", TextField(Field(object, "metadata"), "name")));
  }
  void OnHealth(const KubeResource&, const absl::Status& status) override {
    if (!status.ok()) Add("trouble");
  }
  std::vector<std::string> Await(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(15), [&] { return notes_.size() >= count; });
    return notes_;
  }

 private:
  void Add(std::string note) {
    std::lock_guard lock(mutex_);
    notes_.push_back(std::move(note));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> notes_;
};

TEST_F(KubeClientTest, AWatchIsResumedAfterACutAndListedAnewWhenTooOld) {
  std::vector<std::string> asked;
  std::mutex mutex;
  const auto event = [](const char* type, const char* name, const char* version) {
    return Json{{"type", type}, {"object", {{"metadata", {{"name", name}, {"resourceVersion", version}}}}}}.dump() +
           "\n";
  };
  server_.Get("/apis/batch/v1/namespaces/data/jobs", [&](const httplib::Request& request, httplib::Response& response) {
    const std::string version = request.get_param_value("resourceVersion");
    size_t watches = 0;
    {
      std::lock_guard lock(mutex);
      if (request.has_param("watch")) asked.push_back(version);
      watches = asked.size();
    }
    if (!request.has_param("watch")) {
      response.set_content(R"({"items": [{}], "metadata": {"resourceVersion": "10"}})", "application/json");
    } else if (watches == 1) {
      // Cut in the middle of an event: its length was announced longer.
      const std::string text = event("ADDED", "a", "11") + event("BOOKMARK", "", "20") + "{\"type\": \"MODI";
      response.set_content_provider(text.size() + 100, "application/json",
                                    [text](size_t offset, size_t, httplib::DataSink& sink) {
                                      if (offset > 0) return false;
                                      return sink.write(text.data(), text.size());
                                    });
    } else if (watches == 2) {
      response.set_content(event("DELETED", "a", "21"), "application/json");
    } else if (watches == 3) {
      response.set_content(Json{{"type", "ERROR"}, {"object", {{"code", 410}}}}.dump() + "\n", "application/json");
    } else {
      Answer(response, 410);
    }
  });
  Begin();
  Notes notes;
  {
    Watcher watcher(access_.get(), kJobs, "a", &notes);
    EXPECT_THAT(notes.Await(4), testing::IsSupersetOf({"list 1", "change a", "gone a", "list 1"}));
  }
  std::lock_guard lock(mutex);
  ASSERT_GE(asked.size(), 3u);
  EXPECT_EQ(asked[0], "10");
  EXPECT_EQ(asked[1], "20");
  EXPECT_EQ(asked[2], "21");
}

TEST_F(KubeClientTest, CallingOffEndsAWatchAtOnce) {
  server_.Get("/apis/batch/v1/namespaces/data/jobs", [&](const httplib::Request& request, httplib::Response& response) {
    if (!request.has_param("watch")) {
      response.set_content(R"({"items": [], "metadata": {"resourceVersion": "10"}})", "application/json");
      return;
    }
    response.set_chunked_content_provider("application/json", [this](size_t, httplib::DataSink&) {
      end_.Wait(absl::Hours(1));
      return false;
    });
  });
  Begin();
  Notes notes;
  Watcher watcher(access_.get(), kJobs, "a", &notes);
  notes.Await(1);  // and the watcher ends here, not with the answer
}

}  // namespace
}  // namespace wallaby
