// WireFormat: the form in which changes leave for what is no database. Its names stand here once, for flow files,
// settings and options.
#ifndef WALLABY_BASE_WIRE_FORMAT_H_
#define WALLABY_BASE_WIRE_FORMAT_H_

#include <optional>
#include <string_view>

namespace wallaby {

// Values are those of the wire contract's enum.
enum class WireFormat { kUnspecified = 0, kArrow = 1, kParquet = 2, kProto = 3, kAvro = 4, kJson = 5 };

struct WireFormatName {
  WireFormat value;
  std::string_view name;
};
inline constexpr WireFormatName kWireFormatNames[] = {{WireFormat::kArrow, "arrow"},
                                                      {WireFormat::kParquet, "parquet"},
                                                      {WireFormat::kAvro, "avro"},
                                                      {WireFormat::kProto, "proto"},
                                                      {WireFormat::kJson, "json"}};
// For errors and tables of options.
inline constexpr std::string_view kWireFormatsAllowed = "arrow, parquet, avro, proto or json";

// "json" and back; nothing for another text, "" for kUnspecified.
std::optional<WireFormat> ParseWireFormat(std::string_view name);
std::string_view WireFormatText(WireFormat format);

}  // namespace wallaby

#endif  // WALLABY_BASE_WIRE_FORMAT_H_
