#include "destination/payload_codec.h"

#include <utility>

#include "base/status.h"
#include "codec/codec_options.h"
#include "codec/schema_registry.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<Codec>> MakePayloadCodec(const DestinationConfig& config, const TableOptions& table,
                                                        TopicOf topic_of) {
  ASSIGN_OR_RETURN(CodecConfig parsed, ParsePayloadOptions(config));
  ASSIGN_OR_RETURN(parsed.codec.registry, MakeSchemaRegistry(parsed.registry));
  parsed.codec.source_name = config.flow_id;
  parsed.codec.database = config.database;
  parsed.codec.type_of = [table](const Relation& relation, const Column& column) {
    return table.MappedType(relation, column);
  };
  parsed.codec.topic_of = std::move(topic_of);
  return MakeCodec(std::move(parsed.codec));
}

}  // namespace wallaby
