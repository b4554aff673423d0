// kill -9 of the writer, at random moments, at each failpoint and before each of its system calls: the spool can be
// taken again, has all that was durable, and a reader that followed it all the time has everything once.
#include <poll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <iostream>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/failpoint.h"
#include "spool/segment.h"
#include "spool/spool_cursor.h"
#include "spool/test_log.h"

namespace wallaby::spool {
namespace {

// The history of a source, from which a slot sends any part again: transaction n has its commit record at 1000 n.
class History {
 public:
  // What a session of the server sends of it; relations again in each session.
  std::vector<std::string> Send(uint64_t n) {
    std::minstd_rand random(static_cast<uint32_t>(n));
    std::vector<std::string> messages;
    const int changes = n % 10 == 9 ? 400 : static_cast<int>(random() % 4);
    for (int i = 0; i < changes; ++i) {
      const uint32_t oid = random() % 3;
      if (sent_[oid] != Version(n)) {
        sent_[oid] = Version(n);
        messages.push_back(RelationMessage(oid, Version(n)));
      }
      messages.push_back(InsertMessage(oid, Row(n, i)));
    }
    return Transaction(1000 * n, messages);
  }
  static std::string Version(uint64_t n) { return absl::StrCat("v", n / 25); }
  static std::string Row(uint64_t n, int i) { return absl::StrCat(n, " ", i, std::string((n * 7 + i) % 1000, 'x')); }

 private:
  std::map<uint32_t, std::string> sent_;
};

// Checks what a reader gives: every change of every transaction in its order, each once, each with its relation.
class Check {
 public:
  explicit Check(uint64_t next) : next_(next) {}

  void Take(const SpoolReader::Item& item) {
    const std::string line = Line(item);
    if (item.kind == SpoolReader::Item::Kind::kIdle) {
      EXPECT_GE(item.wal_end.value, 1000 * (next_ - 1)) << line;
      EXPECT_LT(item.wal_end.value, 1000 * next_) << line;
    } else if (line[0] == 'B') {
      EXPECT_EQ(line, absl::StrCat("B ", 1000 * next_));
      change_ = 0;
    } else if (line[0] == 'R') {
      known_[item.message[4]] = line.substr(4);
    } else if (line[0] == 'I') {
      EXPECT_EQ(line.substr(4), History::Row(next_, change_++));
      EXPECT_EQ(known_[item.message[4]], History::Version(next_)) << line;
    } else {
      EXPECT_EQ(line, absl::StrCat("C ", 1000 * next_ + 8));
      ++next_;
    }
  }
  // All there is, or so many items.
  void Drain(SpoolReader& reader, int64_t most = INT64_MAX) {
    for (int64_t i = 0; i < most && !testing::Test::HasFailure(); ++i) {
      const auto item = reader.Next();
      ASSERT_TRUE(item.ok()) << item.status();
      if (item->kind == SpoolReader::Item::Kind::kNone) return;
      Take(*item);
    }
  }
  uint64_t next() const { return next_; }

