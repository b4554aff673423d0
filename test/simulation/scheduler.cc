#include "test/simulation/scheduler.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "test/simulation/interpose.h"

namespace wallaby::simulation {
namespace {

constexpr size_t kStackBytes = 256 << 10;

// Stacks outlive their fibers: a killed one's is given to the next.
std::vector<char*>& SpareStacks() {
  static std::vector<char*> spare;
  return spare;
}

char* TakeStack() {
  auto& spare = SpareStacks();
  if (!spare.empty()) {
    char* stack = spare.back();
    spare.pop_back();
    return stack;
  }
  void* mapped = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (mapped == MAP_FAILED || mprotect(mapped, 4096, PROT_NONE) != 0) {
    std::perror("simulation: no memory for a fiber's stack");
    std::abort();
  }
  return static_cast<char*>(mapped);
}

}  // namespace

Scheduler* Scheduler::running_ = nullptr;
int Scheduler::NoYield::depth = 0;

Scheduler::Scheduler(uint64_t seed, Options options) : options_(options), random_(seed, /*stream=*/1) {}

Scheduler::~Scheduler() {
  for (Fiber* fiber : live_) SpareStacks().push_back(fiber->stack);
}

Scheduler* Scheduler::Active() {
  return NoYield::depth == 0 ? running_ : nullptr;
}

Scheduler* Scheduler::Running() {
  return running_;
}

Process* Scheduler::Start(std::string name, std::function<void()> body) {
  Process* process = processes_.emplace_back(std::make_unique<Process>()).get();
  process->name = std::move(name);
  process->number = static_cast<int>(processes_.size());
  Add(process, [process, body = std::move(body)] {
    body();
    process->exited = true;
  });
  return process;
}

Fiber* Scheduler::StartThread(std::function<void()> body) {
  return Add(current_->process, std::move(body));
}

Fiber* Scheduler::Add(Process* process, std::function<void()> body) {
  Fiber* fiber = fibers_.emplace_back(std::make_unique<Fiber>()).get();
  fiber->process = process;
  fiber->body = std::move(body);
  fiber->stack = TakeStack();
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack;
  fiber->context.uc_stack.ss_size = kStackBytes;
  fiber->context.uc_link = nullptr;
  makecontext(&fiber->context, &Scheduler::Enter, 0);
  process->fibers.push_back(fiber);
  live_.push_back(fiber);
  return fiber;
}

void Scheduler::Enter() {
  Scheduler* const scheduler = running_;
  Fiber* const fiber = scheduler->current_;
  fiber->body();
  fiber->body = nullptr;
  fiber->state = Fiber::State::kDone;
  scheduler->WakeAll(fiber);
  // A process ends with its first thread.
  if (fiber->process->exited) fiber->process->alive = false;
  scheduler->Switch();
}

void Scheduler::Switch() {
  running_ = nullptr;
  swapcontext(&current_->context, &loop_);
}

std::string Scheduler::Run() {
  while (!stopped_) {
    if (steps_ > options_.step_limit) return "the run does not come to an end";
    Fiber* const next = Pick();
    if (next == nullptr) {
      if (AdvanceTime()) continue;
      return "everybody waits for ever";
    }
    next->state = Fiber::State::kRunning;
    current_ = next;
    running_ = this;
    swapcontext(&loop_, &next->context);
    running_ = nullptr;
    current_ = nullptr;
    if (next->state == Fiber::State::kDone || !next->process->alive) {
      Process* const process = next->process;
      const bool killed = !process->exited;
      if (next->state == Fiber::State::kDone) Release(next);
      if (!process->alive) {
        for (Fiber* fiber : process->fibers) Release(fiber);
        if (killed && process->on_kill) process->on_kill();
        process->on_kill = nullptr;
      }
    }
  }
  return "";
}

void Scheduler::Release(Fiber* fiber) {
  const auto found = std::find(live_.begin(), live_.end(), fiber);
  if (found == live_.end()) return;
  live_.erase(found);
  SpareStacks().push_back(fiber->stack);
  fiber->stack = nullptr;
  // Locks of statics, which simulated processes share and real ones do not.
  for (void* mutex : fiber->held) ReleaseMutex(mutex);
  fiber->held.clear();
}

Fiber* Scheduler::Pick() {
  Fiber* picked = nullptr;
  uint64_t ready = 0;
  for (Fiber* fiber : live_) {
    if (fiber->state != Fiber::State::kReady || fiber->process->paused_until > now_) continue;
    if (random_.Below(++ready) == 0) picked = fiber;
  }
  return picked;
}

bool Scheduler::AdvanceTime() {
  Nanos next = kNever;
  for (const Fiber* fiber : live_) {
    const Nanos at = fiber->state == Fiber::State::kReady ? 0 : fiber->deadline;
    if (at != kNever) next = std::min(next, std::max(at, fiber->process->paused_until));
  }
  if (next == kNever) return false;
  now_ = std::max(now_, next);
  for (Fiber* fiber : live_) {
    if (fiber->state == Fiber::State::kBlocked && fiber->deadline <= now_) {
      fiber->timed_out = true;
      MakeReady(fiber);
    }
  }
  return true;
}

void Scheduler::MakeReady(Fiber* fiber) {
  fiber->state = Fiber::State::kReady;
  fiber->waits_on = nullptr;
  fiber->deadline = kNever;
}

void Scheduler::Step() {
  ++steps_;
  now_ += static_cast<Nanos>(500 + random_.Below(4000));
  Process* const process = current_->process;
  if (process->steps_to_live > 0 && --process->steps_to_live == 0) Kill(process);
  if (process->alive && process->paused_until <= now_ && !random_.Percent(options_.switch_percent)) return;
  // Those whose time has come may overtake.
  for (Fiber* fiber : live_) {
    if (fiber->state == Fiber::State::kBlocked && fiber->deadline <= now_) {
      fiber->timed_out = true;
      MakeReady(fiber);
    }
  }
  current_->state = Fiber::State::kReady;
  Switch();
}

void Scheduler::Sleep(Nanos duration) {
  Step();
  Block(nullptr, now_ + std::max<Nanos>(duration, 0));
}

bool Scheduler::Block(const void* what, Nanos deadline) {
  current_->state = Fiber::State::kBlocked;
  current_->waits_on = what;
  current_->deadline = deadline;
  current_->timed_out = false;
  Switch();
  return !current_->timed_out;
}

void Scheduler::WakeOne(const void* what) {
  Fiber* picked = nullptr;
  uint64_t waiting = 0;
  for (Fiber* fiber : live_) {
    if (fiber->state != Fiber::State::kBlocked || fiber->waits_on != what) continue;
    if (random_.Below(++waiting) == 0) picked = fiber;
  }
  if (picked != nullptr) MakeReady(picked);
}

void Scheduler::WakeAll(const void* what) {
  for (Fiber* fiber : live_) {
    if (fiber->state == Fiber::State::kBlocked && fiber->waits_on == what) MakeReady(fiber);
  }
}

void Scheduler::Kill(Process* process) {
  if (!process->alive) return;
  process->alive = false;
  ++kills_;
  if (current_ != nullptr && current_->process == process) return;  // Step() goes to the loop, which sees to the rest
  for (Fiber* fiber : process->fibers) Release(fiber);
  if (process->on_kill) process->on_kill();
  process->on_kill = nullptr;
}

}  // namespace wallaby::simulation
