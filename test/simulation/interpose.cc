// The functions of libc through which threads wait, take locks and read the clock. Those of the executable come before
// libc's for it and for every library that it is linked with, so the code that ships runs here unchanged. Called by a
// fiber, they are answered by its scheduler; by anybody else, by libc.
#include "test/simulation/interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "absl/time/clock.h"
#include "test/simulation/scheduler.h"

namespace wallaby::simulation {
namespace {

// 2026-01-01 00:00:00 UTC
constexpr Nanos kEpoch = 1767225600 * kSecond;
// Event descriptors of fibers: numbers that the machine never gives.
constexpr int kFirstEvent = 1 << 28;

// libc's own.
#define REAL(name)                                                                         \
  ([] {                                                                                    \
    static const auto real = reinterpret_cast<decltype(&::name)>(dlsym(RTLD_NEXT, #name)); \
    return real;                                                                           \
  }())

struct EventFd {
  bool open = false;
  uint64_t count = 0;
};
std::vector<EventFd>& Events() {
  static std::vector<EventFd> events;
  return events;
}
EventFd* FindEvent(int fd) {
  return fd >= kFirstEvent ? &Events()[fd - kFirstEvent] : nullptr;
}

Random* random_device = nullptr;
void (*log_text)(const std::string&) = nullptr;

Nanos FromSpec(const timespec& spec) {
  return spec.tv_sec >= kNever / kSecond - 1 ? kNever : spec.tv_sec * kSecond + spec.tv_nsec;
}
timespec ToSpec(Nanos nanos) {
  return {.tv_sec = nanos / kSecond, .tv_nsec = nanos % kSecond};
}
Nanos Deadline(clockid_t clock, const timespec& at) {
  const Nanos nanos = FromSpec(at);
  if (nanos == kNever) return kNever;
  return clock == CLOCK_REALTIME ? nanos - kEpoch : nanos;
}

void Lock(Scheduler& scheduler, pthread_mutex_t* mutex) {
  while (REAL(pthread_mutex_trylock)(mutex) == EBUSY) scheduler.Block(mutex, kNever);
  scheduler.fiber()->held.push_back(mutex);
}
void Unlock(Scheduler& scheduler, pthread_mutex_t* mutex) {
  auto& held = scheduler.fiber()->held;
  const auto found = std::find(held.rbegin(), held.rend(), mutex);
  if (found != held.rend()) held.erase(std::next(found).base());
  REAL(pthread_mutex_unlock)(mutex);
  scheduler.WakeAll(mutex);
}

int WaitFor(Scheduler& scheduler, pthread_cond_t* condition, pthread_mutex_t* mutex, Nanos deadline) {
  Unlock(scheduler, mutex);
  const bool woken = scheduler.Block(condition, deadline);
  scheduler.Step();
  Lock(scheduler, mutex);
  return woken ? 0 : ETIMEDOUT;
}

int Ready(pollfd* fds, nfds_t count) {
  int ready = 0;
  for (nfds_t i = 0; i < count; ++i) {
    const EventFd* event = FindEvent(fds[i].fd);
    fds[i].revents = event != nullptr && event->count > 0 ? static_cast<short>(fds[i].events & POLLIN) : 0;
    ready += fds[i].revents != 0 ? 1 : 0;
  }
  return ready;
}

}  // namespace

const void* PollQueue() {
  return &Events();
}

namespace {

int Poll(Scheduler& scheduler, pollfd* fds, nfds_t count, Nanos timeout) {
  scheduler.Step();
  const Nanos deadline = timeout == kNever ? kNever : scheduler.now() + timeout;
  while (true) {
    const int ready = Ready(fds, count);
    // All event descriptors have one queue of waiters: each looks again whether it is its own.
    if (ready > 0 || scheduler.now() >= deadline) return ready;
    scheduler.Block(PollQueue(), deadline);
  }
}

}  // namespace

void ReleaseMutex(void* mutex) {
  REAL(pthread_mutex_unlock)(static_cast<pthread_mutex_t*>(mutex));
}

void SetRandomDevice(Random* random) {
  random_device = random;
}

void SetLogText(void (*take)(const std::string& line)) {
  log_text = take;
}

}  // namespace wallaby::simulation

using wallaby::simulation::kNever;
using wallaby::simulation::kSecond;
using wallaby::simulation::Nanos;
using wallaby::simulation::Scheduler;
namespace sim = wallaby::simulation;

extern "C" {

// ---- threads ----

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(pthread_create)(thread, attributes, start, argument);
  sim::Fiber* fiber = scheduler->StartThread([start, argument] { start(argument); });
  *thread = reinterpret_cast<pthread_t>(fiber);
  scheduler->Step();
  return 0;
}

int pthread_join(pthread_t thread, void** result) {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(pthread_join)(thread, result);
  auto* const fiber = reinterpret_cast<sim::Fiber*>(thread);
  scheduler->Step();
  while (fiber->state != sim::Fiber::State::kDone) scheduler->Block(fiber, kNever);
  if (result != nullptr) *result = nullptr;
  return 0;
}

// ---- locks ----

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(pthread_mutex_lock)(mutex);
  scheduler->Step();
  sim::Lock(*scheduler, mutex);
  return 0;
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  Scheduler* const scheduler = Scheduler::Active();
  const int busy = REAL(pthread_mutex_trylock)(mutex);
  if (scheduler != nullptr && busy == 0) scheduler->fiber()->held.push_back(mutex);
  return busy;
}

int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(pthread_mutex_unlock)(mutex);
  sim::Unlock(*scheduler, mutex);
  return 0;
}

