// Relation: the immutable schema of a table at one moment, as replication announced it.
#ifndef WALLABY_CHANGE_RELATION_H_
#define WALLABY_CHANGE_RELATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "change/type.h"

namespace wallaby {

struct Column {
  std::string name;
  PgType type;
  bool key = false;  // part of the replica identity

  friend bool operator==(const Column&, const Column&) = default;
};

// REPLICA IDENTITY of a table (pg_class.relreplident).
enum class ReplicaIdentity : char { kDefault = 'd', kNothing = 'n', kFull = 'f', kIndex = 'i' };
constexpr bool IsReplicaIdentity(char c) {
  return c == 'd' || c == 'n' || c == 'f' || c == 'i';
}

struct Relation {
  uint32_t oid = 0;
  // Rises by one each time the flow sees the table with another shape, and stays; 1 is the first. 0: nobody has said.
  int64_t version = 1;
  std::string schema;
  std::string name;
  ReplicaIdentity identity = ReplicaIdentity::kDefault;
  std::vector<Column> columns;
  // Indexes into `columns` of what identifies a row, in column order. For identity kFull on a table with a primary key,
  // this is the primary key; on one without, it is empty and the whole row is the identity.
  std::vector<int> key;

  bool has_key() const { return !key.empty(); }
  std::string QualifiedName() const { return schema + "." + name; }
  // Same name, identity, columns and key; oid and version aside.
  bool SameShape(const Relation& other) const;
};

using RelationPtr = std::shared_ptr<const Relation>;

}  // namespace wallaby

#endif  // WALLABY_CHANGE_RELATION_H_
