// The lifecycle of a flow as one table: what each request does in each state.
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "flow/flow.h"

namespace wallaby {
namespace {

std::string_view RequestName(FlowRequest request) {
  switch (request) {
    case FlowRequest::kStart:
      return "start";
    case FlowRequest::kPause:
      return "pause";
    case FlowRequest::kStop:
      return "stop";
    case FlowRequest::kResume:
      return "resume";
    case FlowRequest::kDelete:
      return "delete";
    case FlowRequest::kUpdate:
      return "update";
    case FlowRequest::kRunOnce:
      return "run-once";
  }
  return "this request";
}

absl::Status Refuse(FlowState current, FlowRequest request, std::string_view remedy) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot ", RequestName(request), " the flow: it is ", FlowStateName(current), "; ", remedy));
}

constexpr std::string_view kWaitForStop = "wait until it is stopped (flow wait -state stopped), then try again";

absl::StatusOr<FlowState> Start(FlowState current) {
  switch (current) {
    case FlowState::kCreated:
    case FlowState::kStopped:
    case FlowState::kFailed:
    case FlowState::kRunning:
      return FlowState::kRunning;
    case FlowState::kPaused:
      return Refuse(current, FlowRequest::kStart, "a paused flow goes on with resume");
    default:
      return Refuse(current, FlowRequest::kStart, kWaitForStop);
  }
}

absl::StatusOr<FlowState> Pause(FlowState current) {
  switch (current) {
    case FlowState::kRunning:
    case FlowState::kPaused:
      return FlowState::kPaused;
    default:
      return Refuse(current, FlowRequest::kPause, "only a running flow can be paused");
  }
}

absl::StatusOr<FlowState> Stop(FlowState current) {
  switch (current) {
    case FlowState::kRunning:
    case FlowState::kPaused:
    case FlowState::kStopping:
      return FlowState::kStopping;
    case FlowState::kStopped:
      return FlowState::kStopped;
    default:
      return Refuse(current, FlowRequest::kStop, "only a running or paused flow can be stopped");
  }
}

absl::StatusOr<FlowState> Resume(FlowState current) {
  switch (current) {
    case FlowState::kPaused:
    case FlowState::kStopped:
    case FlowState::kRunning:
      return FlowState::kRunning;
    case FlowState::kStopping:
      return Refuse(current, FlowRequest::kResume, kWaitForStop);
    default:
      return Refuse(current, FlowRequest::kResume, "only a paused or stopped flow can be resumed; use start");
  }
}

absl::StatusOr<FlowState> RunOnce(FlowState current) {
  switch (current) {
    case FlowState::kCreated:
    case FlowState::kStopped:
    case FlowState::kPaused:
    case FlowState::kFailed:
    case FlowState::kRunning:
      return FlowState::kRunning;
    default:
      return Refuse(current, FlowRequest::kRunOnce, kWaitForStop);
  }
}

// Requests that need the flow at rest and leave its state alone.
absl::StatusOr<FlowState> AtRest(FlowState current, FlowRequest request) {
  switch (current) {
    case FlowState::kRunning:
      return Refuse(current, request,
                    request == FlowRequest::kUpdate ? "pause it first, or update with -pause -resume, which does both"
                                                    : "stop it first (flow stop)");
    case FlowState::kStopping:
      return Refuse(current, request, kWaitForStop);
    default:
      return current;
  }
}

}  // namespace

absl::StatusOr<FlowState> NextState(FlowState current, FlowRequest request) {
  if (current == FlowState::kUnspecified) {
    return absl::InternalError(absl::StrCat("cannot ", RequestName(request), " the flow: its state is not known"));
  }
  switch (request) {
    case FlowRequest::kStart:
      return Start(current);
    case FlowRequest::kPause:
      return Pause(current);
    case FlowRequest::kStop:
      return Stop(current);
    case FlowRequest::kResume:
      return Resume(current);
    case FlowRequest::kRunOnce:
      return RunOnce(current);
    case FlowRequest::kDelete:
    case FlowRequest::kUpdate:
      return AtRest(current, request);
  }
  return absl::InternalError("unknown request");
}

bool IsSpooled(FlowState state) {
  return state == FlowState::kPaused || state == FlowState::kFailed;
}

}  // namespace wallaby
