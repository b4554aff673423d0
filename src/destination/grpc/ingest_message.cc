#include "destination/grpc/ingest_message.h"

#include <cstdint>

namespace wallaby {
namespace {

// Numbers of the fields.
enum RequestField { kFlowId = 1, kDestination, kWireFormat, kPayload, kCheckpoint };
enum CheckpointField { kLsn = 1 };
enum ResponseField { kAccepted = 1, kMessage };
enum WireType { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

void AppendBytes(int field, std::string_view bytes, std::string* out) {
  AppendVarint(static_cast<uint64_t>(field) << 3 | kLength, out);
  AppendVarint(bytes.size(), out);
  out->append(bytes);
}

bool TakeVarint(std::string_view* in, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 64 && !in->empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in->front());
    in->remove_prefix(1);
    *value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool TakeBytes(std::string_view* in, uint64_t length, std::string_view* bytes) {
  if (length > in->size()) return false;
  *bytes = in->substr(0, length);
  in->remove_prefix(length);
  return true;
}

}  // namespace

std::string EncodeIngestRequest(std::string_view flow_id, std::string_view destination, const PushRequest& request) {
  std::string out, checkpoint;
  out.reserve(request.payload.size() + flow_id.size() + destination.size() + 64);
  AppendBytes(kFlowId, flow_id, &out);
  AppendBytes(kDestination, destination, &out);
  AppendVarint(kWireFormat << 3 | kVarint, &out);
  AppendVarint(static_cast<uint64_t>(request.format), &out);
  AppendBytes(kPayload, request.payload, &out);
  AppendBytes(kLsn, request.last.commit.ToString(), &checkpoint);
  AppendBytes(kCheckpoint, checkpoint, &out);
  return out;
}

std::optional<IngestResponse> DecodeIngestResponse(std::string_view bytes) {
  IngestResponse response;
  while (!bytes.empty()) {
    uint64_t tag = 0, number = 0;
    std::string_view text;
    if (!TakeVarint(&bytes, &tag)) return std::nullopt;
    switch (tag & 7) {
      case kVarint:
        if (!TakeVarint(&bytes, &number)) return std::nullopt;
        break;
      case kFixed64:
        if (!TakeBytes(&bytes, 8, &text)) return std::nullopt;
        break;
      case kLength:
        if (!TakeVarint(&bytes, &number) || !TakeBytes(&bytes, number, &text)) return std::nullopt;
        break;
      case kFixed32:
        if (!TakeBytes(&bytes, 4, &text)) return std::nullopt;
        break;
      default:
        return std::nullopt;
    }
    if (tag == (kAccepted << 3 | kVarint)) response.accepted = number != 0;
    if (tag == (kMessage << 3 | kLength)) response.message = std::string(text);
  }
  return response;
}

}  // namespace wallaby
