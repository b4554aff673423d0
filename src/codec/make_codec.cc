#include <utility>

#include "absl/strings/str_cat.h"
#include "codec/codec.h"
#include "codec/debezium_codec.h"
#include "codec/json_codec.h"

namespace wallaby {

std::string_view OperationName(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kInsert:
      return "insert";
    case ChangeKind::kUpdate:
      return "update";
    case ChangeKind::kDelete:
      return "delete";
    case ChangeKind::kTruncate:
      return "truncate";
    case ChangeKind::kRead:
      return "snapshot";
  }
  return "";
}

absl::StatusOr<std::unique_ptr<Codec>> MakeCodec(CodecOptions options) {
  switch (options.format) {
    case WireFormat::kJson:
      return options.json_envelope == JsonEnvelope::kDebezium ? MakeDebeziumCodec(std::move(options))
                                                              : MakeJsonCodec(std::move(options));
    default:
      return absl::UnimplementedError(
          absl::StrCat("format ", WireFormatText(options.format), " is not built yet; use json"));
  }
}

}  // namespace wallaby
