// Runs the simulation for many seeds, or tells what happens with one. See docs/simulation.md.
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "base/deliberate_bug.h"
#include "test/simulation/interpose.h"
#include "test/simulation/run.h"

namespace wallaby {
DeliberateBug deliberate_bug = DeliberateBug::kNone;
}

namespace wallaby::simulation {
namespace {

constexpr int kSeedsOfAProcess = 250;  // what killed processes held is never given back
constexpr unsigned kSecondsOfASeed = 120;
constexpr int kMostFindings = 10;

const std::map<std::string_view, DeliberateBug>& Bugs() {
  static const std::map<std::string_view, DeliberateBug> bugs = {
      {"acknowledge_first", DeliberateBug::kAcknowledgeFirst},
      {"forget_last_batch", DeliberateBug::kForgetLastBatch},
      {"ignore_generation", DeliberateBug::kIgnoreGeneration},
      {"gate_after_delivery", DeliberateBug::kGateAfterDelivery},
      {"deliver_twice", DeliberateBug::kDeliverTwice},
      {"idle_too_early", DeliberateBug::kIdleTooEarly},
      {"forget_snapshot", DeliberateBug::kForgetSnapshot},
      {"remember_shape_early", DeliberateBug::kRememberShapeEarly},
      {"trust_position", DeliberateBug::kTrustPosition},
  };
  return bugs;
}

constexpr char kUsage[] =
    "simulation [-runs N] [-seed FIRST] [-jobs N] [-bug NAME] [-twice] [-progress]\n"
    "  runs N seeds (default 1000) from FIRST (default 1) on; exit 1 when something is wrong\n"
    "  -bug NAME    with a deliberate bug; exit 0 as soon as a seed finds it\n"
    "  -twice       runs each seed twice and compares: a run follows from its seed alone\n"
    "simulation -replay SEED [-bug NAME]\n"
    "  tells what happens\n";

struct Line {
  uint64_t runs = 1000;
  uint64_t seed = 1;
  uint64_t jobs = 1;
  bool twice = false;
  bool progress = false;
  bool replay = false;
  std::string bug;
};

// What a process that runs seeds shows to the one that started it.
struct Desk {
  uint64_t seed;
  bool found;
  Statistics statistics;
};

bool Parse(int argc, char** argv, Line* line) {
  for (int i = 1; i < argc; ++i) {
    std::string_view name = argv[i];
    name.remove_prefix(std::min(name.find_first_not_of('-'), name.size()));
    const bool has_value = i + 1 < argc;
    if (name == "twice") {
      line->twice = true;
    } else if (name == "progress") {
      line->progress = true;
    } else if (name == "bug" && has_value && Bugs().contains(argv[i + 1])) {
      line->bug = argv[++i];
      deliberate_bug = Bugs().at(line->bug);
    } else if ((name == "runs" || name == "jobs") && has_value &&
               absl::SimpleAtoi(argv[i + 1], name == "runs" ? &line->runs : &line->jobs) && line->jobs > 0) {
      ++i;
    } else if ((name == "seed" || name == "replay") && has_value && absl::SimpleAtoi(argv[i + 1], &line->seed)) {
      line->replay |= name == "replay";
      ++i;
    } else {
      return false;
    }
  }
  return true;
}

void Report(const Line& line, uint64_t seed, const std::string& what) {
  const std::string bug = line.bug.empty() ? "" : " -bug " + line.bug;
  std::printf("seed %llu: %s\n  replay: simulation -replay %llu%s\n", static_cast<unsigned long long>(seed),
              what.c_str(), static_cast<unsigned long long>(seed), bug.c_str());
  std::fflush(stdout);
}

// In a process of its own.
[[noreturn]] void RunBatch(const Line& line, uint64_t first, uint64_t end, Desk* desk) {
  for (uint64_t seed = first; seed < end; ++seed) {
    desk->seed = seed;
    alarm(kSecondsOfASeed);
    Outcome outcome = RunSeed(seed, /*verbose=*/false);
    if (line.twice && outcome.violation.empty()) {
      const Outcome again = RunSeed(seed, /*verbose=*/false);
      if (again.fingerprint != outcome.fingerprint) outcome.violation = "two runs of the seed differ";
    }
    desk->statistics.Add(outcome.statistics);
    if (outcome.violation.empty()) continue;
    desk->found = true;
    Report(line, seed, outcome.violation);
    if (!line.bug.empty()) break;
  }
  _exit(0);
}

std::string Figures(const Statistics& s) {
  char text[1024];
  std::snprintf(
      text, sizeof(text),
      "%lld runs: %lld transactions with %lld changes and %lld schema changes (%lld waited for a decision), %lld "
      "snapshot parts, %lld commits, %lld checkpoints, %lld lanes; %lld workers, %lld kills, %lld suspended, %lld "
      "fenced, "
      "%lld failed calls, %lld lost answers, %lld lost slots, %lld restored sources; %lld steps, %.1f simulated hours",
      static_cast<long long>(s.runs), static_cast<long long>(s.transactions), static_cast<long long>(s.changes),
      static_cast<long long>(s.ddl), static_cast<long long>(s.gates), static_cast<long long>(s.copies),
      static_cast<long long>(s.commits), static_cast<long long>(s.checkpoints), static_cast<long long>(s.lanes),
      static_cast<long long>(s.workers), static_cast<long long>(s.kills), static_cast<long long>(s.pauses),
      static_cast<long long>(s.fenced), static_cast<long long>(s.errors), static_cast<long long>(s.lost_answers),
      static_cast<long long>(s.slot_losses), static_cast<long long>(s.restores), static_cast<long long>(s.steps),
      static_cast<double>(s.seconds) / 3600);
  return text;
}

class Runner {
 public:
  explicit Runner(const Line& line)
      : line_(line),
        desks_(static_cast<Desk*>(
            mmap(nullptr, sizeof(Desk) * line.jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}

  int Run() {
    const auto began = std::chrono::steady_clock::now();
    uint64_t next = line_.seed;
    const uint64_t end = line_.seed + line_.runs;
    while (true) {
      while (pids_.size() < line_.jobs && next < end && !Enough()) {
        const uint64_t last = std::min<uint64_t>(next + kSeedsOfAProcess, end);
        Start(next, last);
        next = last;
      }
      if (pids_.empty()) break;
      Reap();
      if (line_.progress) {
        std::printf("%s; %d findings\n", Figures(all_).c_str(), findings_);
        std::fflush(stdout);
      }
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    std::printf("%s; %.0f s\n", Figures(all_).c_str(), seconds);
    if (line_.bug.empty()) return findings_ == 0 ? 0 : 1;
    if (findings_ == 0) std::printf("the deliberate bug %s was not found\n", line_.bug.c_str());
    return findings_ > 0 ? 0 : 1;
  }

 private:
  bool Enough() const { return findings_ >= (line_.bug.empty() ? kMostFindings : 1); }

  void Start(uint64_t first, uint64_t end) {
    size_t desk = 0;
    while (std::any_of(pids_.begin(), pids_.end(), [desk](const auto& entry) { return entry.second == desk; })) ++desk;
    desks_[desk] = {};
    std::fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) RunBatch(line_, first, end, &desks_[desk]);
    if (pid < 0) {
      std::perror("fork");
      std::exit(2);
    }
    pids_[pid] = desk;
  }

  void Reap() {
    int status = 0;
    const pid_t pid = wait(&status);
    const auto found = pids_.find(pid);
    if (found == pids_.end()) return;
    const Desk& desk = desks_[found->second];
    pids_.erase(found);
    all_.Add(desk.statistics);
    findings_ += desk.found ? 1 : 0;
    if (!WIFSIGNALED(status)) return;
    ++findings_;
    Report(line_, desk.seed,
           WTERMSIG(status) == SIGALRM ? "the run does not give way, or takes too long"
                                       : std::string("the process died: ") + strsignal(WTERMSIG(status)));
  }

  const Line line_;
  Desk* const desks_;
  std::map<pid_t, size_t> pids_;
  Statistics all_;
  int findings_ = 0;
};

int Replay(const Line& line) {
  SetLogText([](const std::string& text) { std::printf("%27s%s", "", text.c_str()); });
  const Outcome outcome = RunSeed(line.seed, /*verbose=*/true);
  std::printf("%s\n%s\n", Figures(outcome.statistics).c_str(),
              outcome.violation.empty() ? "nothing is wrong" : outcome.violation.c_str());
  return outcome.violation.empty() ? 0 : 1;
}

int Main(int argc, char** argv) {
  // Addresses decide the order of hashed containers, so they are the same in each run.
  if (const int now = personality(0xffffffff); now != -1 && (now & ADDR_NO_RANDOMIZE) == 0) {
    if (personality(now | ADDR_NO_RANDOMIZE) != -1) execv("/proc/self/exe", argv);
  }
  Line line;
  if (!Parse(argc, argv, &line)) {
    std::string names;
    for (const auto& [name, bug] : Bugs()) names += " " + std::string(name);
    std::fprintf(stderr, "%sbugs:%s\n", kUsage, names.c_str());
    return 2;
  }
  setenv("WALLABY_LOG_LEVEL", line.replay ? "info" : "error", /*overwrite=*/1);
  unsetenv("WALLABY_SECRET_KEY");
  return line.replay ? Replay(line) : Runner(line).Run();
}

}  // namespace
}  // namespace wallaby::simulation

int main(int argc, char** argv) {
  return wallaby::simulation::Main(argc, argv);
}
