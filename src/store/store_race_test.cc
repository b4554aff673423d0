// Several processes on one store, and processes that are killed.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <set>
#include <vector>

#include "store/store_test_base.h"

namespace wallaby {
namespace {

// A process of its own that runs `body` and ends. What it writes to the descriptor can be read from the pipe.
class Child {
 public:
  explicit Child(const std::function<void(int out)>& body) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      body(ends[1]);
      _exit(0);
    }
    close(ends[1]);
    in_ = ends[0];
  }
  ~Child() {
    if (pid_ > 0) Kill();
    close(in_);
  }
  // One number that the child wrote; -1 at the end.
  int64_t Read() {
    int64_t value = -1;
    return read(in_, &value, sizeof(value)) == sizeof(value) ? value : -1;
  }
  void Kill() {
    kill(pid_, SIGKILL);
    Wait();
  }
  void Wait() {
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  int in_ = -1;
};

void Tell(int out, int64_t value) {
  if (write(out, &value, sizeof(value)) != sizeof(value)) _exit(1);
}

TEST_P(StoreTest, ProcessesThatOpenANewStoreTogether) {
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(std::make_unique<Child>([&, i](int out) {
      auto store = TryOpen();
      const bool ok = store.ok() && (*store)->CreateFlow(TestFlow("f" + std::to_string(i))).ok();
      if (!store.ok()) fprintf(stderr, "%s\n", store.status().ToString().c_str());
      Tell(out, ok ? 1 : 0);
    }));
  }
  for (auto& child : children) {
    EXPECT_EQ(child->Read(), 1);
    child->Wait();
  }
  EXPECT_EQ(Open()->ListFlows("", 10)->size(), 6u);
}

TEST_P(StoreTest, ProcessesThatRaceForALease) {
  constexpr int kFlows = 20;
  {
    const auto store = Open();
    for (int f = 0; f < kFlows; ++f) ASSERT_STATUS_OK(store->CreateFlow(TestFlow("f" + std::to_string(f))));
  }
  std::vector<std::unique_ptr<Child>> children;
  for (int c = 0; c < 3; ++c) {
    children.push_back(std::make_unique<Child>([&, c](int out) {
      auto store = TryOpen();
      for (int f = 0; f < kFlows; ++f) {
        const auto lease = (*store)->AcquireLease("f" + std::to_string(f), "p" + std::to_string(c), absl::Minutes(5));
        if (lease.ok()) {
          Tell(out, f);
        } else if (!absl::IsFailedPrecondition(lease.status())) {
          Tell(out, 1000);
        }
      }
    }));
  }
  std::multiset<int64_t> won;
  for (auto& child : children) {
    for (int64_t flow = child->Read(); flow >= 0; flow = child->Read()) won.insert(flow);
    child->Wait();
  }
  std::multiset<int64_t> each_once;
  for (int f = 0; f < kFlows; ++f) each_once.insert(f);
  EXPECT_EQ(won, each_once);
}

// Each lease is over at once, so all processes take it again and again: no generation may be given out twice.
TEST_P(StoreTest, NoGenerationIsGivenTwice) {
  ASSERT_STATUS_OK(Open()->CreateFlow(TestFlow("a")));
  std::vector<std::unique_ptr<Child>> children;
  for (int c = 0; c < 3; ++c) {
    children.push_back(std::make_unique<Child>([&, c](int out) {
      auto store = TryOpen();
      for (int i = 0; i < 30; ++i) {
        const auto lease =
            (*store)->AcquireLease("a", std::to_string(c) + "-" + std::to_string(i), absl::ZeroDuration());
        Tell(out, lease.ok() ? lease->generation : 0);
      }
    }));
  }
  std::set<int64_t> generations;
  for (auto& child : children) {
    for (int64_t generation = child->Read(); generation >= 0; generation = child->Read()) {
      EXPECT_GT(generation, 0);
      EXPECT_TRUE(generations.insert(generation).second) << generation;
    }
    child->Wait();
  }
  EXPECT_EQ(generations.size(), 90u);
}

TEST_P(StoreTest, WhatWasReportedStoredSurvivesAKill) {
  int64_t generation = 0;
  {
    const auto store = Open();
    ASSERT_STATUS_OK(store->CreateFlow(TestFlow("a")));
    generation = store->AcquireLease("a", "w", absl::Minutes(1))->generation;
  }
  int64_t last = 0;
  for (int round = 0; round < 5; ++round) {
    Child child([&](int out) {
      auto store = TryOpen();
      for (int64_t lsn = last + 1;; ++lsn) {
        if ((*store)->PutCheckpoint("a", {Lsn{static_cast<uint64_t>(lsn)}}, generation).ok()) Tell(out, lsn);
      }
    });
    for (int i = 0; i < 10 + round * 7; ++i) last = child.Read();
    child.Kill();
    for (int64_t lsn = child.Read(); lsn >= 0; lsn = child.Read()) last = lsn;
    const auto stored = Open()->GetCheckpoint("a");
    ASSERT_TRUE(stored.ok() && stored->has_value()) << stored.status();
    const auto lsn = static_cast<int64_t>((*stored)->lsn.value);
    EXPECT_GE(lsn, last);
    EXPECT_LE(lsn, last + 1);  // one may be in whose report was lost
    last = lsn;
  }
}

}  // namespace
}  // namespace wallaby
