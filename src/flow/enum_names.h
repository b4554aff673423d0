// Names of the flow's enums, the same in the flow file, on the command line and in the store.
#ifndef WALLABY_FLOW_ENUM_NAMES_H_
#define WALLABY_FLOW_ENUM_NAMES_H_

#include <span>
#include <string>
#include <string_view>

#include "flow/flow.h"

namespace wallaby {

template <typename Enum>
struct EnumName {
  Enum value;
  std::string_view name;
};

std::span<const EnumName<WireFormat>> WireFormatNames();
std::span<const EnumName<AckPolicy>> AckPolicyNames();
std::span<const EnumName<FailureMode>> FailureModeNames();
std::span<const EnumName<GiveUpPolicy>> GiveUpPolicyNames();
std::span<const EnumName<DdlScope>> DdlScopeNames();

// "" for a value without a name (unspecified).
template <typename Enum>
std::string_view NameOf(std::span<const EnumName<Enum>> names, Enum value) {
  for (const EnumName<Enum>& entry : names) {
    if (entry.value == value) return entry.name;
  }
  return "";
}

// "arrow, parquet, avro, proto or json".
template <typename Enum>
std::string AllowedNames(std::span<const EnumName<Enum>> names) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " or " : ", ";
    out += names[i].name;
  }
  return out;
}

}  // namespace wallaby

#endif  // WALLABY_FLOW_ENUM_NAMES_H_
