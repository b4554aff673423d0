// Values out of a row's fields, in either form in which PostgreSQL sends them, and their text.
//
// Source of the binary forms: the typsend functions in src/backend/utils/adt of PostgreSQL; dates and times count from
// 2000-01-01 (documentation, "Date/Time Types"), here turned to 1970-01-01. Text forms are those of the session
// settings in change/type.h. Every function refuses what does not fit, and says which value, never guesses.
// No allocation unless the result is a string. Safe from any thread.
#ifndef WALLABY_CHANGE_VALUE_H_
#define WALLABY_CHANGE_VALUE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "change/tuple.h"
#include "change/type.h"

namespace wallaby {

// Each expects a field that is kText or kBinary of a type whose logical type matches the name.
absl::Status ReadBool(const Field& field, bool* out);
// int2, int4, int8; any of them into 64 bits. Not oid: its four bytes have no sign.
absl::Status ReadInt(const Field& field, int64_t* out);
// oid.
absl::Status ReadUint32(const Field& field, uint32_t* out);
absl::Status ReadFloat32(const Field& field, float* out);
absl::Status ReadFloat64(const Field& field, double* out);
// The unscaled number for the type's scale: 12.34 at scale 2 is 1234. NaN, infinity and what exceeds the precision are
// OUT_OF_RANGE.
absl::Status ReadDecimal(const Field& field, const PgType& type, absl::int128* out);
absl::Status ReadDate(const Field& field, int32_t* days);
absl::Status ReadTime(const Field& field, int64_t* micros);
// timestamp and timestamptz (text must carry the zone +00).
absl::Status ReadTimestamp(const Field& field, int64_t* micros);
absl::Status ReadUuid(const Field& field, unsigned char out[16]);
// bytea: the bytes in binary form, decoded from \x hex in text form. `scratch` holds what had to be decoded.
absl::Status ReadBytes(const Field& field, std::string* scratch, std::string_view* out);
// Text-like values and json: the text itself. In binary form jsonb's version byte is taken off. Values of other types,
// as AppendText prints them (`scratch` holds them): a column may be carried as text because a user asked for it.
absl::Status ReadText(const Field& field, const PgType& type, std::string* scratch, std::string_view* out);

// Appends the value as PostgreSQL prints it, whichever form it came in. Works for all types with `binary` set, and for
// every type in text form. Null and absent fields are a caller's error (INTERNAL).
absl::Status AppendText(const Field& field, const PgType& type, std::string* out);

}  // namespace wallaby

#endif  // WALLABY_CHANGE_VALUE_H_
