// wallaby-admin why: where a flow's lag is, in one sentence.
#include "absl/strings/str_cat.h"
#include "cli/admin.h"
#include "cli/command_line.h"

namespace wallaby {
namespace {

std::string Text(const v1::LagExplanation& explanation) {
  return absl::StrCat(explanation.sentence(), explanation.remedy().empty() ? "" : "\nNext: ", explanation.remedy(),
                      "\n");
}

int Run(const Invocation& invocation) {
  CommandLine line(invocation);
  std::string flow_id;
  line.FlowId(&flow_id);
  if (const auto status = line.Parse()) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::LagExplanation explanation, CallOnFlow(*client, v1::ExplainLagRequest(), flow_id));
    return line.Print(explanation, Text(explanation));
  }());
}

}  // namespace

Command WhyCommand() {
  return {"why", "where a flow's lag is, in one sentence: source, network, destination, gate, ...", Run};
}

}  // namespace wallaby
