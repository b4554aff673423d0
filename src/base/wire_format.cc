#include "base/wire_format.h"

namespace wallaby {

std::optional<WireFormat> ParseWireFormat(std::string_view name) {
  for (const WireFormatName& entry : kWireFormatNames) {
    if (entry.name == name) return entry.value;
  }
  return std::nullopt;
}

std::string_view WireFormatText(WireFormat format) {
  for (const WireFormatName& entry : kWireFormatNames) {
    if (entry.value == format) return entry.name;
  }
  return "";
}

}  // namespace wallaby
