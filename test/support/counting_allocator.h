// Counts what a piece of code allocates. Linking this library into a test replaces its operator new and delete.
#ifndef WALLABY_TEST_SUPPORT_COUNTING_ALLOCATOR_H_
#define WALLABY_TEST_SUPPORT_COUNTING_ALLOCATOR_H_

#include <cstdint>

namespace wallaby {

// Calls of operator new by this thread, of any form, since it began.
int64_t AllocationsSoFar();

// Those that `work()` makes.
template <typename Work>
int64_t AllocationsOf(Work work) {
  const int64_t before = AllocationsSoFar();
  work();
  return AllocationsSoFar() - before;
}

// How many more allocations `work(2 * n)` makes than `work(n)`. Memory that grows by doubling gives a few; one
// allocation for each of the n gives n.
template <typename Work>
int64_t AllocationsForTwice(int n, Work work) {
  work(n);  // what is allocated once and kept
  const int64_t once = AllocationsOf([&] { work(n); });
  return AllocationsOf([&] { work(2 * n); }) - once;
}

}  // namespace wallaby

#endif  // WALLABY_TEST_SUPPORT_COUNTING_ALLOCATOR_H_
