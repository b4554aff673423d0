#include "flow/enum_names.h"

#include <array>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

constexpr auto kWireFormats = [] {
  std::array<EnumName<WireFormat>, std::size(kWireFormatNames)> names{};
  for (size_t i = 0; i < names.size(); ++i) names[i] = {kWireFormatNames[i].value, kWireFormatNames[i].name};
  return names;
}();
constexpr std::array<EnumName<AckPolicy>, 2> kAckPolicies{{{AckPolicy::kAll, "all"}, {AckPolicy::kPrimary, "primary"}}};
constexpr std::array<EnumName<FailureMode>, 2> kFailureModes{
    {{FailureMode::kHoldSlot, "hold_slot"}, {FailureMode::kDropSlot, "drop_slot"}}};
constexpr std::array<EnumName<GiveUpPolicy>, 2> kGiveUpPolicies{
    {{GiveUpPolicy::kNever, "never"}, {GiveUpPolicy::kOnRetryExhaustion, "on_retry_exhaustion"}}};
constexpr std::array<EnumName<DdlScope>, 3> kDdlScopes{
    {{DdlScope::kFlow, "flow"}, {DdlScope::kTable, "table"}, {DdlScope::kLinked, "linked"}}};
constexpr std::array<EnumName<FlowState>, 6> kFlowStates{{{FlowState::kCreated, "created"},
                                                          {FlowState::kRunning, "running"},
                                                          {FlowState::kPaused, "paused"},
                                                          {FlowState::kStopping, "stopping"},
                                                          {FlowState::kFailed, "failed"},
                                                          {FlowState::kStopped, "stopped"}}};

}  // namespace

std::span<const EnumName<WireFormat>> WireFormatNames() {
  return kWireFormats;
}
std::span<const EnumName<AckPolicy>> AckPolicyNames() {
  return kAckPolicies;
}
std::span<const EnumName<FailureMode>> FailureModeNames() {
  return kFailureModes;
}
std::span<const EnumName<GiveUpPolicy>> GiveUpPolicyNames() {
  return kGiveUpPolicies;
}

std::span<const EnumName<DdlScope>> DdlScopeNames() {
  return kDdlScopes;
}

std::string_view FlowStateName(FlowState state) {
  const std::string_view name = NameOf(std::span<const EnumName<FlowState>>(kFlowStates), state);
  return name.empty() ? "unspecified" : name;
}

absl::StatusOr<FlowState> ParseFlowState(std::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  for (const EnumName<FlowState>& entry : kFlowStates) {
    if (entry.name == lower) return entry.value;
  }
  return absl::InvalidArgumentError(absl::StrCat("'", name, "' is not a flow's state; allowed: ",
                                                 AllowedNames(std::span<const EnumName<FlowState>>(kFlowStates))));
}

}  // namespace wallaby
