// A mapping's text, its row filters, and rows under it. First byte: a whole mapping, or a filter alone; then a block
// with its text, and a row.
#include <memory>
#include <string>

#include "fuzz.h"
#include "mapping/batch_mapper.h"
#include "mapping/mapping.h"
#include "mapping/table_mapping.h"

namespace wallaby {
namespace {

// With columns of every class that filters compare.
RelationPtr Orders() {
  static const RelationPtr orders = [] {
    auto relation = std::make_shared<Relation>();
    relation->oid = 1;
    relation->schema = "public";
    relation->name = "orders";
    relation->identity = ReplicaIdentity::kFull;
    constexpr uint32_t kOids[] = {20, 25, 1700, 16, 1042, 2950, 17, 1082, 1083, 1114, 1184, 700, 701, 26, 3802};
    for (const uint32_t oid : kOids) {
      std::string name(1, static_cast<char>('a' + relation->columns.size()));
      relation->columns.push_back({std::move(name), BuiltinType(oid, -1), true});
    }
    relation->key = {0};
    return relation;
  }();
  return orders;
}

// A row in which each value is what the input says, in a form that it says.
std::string Row(fuzz::Input& in) {
  std::string tuple;
  TupleBuilder row(&tuple, static_cast<int>(Orders()->columns.size()));
  for (size_t i = 0; i < Orders()->columns.size(); ++i) {
    const uint8_t form = in.Byte();
    const std::string_view value = in.Take(in.Byte());
    switch (form % 4) {
      case 0:
        row.Text(value);
        break;
      case 1:
        row.Binary(value);
        break;
      case 2:
        row.Null();
        break;
      default:
        row.Unchanged();
    }
  }
  return tuple;
}

void TryFilter(std::string_view text, fuzz::Input& in) {
  const auto filter = RowFilter::Parse(text);
  if (!filter.ok()) {
    REQUIRE(absl::IsInvalidArgument(filter.status()), filter.status().ToString());
    return;
  }
  const auto bound = BoundFilter::Bind(*filter, *Orders());
  if (!bound.ok()) {
    REQUIRE(absl::IsInvalidArgument(bound.status()), bound.status().ToString());
    return;
  }
  const std::string tuple = Row(in);
  TupleFields row;
  row.Parse(tuple.data());
  Truth truth = Truth::kNull, again = Truth::kNull, negated = Truth::kNull;
  const absl::Status status = bound->Evaluate(row, nullptr, &truth);
  REQUIRE(bound->Evaluate(row, &row, &again).ok() == status.ok(), "a row beside itself is the row");
  if (!status.ok()) return;
  REQUIRE(truth == again, "a row beside itself is the row");
  REQUIRE(truth != Truth::kAbsent || bound->FirstAbsent(row, nullptr) >= 0, "what is not known, a column lacks");
  const auto opposite = RowFilter::Parse("not (" + std::string(text) + ")");
  if (!opposite.ok()) return;  // nested too deeply now
  REQUIRE(BoundFilter::Bind(*opposite, *Orders())->Evaluate(row, nullptr, &negated).ok(), "the same values");
  const bool known = truth == Truth::kTrue || truth == Truth::kFalse;
  REQUIRE(known ? negated != truth && negated <= Truth::kTrue : negated == truth, "NOT turns true and false around");
}

void TryMapping(std::string_view text, fuzz::Input& in) {
  auto mapping = ParseMapping(text, "mapping");
  if (!mapping.ok()) {
    REQUIRE(absl::IsInvalidArgument(mapping.status()), mapping.status().ToString());
    return;
  }
  MappingSetup setup;
  setup.mapping = *std::move(mapping);
  setup.keeps = static_cast<Keeps>(in.Byte() % 3);
  setup.hash = std::make_shared<KeyedHash>("a secret");
  const auto table = CompileTableMapping(setup, Orders());
  if (!table.ok()) return;
  if (table->target != nullptr) {
    REQUIRE(table->columns.size() == table->target->columns.size() || table->passes(), "every column is mapped");
    REQUIRE(table->target->key.size() == Orders()->key.size(), "the key is whole");
  }
  ChangeBatch batch, out;
  batch.AddTransaction({.commit = Lsn{1}, .end = Lsn{2}});
  batch.AddRelation(Orders());
  static constexpr ChangeKind kKinds[] = {ChangeKind::kInsert, ChangeKind::kUpdate, ChangeKind::kDelete,
                                          ChangeKind::kRead};
  Change change{.kind = kKinds[in.Byte() % 4]};
  if (change.kind != ChangeKind::kDelete) change.new_row = batch.AddRow(Row(in));
  if (change.kind == ChangeKind::kUpdate || change.kind == ChangeKind::kDelete) change.old_row = batch.AddRow(Row(in));
  batch.AddChange(change);
  if (!BatchMapper(setup.hash).Map(batch, {&*table}, &out).ok()) return;
  REQUIRE(out.transactions().size() == 1 && out.changes().size() <= 1, "a change is one or none");
  for (const Change& mapped : out.changes()) {
    for (const uint64_t row : {mapped.new_row, mapped.old_row}) {
      if (row == Change::kNone) continue;
      TupleFields fields;
      fields.Parse(out.tuple(row));
      REQUIRE(fields.count() == static_cast<int>(table->target->columns.size()), "a row is as its relation");
      REQUIRE(row + fields.tuple().size() <= out.arena()->size(), "a row ends within the batch");
    }
  }
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  wallaby::fuzz::Input in(data, size);
  const bool filter = in.Byte() % 2 == 0;
  const std::string text(in.Block());
  filter ? wallaby::TryFilter(text, in) : wallaby::TryMapping(text, in);
  return 0;
}
