#include "destination/pgstream/pgstream_options.h"

#include "absl/strings/numbers.h"
#include "base/status.h"
#include "base/units.h"

namespace wallaby {

absl::StatusOr<PgstreamOptions> ParsePgstreamOptions(const DestinationConfig& config) {
  PgstreamOptions result;
  ASSIGN_OR_RETURN(result.table, ParseTableOptions("pgstream", config));  // checks every value
  const auto text = [&](const char* name) {
    const auto option = config.options.find(name);
    return option == config.options.end() ? std::string() : option->second;
  };
  result.dsn = text("dsn");
  result.stream = text("stream");
  if (!result.table.schema.empty()) result.schema = result.table.schema;
  if (const std::string age = text("retention"); !age.empty()) {
    ASSIGN_OR_RETURN(result.retention.age, ParseDuration(age));
  }
  if (const std::string size = text("retention_bytes"); !size.empty()) {
    ASSIGN_OR_RETURN(result.retention.bytes, ParseBytes(size));
  }
  if (int64_t count = 0; absl::SimpleAtoi(text("retention_messages"), &count)) result.retention.messages = count;
  result.retention.drop_unread = text("retention_unread") == "drop";
  return result;
}

}  // namespace wallaby
