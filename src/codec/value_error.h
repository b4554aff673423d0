// What a codec says of a value that does not fit: table, column, value and remedy.
#ifndef WALLABY_CODEC_VALUE_ERROR_H_
#define WALLABY_CODEC_VALUE_ERROR_H_

#include "absl/status/status.h"
#include "change/relation.h"

namespace wallaby {

// `status` came from reading column `index`, carried as `type`. What is wrong with the value has a remedy: to carry the
// column as text.
[[gnu::cold]] absl::Status ExplainValue(const absl::Status& status, const Relation& relation, int index,
                                        const PgType& type);

// A row that does not have the columns of its schema.
[[gnu::cold]] absl::Status WrongColumnCount(const Relation& relation, int got);

}  // namespace wallaby

#endif  // WALLABY_CODEC_VALUE_ERROR_H_
