#include <utility>

#include "absl/strings/str_cat.h"
#include "base/module.h"
#include "base/status.h"
#include "codec/avro_codec.h"
#include "codec/codec.h"
#include "codec/columnar_codec.h"
#include "codec/debezium_codec.h"
#include "codec/json_codec.h"
#include "codec/proto_codec.h"

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

namespace {

absl::StatusOr<std::unique_ptr<Codec>> MakeFromModule(const CodecOptions& options) {
  ASSIGN_OR_RETURN(void* symbol,
                   LoadModuleSymbol("columnar.so", "wallaby_make_codec",
                                    absl::StrCat("format ", WireFormatText(options.format)), "WALLABY_WITH_PARQUET"));
  std::unique_ptr<Codec> codec;
  RETURN_IF_ERROR(reinterpret_cast<MakeCodecFn>(symbol)(options, &codec));
  return codec;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Codec>> MakeCodec(CodecOptions options) {
  const WireFormat format = options.format;
  if (options.registry != nullptr && format != WireFormat::kAvro && format != WireFormat::kProto) {
    return absl::InvalidArgumentError(
        absl::StrCat("format ", WireFormatText(format),
                     " has no use for a schema registry: its payloads say by themselves "
                     "how they are read; leave schema_registry out, or use avro or proto"));
  }
  switch (format) {
    case WireFormat::kJson:
      return options.json_envelope == JsonEnvelope::kDebezium ? MakeDebeziumCodec(std::move(options))
                                                              : MakeJsonCodec(std::move(options));
    case WireFormat::kAvro:
      return MakeAvroCodec(std::move(options));
    case WireFormat::kProto:
      return MakeProtoCodec(std::move(options));
    case WireFormat::kArrow:
    case WireFormat::kParquet:
      return MakeFromModule(options);
    case WireFormat::kUnspecified:
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat("format is missing; it must be ", kWireFormatsAllowed));
}

}  // namespace wallaby
