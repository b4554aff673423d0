// Workload: what is written to the source: transactions of every kind, schema changes among them.
#ifndef WALLABY_TEST_SIMULATION_WORKLOAD_H_
#define WALLABY_TEST_SIMULATION_WORKLOAD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "test/simulation/world.h"

namespace wallaby::simulation {

class Workload {
 public:
  explicit Workload(World& world) : world_(world), random_(world.seed, /*stream=*/5) {}

  // The tables that are there before the flow.
  void Create(int tables);
  // Transactions until the trouble is over. A fiber.
  void Run();
  // One transaction.
  void Transact();
  // One more change of each table, so that what was changed without a message is seen.
  void Touch();

 private:
  void Commit(Writing& writing);
  std::vector<Table*> Tables(const Writing& writing);
  Table& AnyTable(const Writing& writing);
  std::string NewName(std::string_view stem);
  std::string NewValue();
  std::string NewLarge();
  int64_t FreeKey(const Writing& writing, const Table& table);

  void Change(Writing& writing);
  void Insert(Writing& writing, Table& table);
  void Update(Writing& writing, Table& table, int64_t key);
  // More than a batch holds.
  void WriteMuch(Writing& writing);

  void ChangeShape(Writing& writing);
  void AddOne(Writing& writing, Table& table, TableShape shape);
  void ChangeColumn(Writing& writing, Table& table, TableShape shape, int column);

  World& world_;
  Random random_;
  int wide_ = 0;  // transactions that were
  int names_ = 0;
  int64_t values_ = 0;
};

}  // namespace wallaby::simulation

#endif  // WALLABY_TEST_SIMULATION_WORKLOAD_H_
