// The doctor on a flow: its source, slot and publication, and whether its destinations can be reached.
#ifndef WALLABY_SERVICE_FLOW_DOCTOR_H_
#define WALLABY_SERVICE_FLOW_DOCTOR_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "flow/flow.h"
#include "store/control_store.h"
#include "wallaby/v1/services.pb.h"

namespace wallaby {

struct FlowDoctorOptions {
  DdlPolicy settings;       // what the server's settings say of DDL, where the flow does not
  bool has_worker = false;  // it or another flow on the slot, which may be reading that
  absl::Duration long_transaction = absl::ZeroDuration();  // zero: the doctor's own
};

// Whether a flow in this state may have one; a paused one has, where there is a spool.
bool HasWorker(FlowState state);

// Never fails: what cannot be looked at is told in the report. Changes nothing.
void DiagnoseFlowNow(const Flow& flow, const FlowDoctorOptions& options, v1::DoctorReport* report);

// The same of a definition that is not stored; secrets that show the mask are those of the stored flow of the same id.
// An error only when the store fails.
absl::Status DiagnoseDefinitionNow(const v1::Flow& proto, FlowDoctorOptions options, ControlStore* store,
                                   v1::DoctorReport* report);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_FLOW_DOCTOR_H_
