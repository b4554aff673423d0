// The bytes that PostgreSQL's pgoutput plugin sends for a transaction of the simulated database.
// Source: PostgreSQL documentation, "Logical Replication Message Formats".
#ifndef WALLABY_TEST_SIMULATION_PGOUTPUT_WRITER_H_
#define WALLABY_TEST_SIMULATION_PGOUTPUT_WRITER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "test/simulation/database.h"

namespace wallaby::simulation {

struct SentMessage {
  Lsn lsn;  // as the packet's header has it
  std::string bytes;
};

// One stream's view: which relations it has announced.
class PgoutputWriter {
 public:
  // `messages`: logical messages too. `empty`: transactions without changes are sent as well.
  PgoutputWriter(bool binary, bool messages, bool empty) : binary_(binary), messages_(messages), empty_(empty) {}
  std::vector<SentMessage> Write(const WalTransaction& t);

 private:
  void WriteOp(const WalTransaction& t, const WalOp& op, std::string* out);
  void WriteTuple(const TableShape& shape, const Values& values, bool key_only, bool unchanged_large,
                  std::string* out) const;

  const bool binary_;
  const bool messages_;
  const bool empty_;
  std::map<uint32_t, ShapePtr> announced_;
};

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_PGOUTPUT_WRITER_H_
