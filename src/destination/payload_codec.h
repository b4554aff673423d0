// PayloadCodec: the codec of a destination that sends payloads, made of its options. docs/codecs.md.
#ifndef WALLABY_DESTINATION_PAYLOAD_CODEC_H_
#define WALLABY_DESTINATION_PAYLOAD_CODEC_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "codec/codec.h"
#include "destination/destination.h"
#include "destination/options.h"

namespace wallaby {

// Where a relation's records go (CodecOptions::topic_of): a topic, a stream, a path. Names of registry subjects are
// made of it.
using TopicOf = std::function<std::string(const Relation&)>;

// Of the format that ParsePayloadOptions() tells. Does no I/O, and checks the options again: INVALID_ARGUMENT names the
// option and what is allowed.
absl::StatusOr<std::unique_ptr<Codec>> MakePayloadCodec(const DestinationConfig& config, const TableOptions& table,
                                                        TopicOf topic_of);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PAYLOAD_CODEC_H_
