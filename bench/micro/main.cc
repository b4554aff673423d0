// The distribution's benchmark_main is a library of its own that not every package has.
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
