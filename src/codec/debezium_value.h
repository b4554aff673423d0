// Values and schemas as Debezium's PostgreSQL connector writes them with its defaults, so that its consumers read ours.
// docs/codecs.md has the table, with what differs.
//
// Source: Debezium's documentation of the connector, "Data type mappings", and messages of Debezium 3.2
// (testdata/debezium).
#ifndef WALLABY_CODEC_DEBEZIUM_VALUE_H_
#define WALLABY_CODEC_DEBEZIUM_VALUE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "change/tuple.h"
#include "change/type.h"

namespace wallaby {

enum class DebeziumKind {
  kPlain,       // as json_text.h writes it
  kDecimal,     // org.apache.kafka.connect.data.Decimal
  kAnyDecimal,  // io.debezium.data.VariableScaleDecimal
  kMoney,       // Decimal of scale 2
  kDate,        // days
  kMicroTime,   // microseconds
  kMilliTime,   // milliseconds, for time(0) to time(3)
  kZonedTime,   // text, in UTC
  kMicroTimestamp,
  kMilliTimestamp,
  kZonedTimestamp,  // text, in UTC
  kMicroDuration,   // an interval; a month is 30.4375 days
  kBit,             // bit(1): a truth value
  kBits,            // little-endian bytes
  kPoint,
  kArray,
};

struct DebeziumType {
  DebeziumKind kind = DebeziumKind::kPlain;
  PgType type;
  std::unique_ptr<DebeziumType> element;  // kArray
  // Kafka Connect's schema, without braces: "type":"int32","optional":true ...
  std::string schema;

  static DebeziumType Of(const PgType& type, bool optional);
};

// The value of a field that is there. Errors as AppendJsonValue.
absl::Status AppendDebeziumValue(const Field& field, const DebeziumType& type, std::string* scratch, std::string* out);

// What stands for an unchanged value that was not sent: Debezium's placeholder, in strings, bytes and arrays of
// strings. False, and nothing appended, for other types: the column is left out.
bool AppendDebeziumUnavailable(const DebeziumType& type, std::string* out);

}  // namespace wallaby

#endif  // WALLABY_CODEC_DEBEZIUM_VALUE_H_
