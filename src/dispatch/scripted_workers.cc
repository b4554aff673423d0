#include "dispatch/scripted_workers.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <csignal>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace wallaby {

bool IsAlive(pid_t pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  const std::string stat((std::istreambuf_iterator<char>(in)), {});
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.substr(name_end + 2, 1) != "Z";
}

void ScriptedWorkersTest::MakeWorkers() {
  folder_ = testing::TempDir() + "/wallaby-dispatch-XXXXXX";
  ASSERT_NE(mkdtemp(folder_.data()), nullptr);
  store_ = OpenSqliteStore(folder_ + "/wallaby.db").value();
  std::ofstream(worker()) << "#!/bin/sh\necho \"$$ $*\" >>" << folder_ << "/starts\n. " << folder_ << "/behaviour\n";
  ASSERT_EQ(chmod(worker().c_str(), 0755), 0);
  Behave(kRunsUntilAsked);
  Flow flow;
  flow.id = flow.name = "shop";
  flow.source = {"db", "postgres", {{"dsn", "postgres://localhost/x"}}};
  flow.destinations = {{"lake", "duckdb", {{"dsn", "/tmp/x.db"}}}};
  ASSERT_TRUE(store_->CreateFlow(flow).ok());
}

void ScriptedWorkersTest::EndWorkers() {
  dispatcher_.reset();
  for (const pid_t pid : Pids()) {
    if (IsAlive(pid)) kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  if (!folder_.empty()) std::filesystem::remove_all(folder_);
}

void ScriptedWorkersTest::Behave(const std::string& script) {
  std::ofstream(folder_ + "/behaviour.new") << script << "\n";
  std::filesystem::rename(folder_ + "/behaviour.new", folder_ + "/behaviour");
}

void ScriptedWorkersTest::MoveTo(FlowState state) {
  ASSERT_TRUE(store_->Transition("shop", {}, state, "").ok());
}

FlowState ScriptedWorkersTest::State() {
  return store_->GetFlow("shop").value().state;
}

std::vector<std::string> ScriptedWorkersTest::Starts() {
  std::ifstream in(folder_ + "/starts");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<pid_t> ScriptedWorkersTest::Pids() {
  std::vector<pid_t> pids;
  for (const std::string& line : Starts()) pids.push_back(std::stoi(line));
  return pids;
}

pid_t ScriptedWorkersTest::AwaitStart(size_t count) {
  EXPECT_TRUE(Eventually([&] { return Starts().size() >= count; })) << "worker number " << count << " did not start";
  return Starts().size() >= count ? Pids()[count - 1] : 0;
}

bool ScriptedWorkersTest::Eventually(const std::function<bool()>& condition, absl::Duration limit) {
  const absl::Time deadline = absl::Now() + limit;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return true;
}

}  // namespace wallaby
