// Which column types that exist at the destination take the values of others.
#ifndef WALLABY_DESTINATION_POSTGRES_COLUMN_TYPES_H_
#define WALLABY_DESTINATION_POSTGRES_COLUMN_TYPES_H_

#include <string>
#include <string_view>

namespace wallaby {

// True when a column of type `present` takes every value of `wanted` as it is; both as format_type() prints them.
bool PostgresTypeHolds(std::string_view present, std::string_view wanted);

// An expression that casts `value`, of type `from`, to `to`: numbers as numbers, all else by their text, as few types
// have casts of their own to others.
std::string PostgresCast(std::string_view value, std::string_view from, std::string_view to);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_COLUMN_TYPES_H_
