#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "test/simulation/interpose.h"
#include "test/simulation/run.h"

using namespace wallaby::simulation;

int main(int argc, char** argv) {
  uint64_t from = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  bool verbose = argc > 3;
  if (verbose) SetLogText([](const std::string& line) { std::printf("  %s", line.c_str()); });
  Statistics all;
  int failed = 0;
  for (uint64_t seed = from; seed < from + count; ++seed) {
    Outcome o = RunSeed(seed, verbose);
    all.Add(o.statistics);
    if (!o.violation.empty()) {
      ++failed;
      std::printf("seed %lu: %s\n", seed, o.violation.c_str());
      std::fflush(stdout);
    }
  }
  std::printf("runs %ld failed %d workers %ld kills %ld steps %ld seconds %ld commits %ld ddl %ld gates %ld\n",
              all.runs, failed, all.workers, all.kills, all.steps, all.seconds, all.commits, all.ddl, all.gates);
  return failed != 0;
}
