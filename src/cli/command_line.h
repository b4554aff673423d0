// CommandLine: what every command does alike: common flags, the connection, output, the end.
#ifndef WALLABY_CLI_COMMAND_LINE_H_
#define WALLABY_CLI_COMMAND_LINE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status.h"
#include "cli/admin.h"
#include "cli/client.h"
#include "cli/flags.h"

namespace wallaby {

class CommandLine {
 public:
  explicit CommandLine(const Invocation& invocation);

  Flags& flags() { return flags_; }
  // Declares -flow-id.
  void FlowId(std::string* flow_id, bool required = true);
  // After the command's own flags were declared. An exit status ends the command.
  std::optional<int> Parse();

  bool json() const { return json_ || pretty_; }
  bool pretty() const { return pretty_; }
  // A channel that lives as long as this object.
  absl::StatusOr<Client*> Connect();
  // One JSON document with -json or -pretty, else `text`.
  absl::Status Print(const google::protobuf::Message& message, const std::string& text) const;
  // The JSON document of Print, for commands that change it before they show it.
  absl::StatusOr<std::string> Document(const google::protobuf::Message& message) const;
  // The exit status; a failure becomes one line on stderr.
  int Finish(const absl::Status& status) const;

 private:
  std::optional<int> CheckCommon();

  const Invocation& invocation_;
  Flags flags_;
  ClientOptions server_;
  bool json_ = false;
  bool pretty_ = false;
  std::unique_ptr<Client> client_;
};

// The id of the flow of this name, which the server keeps unique; nothing when there is none.
absl::StatusOr<std::optional<std::string>> FlowIdByName(Client& client, const std::string& name);

// A request about one flow. When no flow has the id, `flow` is tried as a name. Not for what cannot be undone: a name
// may have passed to another flow since.
template <typename Request>
auto CallOnFlow(Client& client, Request request, const std::string& flow) -> decltype(client.Call(request)) {
  request.set_flow_id(flow);
  auto response = client.Call(request);
  if (!absl::IsNotFound(response.status())) return response;
  ASSIGN_OR_RETURN(const std::optional<std::string> id, FlowIdByName(client, flow));
  if (!id || *id == flow) return response;
  request.set_flow_id(*id);
  return client.Call(request);
}

}  // namespace wallaby

#endif  // WALLABY_CLI_COMMAND_LINE_H_
