// SchemaWatch: looks at what a stream says of its tables' shapes, and decides whether the transaction may be carried
// on.
#ifndef WALLABY_PGOUTPUT_SCHEMA_WATCH_H_
#define WALLABY_PGOUTPUT_SCHEMA_WATCH_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "change/change_batch.h"
#include "change/relation.h"

namespace wallaby::pgoutput {

// How rows of a relation are carried on. By default: as they come.
struct RelationEdit {
  bool ignore = false;              // not at all
  std::optional<Relation> carried;  // in this shape, which has
  std::vector<int> columns;         // these of the announced columns, in order
};

class SchemaWatch {
 public:
  enum class Verdict {
    kCarry,
    kHold,  // nothing of this transaction is carried on; what else it says of shapes is still shown to the watch
  };
  // Whether the transaction had a row of the table before.
  using HasRows = absl::FunctionRef<bool(uint32_t oid)>;

  virtual ~SchemaWatch() = default;
  // A relation message of transaction `t`.
  virtual absl::StatusOr<Verdict> OnRelation(const Transaction& t, const Relation& announced, HasRows has_rows,
                                             RelationEdit* edit) = 0;
  // A transactional logical message.
  virtual absl::StatusOr<Verdict> OnMessage(const Transaction& t, std::string_view prefix, std::string_view content,
                                            HasRows has_rows) = 0;
};

}  // namespace wallaby::pgoutput

#endif  // WALLABY_PGOUTPUT_SCHEMA_WATCH_H_
