// The two messages of IngestService/IngestBatch (proto/wallaby/v1/services.proto), written and read here by hand:
// generated classes register their file with the process, and the control plane, which loads this module too, has them
// already.
//
// Source: protobuf.dev, "Encoding".
#ifndef WALLABY_DESTINATION_GRPC_INGEST_MESSAGE_H_
#define WALLABY_DESTINATION_GRPC_INGEST_MESSAGE_H_

#include <optional>
#include <string>
#include <string_view>

#include "destination/dead_letter.h"

namespace wallaby {

// IngestBatchRequest.
std::string EncodeIngestRequest(std::string_view flow_id, std::string_view destination, const PushRequest& request);

// IngestBatchResponse.
struct IngestResponse {
  bool accepted = false;
  std::string message;
};
// Nothing for bytes that are no such message. Fields that are not known are passed over.
std::optional<IngestResponse> DecodeIngestResponse(std::string_view bytes);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_GRPC_INGEST_MESSAGE_H_
