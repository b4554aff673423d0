// Literals of a row filter, read as values of a column's type.
#ifndef WALLABY_MAPPING_FILTER_LITERAL_H_
#define WALLABY_MAPPING_FILTER_LITERAL_H_

#include "absl/status/statusor.h"
#include "change/relation.h"
#include "mapping/bound_filter.h"
#include "mapping/row_filter.h"

namespace wallaby {

// As in PostgreSQL, a number becomes a double before a real is compared with it; text in quotes becomes a real, and so
// does each number of an IN list (`in_list`) of more than one. INVALID_ARGUMENT says what a literal for the column must
// look like.
absl::StatusOr<FilterLiteral> ReadFilterLiteral(const FilterValue& value, const Column& column, FilterClass type,
                                                bool in_list);

}  // namespace wallaby

#endif  // WALLABY_MAPPING_FILTER_LITERAL_H_
