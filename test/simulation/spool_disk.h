// SpoolDisk: what the simulated spool holds on its disk.
#ifndef WALLABY_TEST_SIMULATION_SPOOL_DISK_H_
#define WALLABY_TEST_SIMULATION_SPOOL_DISK_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/lsn.h"

namespace wallaby::simulation {

struct SpoolDisk {
  struct Stored {
    Lsn commit;
    Lsn end;
    std::vector<std::string> messages;
  };
  bool exists = false;
  Lsn begin;
  Lsn end;
  Lsn durable;
  Lsn last_commit;
  std::string last_begin;
  std::deque<Stored> transactions;
  std::map<uint32_t, std::string> relations;  // the newest message of each, of transactions that were removed
  std::map<std::string, Lsn> cursors;         // by id
  int locked = 0;                             // the process that has the lock; 0: none
  std::vector<std::shared_ptr<Event>> readers;
};

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_SPOOL_DISK_H_