// ---- conditions ----

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(pthread_cond_wait)(condition, mutex);
  return sim::WaitFor(*scheduler, condition, mutex, kNever);
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* at) {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(pthread_cond_timedwait)(condition, mutex, at);
  return sim::WaitFor(*scheduler, condition, mutex, sim::Deadline(CLOCK_REALTIME, *at));
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* at) {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(pthread_cond_clockwait)(condition, mutex, clock, at);
  return sim::WaitFor(*scheduler, condition, mutex, sim::Deadline(clock, *at));
}

int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(pthread_cond_signal)(condition);
  scheduler->WakeOne(condition);
  return 0;
}

int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(pthread_cond_broadcast)(condition);
  scheduler->WakeAll(condition);
  return 0;
}

// ---- time ----

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  const Scheduler* const scheduler = Scheduler::Running();
  if (scheduler == nullptr) return REAL(clock_gettime)(clock, out);
  *out = sim::ToSpec(clock == CLOCK_REALTIME ? sim::kEpoch + scheduler->now() : scheduler->now());
  return 0;
}

int nanosleep(const timespec* duration, timespec* left) {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(nanosleep)(duration, left);
  scheduler->Sleep(sim::FromSpec(*duration));
  return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* at, timespec* left) {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(clock_nanosleep)(clock, flags, at, left);
  const bool absolute = (flags & TIMER_ABSTIME) != 0;
  scheduler->Sleep(absolute ? sim::Deadline(clock, *at) - scheduler->now() : sim::FromSpec(*at));
  return 0;
}

// ---- event descriptors ----

int eventfd(unsigned int count, int flags) noexcept {
  if (Scheduler::Running() == nullptr) return REAL(eventfd)(count, flags);
  auto& events = sim::Events();
  auto free = std::find_if(events.begin(), events.end(), [](const sim::EventFd& event) { return !event.open; });
  if (free == events.end()) free = events.emplace(events.end());
  *free = {.open = true, .count = count};
  return sim::kFirstEvent + static_cast<int>(free - events.begin());
}

int close(int fd) {
  sim::EventFd* const event = sim::FindEvent(fd);
  if (event == nullptr) return REAL(close)(fd);
  *event = {};
  return 0;
}

ssize_t read(int fd, void* buffer, size_t bytes) {
  sim::EventFd* const event = sim::FindEvent(fd);
  if (event == nullptr) return REAL(read)(fd, buffer, bytes);
  if (event->count == 0) {
    errno = EAGAIN;
    return -1;
  }
  std::memcpy(buffer, &event->count, sizeof(event->count));
  event->count = 0;
  return sizeof(event->count);
}

ssize_t write(int fd, const void* buffer, size_t bytes) {
  sim::EventFd* const event = sim::FindEvent(fd);
  if (event != nullptr) {
    uint64_t add;
    std::memcpy(&add, buffer, sizeof(add));
    event->count += add;
    if (Scheduler* const scheduler = Scheduler::Running()) scheduler->WakeAll(sim::PollQueue());
    return sizeof(add);
  }
  if (fd == STDERR_FILENO && Scheduler::Running() != nullptr) {
    if (sim::log_text != nullptr) sim::log_text(std::string(static_cast<const char*>(buffer), bytes));
    return static_cast<ssize_t>(bytes);
  }
  return REAL(write)(fd, buffer, bytes);
}

int poll(pollfd* fds, nfds_t count, int milliseconds) {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(poll)(fds, count, milliseconds);
  return sim::Poll(*scheduler, fds, count, milliseconds < 0 ? kNever : milliseconds * sim::kMillisecond);
}

int ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  Scheduler* const scheduler = Scheduler::Active();
  if (scheduler == nullptr) return REAL(ppoll)(fds, count, timeout, mask);
  return sim::Poll(*scheduler, fds, count, timeout == nullptr ? kNever : sim::FromSpec(*timeout));
}

}  // extern "C"

// Abseil reckons between two looks at the clock by counting cycles.

namespace absl {
ABSL_NAMESPACE_BEGIN
int64_t GetCurrentTimeNanos() {
  timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}
Time Now() {
  return FromUnixNanos(GetCurrentTimeNanos());
}
ABSL_NAMESPACE_END
}  // namespace absl

// ---- chance ----

void std::random_device::_M_init(const std::string&) {}
void std::random_device::_M_fini() {}
std::random_device::result_type std::random_device::_M_getval() {
  if (sim::random_device != nullptr) return static_cast<result_type>(sim::random_device->Next());
  result_type value = 0;
  if (getentropy(&value, sizeof(value)) != 0) std::abort();
  return value;
}

// ---- statics within functions ----
// A fiber that gave way while it makes one would make the others wait for a thread that is their own.

// (REAL would make one itself.)

extern "C" {

int __cxa_guard_acquire(long long* guard) {
  using Acquire = int(long long*);
  static Acquire* real = nullptr;
  if (real == nullptr) real = reinterpret_cast<Acquire*>(dlsym(RTLD_NEXT, "__cxa_guard_acquire"));
  const int to_be_made = real(guard);
  Scheduler::NoYield::depth += to_be_made;
  return to_be_made;
}

void __cxa_guard_release(long long* guard) {
  using Release = void(long long*);
  static Release* real = nullptr;
  if (real == nullptr) real = reinterpret_cast<Release*>(dlsym(RTLD_NEXT, "__cxa_guard_release"));
  --Scheduler::NoYield::depth;
  real(guard);
}

void __cxa_guard_abort(long long* guard) {
  using Abort = void(long long*);
  static Abort* real = nullptr;
  if (real == nullptr) real = reinterpret_cast<Abort*>(dlsym(RTLD_NEXT, "__cxa_guard_abort"));
  --Scheduler::NoYield::depth;
  real(guard);
}

}  // extern "C"