 private:
  uint64_t next_;
  int change_ = 0;
  std::map<char, std::string> known_;
};

class CrashTest : public SpoolTest {
 protected:
  CrashTest() {
    options_.segment_bytes = 60'000;
    void* const shared = mmap(nullptr, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    durable_ = static_cast<std::atomic<uint64_t>*>(shared);
  }
  ~CrashTest() override { munmap(durable_, sizeof(uint64_t)); }

  // A writer's life; what it knows to be durable stands in *durable_. Ends by itself with transaction `last`.
  void Write(uint32_t seed, uint64_t last) {
    const auto writer = SpoolWriter::Open(options_, name_, "pub", Lsn{100});
    if (!writer.ok()) _exit(2);
    History history;
    std::minstd_rand random(seed);
    // The server sends from what was acknowledged, which may be less than what is there.
    for (uint64_t n = durable_->load() / 1000 + 1; n <= last; ++n) {
      int count = 0;
      for (const std::string& message : history.Send(n)) {
        if (!(*writer)->Append(message).ok()) _exit(3);
        if (++count % 150 == 0 && !(*writer)->Flush().ok()) _exit(4);
      }
      if (random() % 5 == 0 && !(*writer)->AppendIdle(Lsn{1000 * n + 100}).ok()) _exit(5);
      if (random() % 3 == 0 && !(*writer)->Flush().ok()) _exit(6);
      if (random() % 4 == 0) {
        if (!(*writer)->Sync().ok()) _exit(7);
        durable_->store((*writer)->durable().value);
      }
      if (random() % 16 == 0 && !(*writer)->RemoveBelow(Floor()).ok()) _exit(8);
    }
    if (!(*writer)->Sync().ok()) _exit(9);
    durable_->store((*writer)->durable().value);
    _exit(0);
  }
  // Of all cursors.
  Lsn Floor() {
    const auto cursors = SpoolCursors(options_, name_);
    if (!cursors.ok() || cursors->empty()) return {};
    Lsn floor = cursors->begin()->second;
    for (const auto& [flow, at] : *cursors) floor = std::min(floor, at);
    return floor;
  }

  pid_t Start(const std::function<void()>& body) {
    const pid_t child = fork();
    if (child == 0) {
      body();
      _exit(1);
    }
    return child;
  }
  // What is durable is there, whole and once, and more can be written.
  void ExpectTaken() {
    const auto writer = SpoolWriter::Open(options_, name_, "pub", Lsn{100});
    ASSERT_TRUE(writer.ok()) << writer.status();
    EXPECT_GE((*writer)->end().value, durable_->load());
    EXPECT_EQ((*writer)->durable(), (*writer)->end());
    const Lsn begin = (*writer)->begin();
    Check check(begin.value / 1000 + 1);
    check.Drain(*Reader(begin.value));
    EXPECT_EQ(check.next(), (*writer)->last_commit().value / 1000 + 1);
  }

  std::atomic<uint64_t>* durable_;  // shared with the child
};

TEST_F(CrashTest, KilledAtRandomMoments) {
  const char* const set = std::getenv("WALLABY_SEED");
  const uint32_t seed = set != nullptr ? static_cast<uint32_t>(std::atoi(set)) : std::random_device{}();
  SCOPED_TRACE(absl::StrCat("WALLABY_SEED=", seed));
  std::mt19937 random(seed);
  Writer();
  const auto reader = Reader(100);  // follows all lives
  Check check(1);
  const auto cursor = Value(SpoolCursor::Register(options_, name_, "flow", Lsn{100}));
  constexpr int kLives = 40;
  for (int life = 0; life < kLives && !HasFailure(); ++life) {
    const uint32_t child_seed = random();
    const pid_t child = Start([&] { Write(child_seed, 1 << 30); });
    // From its first steps to a few dozen transactions.
    const absl::Time end = absl::Now() + absl::Microseconds(random() % 40'000);
    while (absl::Now() < end && !HasFailure()) {
      check.Drain(*reader, 1000);
      if (random() % 4 == 0) {
        ASSERT_TRUE(cursor->Move(Lsn{std::max<uint64_t>(1000 * (check.next() - 1), 100)}).ok());
      }
      pollfd poll_fd{reader->fd(), POLLIN, 0};
      poll(&poll_fd, 1, 1);
      reader->ClearNotice();
    }
    int status = 0;
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    // Sometimes the next writer finds it as it was left.
    if (random() % 2 == 0) ExpectTaken();
  }
  ExpectTaken();
  check.Drain(*reader);
  EXPECT_GE(1000 * check.next(), durable_->load());
  std::cout << kLives << " kills, " << check.next() - 1 << " transactions read" << std::endl;
}

TEST_F(CrashTest, KilledAtFailpoints) {
  for (const char* name : {"spool.write", "spool.sync", "spool.segment", "spool.remove"}) {
    int fired = 0;
    for (int count = 1; count <= 5; ++count) {
      SCOPED_TRACE(absl::StrCat(name, " ", count));
      const uint64_t first = durable_->load() / 1000 + 1;
      if (first > 1) Value(SpoolCursor::Register(options_, name_, "flow", Lsn{durable_->load()}));
      const pid_t child = Start([&] {
        if (!ArmFailpoints(absl::StrCat(name, "=crash@", count), nullptr).ok()) _exit(1);
        Write(static_cast<uint32_t>(count), first + 150);
      });
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      if (WIFSIGNALED(status)) {
        ++fired;
      } else {
        ASSERT_EQ(WEXITSTATUS(status), 0);
      }
      ExpectTaken();
    }
    EXPECT_GE(fired, 3) << name;
  }
}

// Runs the child up to its `calls`th system call and kills it before the system does it. False when the child came to
// its end before that.
bool KillBeforeSystemCall(pid_t child, int calls) {
  int status = 0;
  waitpid(child, &status, 0);  // its own SIGSTOP
  if (WIFEXITED(status)) return false;
  ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
  for (int stops = 0; stops < 2 * calls - 1;) {  // each call stops at its begin and at its end
    ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    waitpid(child, &status, 0);
    if (WIFEXITED(status) || WIFSIGNALED(status)) return false;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) ++stops;
  }
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return true;
}

TEST_F(CrashTest, KilledBeforeEachSystemCall) {
  options_.segment_bytes = 1500;
  const auto life = [&] {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(77);
    raise(SIGSTOP);
    const auto writer = SpoolWriter::Open(options_, name_, "pub", Lsn{100});
    if (!writer.ok()) _exit(2);
    History history;
    for (uint64_t n = 1; n <= 24; ++n) {
      for (const std::string& message : history.Send(n)) {
        if (!(*writer)->Append(message).ok()) _exit(3);
      }
      if (!(n % 2 == 0 ? (*writer)->Sync() : (*writer)->Flush()).ok()) _exit(4);
      durable_->store((*writer)->durable().value);
      if (n % 3 == 0 && !(*writer)->RemoveBelow((*writer)->durable()).ok()) _exit(5);
    }
    _exit(0);
  };
  int calls = 1;
  while (!HasFailure()) {
    SCOPED_TRACE(absl::StrCat("system call ", calls));
    ASSERT_TRUE(RemoveSpoolFolder(Folder()).ok());
    durable_->store(0);
    const pid_t child = Start(life);
    if (!KillBeforeSystemCall(child, calls)) break;
    ExpectTaken();
    ++calls;
  }
  if (calls == 1) GTEST_SKIP() << "ptrace is not allowed here";
  std::cout << "killed before each of " << calls << " system calls" << std::endl;
  EXPECT_GT(calls, 100);
}

}  // namespace
}  // namespace wallaby::spool
