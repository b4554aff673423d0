// The server as a process: its lock, its end, and workers that outlive it.
#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dispatch/process.h"
#include "gtest/gtest.h"
#include "store/control_store.h"

namespace wallaby {
namespace {

bool Eventually(const std::function<bool()>& condition, absl::Duration limit = absl::Seconds(60)) {
  const absl::Time deadline = absl::Now() + limit;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return true;
}

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof(address);
  const bool bound = bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                     getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  close(fd);
  EXPECT_TRUE(bound);
  return ntohs(address.sin_port);
}

bool Listens(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  const bool connected = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return connected;
}

bool IsAlive(pid_t pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  const std::string stat((std::istreambuf_iterator<char>(in)), {});
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.substr(name_end + 2, 1) != "Z";
}

std::string Program() {
  const char* bin = std::getenv("WALLABY_BIN_DIR");
  return absl::StrCat(bin == nullptr ? WALLABY_DEFAULT_BIN_DIR : bin, "/wallaby");
}

struct Output {
  int status = -1;
  std::string text;  // stdout and stderr
};

Output RunCommand(const std::string& command) {
  Output output;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const size_t got = fread(buffer, 1, sizeof(buffer), pipe)) output.text.append(buffer, got);
  const int status = pclose(pipe);
  output.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    folder_ = testing::TempDir() + "/wallaby-server-XXXXXX";
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    port_ = FreePort();
    const std::string worker = folder_ + "/worker";
    std::ofstream(worker) << "#!/bin/sh\necho $$ >>" << folder_
                          << "/starts\ntrap 'exit 0' TERM\nwhile [ -e \"$0\" ]; do sleep 0.05; done\n";
    chmod(worker.c_str(), 0755);
    setenv("WALLABY_WORKER_BIN", worker.c_str(), 1);
    setenv("WALLABY_DATA_DIR", (folder_ + "/data").c_str(), 1);
    setenv("WALLABY_GRPC_LISTEN", absl::StrCat("127.0.0.1:", port_).c_str(), 1);
    unsetenv("WALLABY_POSTGRES_DSN");
    unsetenv("WALLABY_DDL_GATE");
  }
  ~ServerTest() override {
    if (server_ != nullptr) {
      server_->Signal(SIGKILL).IgnoreError();
      server_->Reap();
    }
    for (const pid_t pid : Workers()) kill(pid, SIGKILL);
    std::filesystem::remove_all(folder_);
  }

  void Begin() {
    server_ = Process::Spawn(Program(), {}).value();
    ASSERT_TRUE(Eventually([&] { return Listens(port_); }));
  }
  std::vector<pid_t> Workers() {
    std::ifstream in(folder_ + "/starts");
    std::vector<pid_t> pids;
    for (pid_t pid; in >> pid;) pids.push_back(pid);
    return pids;
  }
  // A flow in `running`, put into the store while no server runs.
  void RunFlow() {
    std::filesystem::create_directories(folder_ + "/data");
    const auto store = OpenSqliteStore(folder_ + "/data/wallaby.db").value();
    Flow flow;
    flow.id = flow.name = "shop";
    flow.source = {"db", "postgres", {{"dsn", "postgres://localhost/x"}}};
    flow.destinations = {{"lake", "duckdb", {{"dsn", "/tmp/x.db"}}}};
    ASSERT_TRUE(store->CreateFlow(flow).ok());
    ASSERT_TRUE(store->Transition("shop", {}, FlowState::kRunning, "").ok());
  }

  std::string folder_;
  int port_ = 0;
  std::unique_ptr<Process> server_;
};

TEST_F(ServerTest, EndsCleanlyAndLeavesWorkersRunning) {
  RunFlow();
  Begin();
  ASSERT_TRUE(Eventually([&] { return Workers().size() == 1; }));
  ASSERT_TRUE(server_->Signal(SIGTERM).ok());
  EXPECT_EQ(server_->Reap().text, "exit status 0");
  EXPECT_TRUE(IsAlive(Workers()[0]));
  server_.reset();
}

TEST_F(ServerTest, WorkersSurviveTheKillOfTheServersGroupAndAreFoundAgain) {
  RunFlow();
  Begin();
  // Recorded a moment after it began; one that was not is known to the next server by its lease alone.
  const auto store = OpenSqliteStore(folder_ + "/data/wallaby.db").value();
  ASSERT_TRUE(Eventually([&] { return Workers().size() == 1 && store->ActiveAttempts()->size() == 1; }));
  const pid_t worker = Workers()[0];
  ASSERT_EQ(kill(-server_->pid(), SIGKILL), 0);
  EXPECT_TRUE(server_->Reap().crashed);
  EXPECT_TRUE(IsAlive(worker));

  Begin();
  absl::SleepFor(absl::Seconds(1));
  EXPECT_EQ(Workers().size(), 1u);
  EXPECT_TRUE(IsAlive(worker));
  // It is watched: its end is followed by the next one.
  kill(worker, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return Workers().size() == 2; }));
}

TEST_F(ServerTest, OneServerForADataFolder) {
  Begin();
  const Output second = RunCommand(absl::StrCat("WALLABY_GRPC_LISTEN=127.0.0.1:", FreePort(), " ", Program()));
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.text.find(absl::StrCat("(pid ", server_->pid(), ")")), std::string::npos) << second.text;
  EXPECT_NE(second.text.find("WALLABY_DATA_DIR"), std::string::npos) << second.text;
}

TEST_F(ServerTest, ATakenPortIsRefusedBeforeAnyWorkerStarts) {
  Begin();
  const Output second = RunCommand(absl::StrCat("WALLABY_DATA_DIR=", folder_, "/other ", Program()));
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.text.find("WALLABY_GRPC_LISTEN"), std::string::npos) << second.text;
}

TEST_F(ServerTest, MistakesAreSaidInOneLine) {
  Output output = RunCommand("WALLABY_DDL_GATE=perhaps " + Program());
  EXPECT_EQ(output.status, 1);
  EXPECT_NE(output.text.find("WALLABY_DDL_GATE"), std::string::npos);
  output = RunCommand("WALLABY_GRPC_LISTEN=nowhere " + Program());
  EXPECT_EQ(output.status, 1);
  EXPECT_NE(output.text.find("WALLABY_GRPC_LISTEN"), std::string::npos) << output.text;
  output = RunCommand(Program() + " -confg x");
  EXPECT_EQ(output.status, 2);
  EXPECT_NE(output.text.find("did you mean -config?"), std::string::npos) << output.text;
  EXPECT_EQ(RunCommand(Program() + " -config /nowhere.yaml").status, 1);
  // A pod cannot reach this machine's file.
  output = RunCommand("WALLABY_K8S_ENABLED=true WALLABY_K8S_JOB_IMAGE=wallaby:1 " + Program());
  EXPECT_EQ(output.status, 1);
  EXPECT_NE(output.text.find("SQLite"), std::string::npos) << output.text;
  output = RunCommand("WALLABY_K8S_ENABLED=true WALLABY_K8S_JOB_ENV=WALLABY_DATA_DIR=/x " + Program());
  EXPECT_EQ(output.status, 1);
  EXPECT_NE(output.text.find("WALLABY_K8S_JOB_IMAGE"), std::string::npos) << output.text;
  EXPECT_EQ(RunCommand(Program() + " -h").status, 0);
  EXPECT_EQ(RunCommand(Program() + " --version").status, 0);
}

}  // namespace
}  // namespace wallaby
