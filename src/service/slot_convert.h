// A source's slots as the wire has them: the same from the server and from the command line.
#ifndef WALLABY_SERVICE_SLOT_CONVERT_H_
#define WALLABY_SERVICE_SLOT_CONVERT_H_

#include "postgres/slot.h"
#include "postgres/slot_outlook.h"
#include "wallaby/v1/types.pb.h"

namespace wallaby {

v1::SlotStatus SlotToProto(const SlotInfo& slot);
// Adds limits, reader and holders.
void AddOutlook(const SlotOutlook& outlook, v1::SlotStatus* proto);

// WAL that the slot keeps although the flow has confirmed it: decoding what comes needs it, as long as a transaction is
// open that began there.
int64_t HeldBytes(const v1::SlotStatus& slot);

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SLOT_CONVERT_H_
