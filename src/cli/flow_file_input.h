// A flow file as the commands take it: read and checked here, so that errors name the file and the key.
#ifndef WALLABY_CLI_FLOW_FILE_INPUT_H_
#define WALLABY_CLI_FLOW_FILE_INPUT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "flow/flow.h"
#include "wallaby/v1/types.pb.h"

namespace wallaby {

// "-" is standard input. INVALID_ARGUMENT and NOT_FOUND name the file.
absl::StatusOr<Flow> ReadFlowFile(const std::string& path);

// The checks that need no connection. A flow that still shows masked secrets is left to the server, which has them.
absl::Status CheckFlowFile(const std::string& path, const Flow& flow);

absl::StatusOr<v1::Flow> ToRequest(const std::string& path, const Flow& flow);

}  // namespace wallaby

#endif  // WALLABY_CLI_FLOW_FILE_INPUT_H_
