// ShapeNumber: which number a table's shape has, from which position of the stream on.
#ifndef WALLABY_STORE_SHAPE_NUMBER_H_
#define WALLABY_STORE_SHAPE_NUMBER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/lsn.h"
#include "change/relation.h"

namespace wallaby {

struct ShapeNumber {
  std::string table;  // "schema.name"
  int64_t number = 0;
  Lsn from;
  int64_t shape = 0;  // ShapeHash()
};

// Two shapes of one table are told apart by it. Nothing in it depends on how the values are read.
int64_t ShapeHash(const Relation& relation);

// The number of `relation` as the transaction that commits at `lsn` has it; 0: none yet. `numbers`: at least those of
// its table, each table's in order.
int64_t FindShapeNumber(const std::vector<ShapeNumber>& numbers, const Relation& relation, Lsn lsn);

}  // namespace wallaby

#endif  // WALLABY_STORE_SHAPE_NUMBER_H_
