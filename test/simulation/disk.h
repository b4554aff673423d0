// Disk: what a simulated destination holds durably.
#ifndef WALLABY_TEST_SIMULATION_DISK_H_
#define WALLABY_TEST_SIMULATION_DISK_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/lsn.h"
#include "destination/destination.h"
#include "test/simulation/database.h"

namespace wallaby::simulation {

struct DiskTable {
  uint32_t oid = 0;
  std::map<std::string, int> columns;  // name to attribute number
  std::map<int64_t, RowPtr> rows;      // values by attribute number, as at the source
};

struct DiskState {
  std::map<std::string, DiskTable> tables;  // by qualified name
  Progress progress;
  std::map<std::string, Lsn> parts;  // finished parts of snapshots, with the LSN of the snapshot
  Position last;                     // of the streamed changes that are in

  const DiskTable* Find(uint32_t oid) const {
    for (const auto& [name, table] : tables) {
      if (table.oid == oid) return &table;
    }
    return nullptr;
  }
};

struct Disk {
  std::string name;
  Capabilities capabilities;
  int64_t generation = 0;  // the highest that has opened it
  DiskState state;
};

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_DISK_H_
