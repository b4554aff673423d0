// The transactional ids of Kafka producers, which no two of a server's flows may share: each would end the other's
// worker at its every commit, for ever.
#ifndef WALLABY_SERVICE_TRANSACTIONAL_IDS_H_
#define WALLABY_SERVICE_TRANSACTIONAL_IDS_H_

#include "absl/status/status.h"
#include "flow/flow.h"
#include "store/control_store.h"

namespace wallaby {

// INVALID_ARGUMENT when a destination of the flow has the id of another one, of this flow or of a stored one; names
// that are given and those that are made count alike. Other errors are the store's.
absl::Status CheckTransactionalIds(const Flow& flow, ControlStore& store);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_TRANSACTIONAL_IDS_H_
