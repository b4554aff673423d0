// All flows of a store, page by page.
#ifndef WALLABY_STORE_FOR_EACH_FLOW_H_
#define WALLABY_STORE_FOR_EACH_FLOW_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "store/control_store.h"

namespace wallaby {

// Calls `visit` with each flow in order of id. Ends with the first error, the store's or `visit`'s.
absl::Status ForEachFlow(ControlStore& store, absl::FunctionRef<absl::Status(const StoredFlow&)> visit);

}  // namespace wallaby

#endif  // WALLABY_STORE_FOR_EACH_FLOW_H_
