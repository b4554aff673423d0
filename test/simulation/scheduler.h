// Scheduler: runs the threads of several simulated processes on one thread of the machine, one at a time, in an order
// and with a clock that follow from a seed.
//
// A simulated thread is a fiber. It gives way where a real thread could be delayed in a way that others notice: at
// locks, waits, sleeps and I/O (interpose.cc maps those of libc to the calls below). Code between two such steps runs
// undisturbed. A process can be killed at any step: its fibers are never resumed, nothing of them is unwound, so what
// it had not made durable in the world is gone, as with kill -9. Time passes a little with each step and jumps to the
// next deadline when nobody can run.
#ifndef WALLABY_TEST_SIMULATION_SCHEDULER_H_
#define WALLABY_TEST_SIMULATION_SCHEDULER_H_

#include <ucontext.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "test/simulation/random.h"

namespace wallaby::simulation {

using Nanos = int64_t;
inline constexpr Nanos kNever = INT64_MAX;
inline constexpr Nanos kMillisecond = 1000 * 1000;
inline constexpr Nanos kSecond = 1000 * kMillisecond;

struct Process;

struct Fiber {
  enum class State { kReady, kRunning, kBlocked, kDone };

  ucontext_t context;
  char* stack = nullptr;
  Process* process = nullptr;
  std::function<void()> body;
  State state = State::kReady;
  const void* waits_on = nullptr;  // while blocked
  Nanos deadline = kNever;         // while blocked
  bool timed_out = false;          // how the last wait ended
  std::vector<void*> held;         // mutexes
  void* result = nullptr;          // of a pthread
};

struct Process {
  std::string name;
  int number = 0;
  bool alive = true;
  bool exited = false;         // its first fiber came to its end
  Nanos paused_until = 0;      // as a machine that is suspended: nothing of it runs until then
  int64_t steps_to_live = -1;  // it is killed when that many steps are over; < 0: never
  std::vector<Fiber*> fibers;
  std::function<void()> on_kill;  // in the world; must not wait
};

class Scheduler {
 public:
  struct Options {
    uint64_t switch_percent = 10;  // how often a step lets somebody else go first
    int64_t step_limit = 5'000'000;
  };
  Scheduler(uint64_t seed, Options options);
  ~Scheduler();

  // The one whose fiber is running on this machine's thread; null outside of fibers, and where nothing may give way.
  static Scheduler* Active();
  // The same, also where nothing may give way: time is simulated there, too.
  static Scheduler* Running();

  // From outside, before Run(), or from a fiber. `body` is the process's first thread.
  Process* Start(std::string name, std::function<void()> body);
  // A further thread of the current process.
  Fiber* StartThread(std::function<void()> body);
  // Runs fibers until Stop() or nobody can ever run again. An empty string, or what is wrong: everybody waits for ever,
  // or the run does not come to an end.
  std::string Run();
  void Stop() { stopped_ = true; }

  Nanos now() const { return now_; }
  int64_t steps() const { return steps_; }
  int64_t kills() const { return kills_; }
  Process* process() const { return current_->process; }
  Process& process_at(int number) { return *processes_[number - 1]; }
  Fiber* fiber() const { return current_; }

  // ---- from a fiber ----
  // A point at which the process may die and somebody else may run.
  void Step();
  void Sleep(Nanos duration);
  // Waits until Wake(what) or the deadline. False when that has passed.
  bool Block(const void* what, Nanos deadline);
  // One of those who wait for `what`, or all.
  void WakeOne(const void* what);
  void WakeAll(const void* what);

  // From anywhere but the process's own fibers, or by Step(): the process is no more.
  void Kill(Process* process);

  // While it lives, the current fiber does not give way, and locks are those of the machine.
  class NoYield {
   public:
    NoYield() { ++depth; }
    ~NoYield() { --depth; }
    static int depth;
  };

 private:
  static void Enter();
  void Switch();  // from the current fiber to the loop in Run()
  Fiber* Add(Process* process, std::function<void()> body);
  Fiber* Pick();
  bool AdvanceTime();
  void MakeReady(Fiber* fiber);
  void Release(Fiber* fiber);

  static Scheduler* running_;

  const Options options_;
  Random random_;
  Nanos now_ = 0;
  int64_t steps_ = 0;
  int64_t kills_ = 0;
  bool stopped_ = false;
  ucontext_t loop_;
  Fiber* current_ = nullptr;
  std::deque<std::unique_ptr<Process>> processes_;
  std::deque<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> live_;  // neither done nor dead
};

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_SCHEDULER_H_
