// Lsn: a byte position in PostgreSQL's write-ahead log.
//
// Source: PostgreSQL documentation, "pg_lsn Type" (datatype-pg-lsn): two hexadecimal numbers of up to
// eight digits with a slash between, the high and low 32 bits. Compared as numbers, never as text.
#ifndef WALLABY_BASE_LSN_H_
#define WALLABY_BASE_LSN_H_

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace wallaby {

struct Lsn {
  uint64_t value = 0;

  constexpr bool valid() const { return value != 0; }
  friend constexpr auto operator<=>(Lsn, Lsn) = default;

  // "16/B374D848"; zero is "0/0".
  std::string ToString() const;
  static absl::StatusOr<Lsn> Parse(std::string_view text);
};

// Where a change stands in the slot's total order: the LSN of its transaction's commit record and its
// ordinal (from 0) among the changes of that transaction. The same in every replay of the slot.
struct Position {
  Lsn commit;
  uint32_t seq = 0;

  friend constexpr auto operator<=>(Position, Position) = default;
  std::string ToString() const;  // "16/B374D848:7"
};

}  // namespace wallaby

#endif  // WALLABY_BASE_LSN_H_
