// Keys in the metadata of a flow's checkpoint that others than its worker look at.
#ifndef WALLABY_PIPELINE_CHECKPOINT_KEYS_H_
#define WALLABY_PIPELINE_CHECKPOINT_KEYS_H_

namespace wallaby {

// The server that the position is of, by its system identifier, and the slot that it was read from.
inline constexpr char kSystemKey[] = "source.system";
inline constexpr char kSlotKey[] = "source.slot";

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_CHECKPOINT_KEYS_H_
