#include "codec/codec_options.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/units.h"
#include "codec/parquet_compression.h"

namespace wallaby {
namespace {

class Reader {
 public:
  Reader(const std::map<std::string, std::string>& options, std::string_view title)
      : options_(options), title_(title) {}

  // Null when the option is absent or empty.
  const std::string* Find(const std::string& name) const {
    const auto found = options_.find(name);
    return found == options_.end() || found->second.empty() ? nullptr : &found->second;
  }
  void Text(const std::string& name, std::string* out) const {
    if (const std::string* value = Find(name)) *out = *value;
  }
  absl::Status Bad(std::string_view name, std::string_view why) const {
    return absl::InvalidArgumentError(absl::StrCat("option ", name, title_, ": ", why));
  }
  absl::Status Got(std::string_view name, std::string_view value, std::string_view allowed) const {
    return Bad(name, absl::StrCat("got '", value, "'; allowed: ", allowed));
  }

 private:
  const std::map<std::string, std::string>& options_;
  std::string_view title_;
};

absl::Status ReadJson(const Reader& reader, CodecOptions* out) {
  for (const char* name : {"json_envelope", "json_schemas"}) {
    if (reader.Find(name) != nullptr && out->format != WireFormat::kJson) {
      return reader.Bad(name, absl::StrCat("it is for format json, and the format is ", WireFormatText(out->format)));
    }
  }
  if (const std::string* envelope = reader.Find("json_envelope")) {
    if (*envelope != "wallaby" && *envelope != "debezium") {
      return reader.Got("json_envelope", *envelope, "wallaby or debezium");
    }
    out->json_envelope = *envelope == "debezium" ? JsonEnvelope::kDebezium : JsonEnvelope::kWallaby;
  }
  if (const std::string* schemas = reader.Find("json_schemas")) {
    const auto value = ParseBool(*schemas);
    if (!value.ok()) return reader.Got("json_schemas", *schemas, "true or false");
    if (*value && out->json_envelope != JsonEnvelope::kDebezium) {
      return reader.Bad("json_schemas", "it goes with json_envelope debezium");
    }
    out->json_schemas = *value;
  }
  return absl::OkStatus();
}

absl::Status ReadSubjects(const Reader& reader, SubjectNames* out) {
  reader.Text("schema_registry_subject", &out->fixed);
  const std::string* mode = reader.Find("schema_registry_subject_mode");
  if (mode == nullptr) return absl::OkStatus();
  static constexpr std::pair<std::string_view, SubjectMode> kModes[] = {
      {"topic", SubjectMode::kTopic}, {"record", SubjectMode::kRecord}, {"topic_record", SubjectMode::kTopicRecord}};
  for (const auto& [name, value] : kModes) {
    if (*mode == name) return out->mode = value, absl::OkStatus();
  }
  return reader.Got("schema_registry_subject_mode", *mode, "topic, record or topic_record");
}

absl::Status ReadRegistry(const Reader& reader, CodecConfig* out) {
  RegistryOptions& registry = out->registry;
  reader.Text("schema_registry", &registry.kind);
  if (registry.kind == "none") {
    for (const CodecOptionSpec& spec : kCodecOptionSpecs) {
      if (spec.name.starts_with("schema_registry_") && reader.Find(std::string(spec.name)) != nullptr) {
        return reader.Bad(spec.name, "there is no schema_registry that it belongs to");
      }
    }
    return absl::OkStatus();
  }
  const WireFormat format = out->codec.format;
  if (format != WireFormat::kAvro && format != WireFormat::kProto) {
    return reader.Bad("schema_registry",
                      absl::StrCat("it is for the formats avro and proto, and the format is ", WireFormatText(format)));
  }
  reader.Text("schema_registry_url", &registry.url);
  reader.Text("schema_registry_username", &registry.username);
  reader.Text("schema_registry_password", &registry.password);
  reader.Text("schema_registry_token", &registry.token);
  reader.Text("schema_registry_dsn", &registry.dsn);
  if (const absl::Status status = CheckRegistryOptions(registry); !status.ok()) {
    return reader.Bad("schema_registry", status.message());
  }
  return ReadSubjects(reader, &out->codec.subjects);
}

}  // namespace

absl::StatusOr<CodecConfig> ParseCodecOptions(const std::map<std::string, std::string>& options,
                                              WireFormat default_format, std::string_view title) {
  const Reader reader(options, title);
  CodecConfig config;
  config.codec.format = default_format;
  if (const std::string* format = reader.Find("format")) {
    const auto value = ParseWireFormat(*format);
    if (!value) return reader.Got("format", *format, kWireFormatsAllowed);
    config.codec.format = *value;
  }
  RETURN_IF_ERROR(ReadJson(reader, &config.codec));
  if (config.codec.format == WireFormat::kParquet) {
    reader.Text("compression", &config.codec.compression);
    if (!ParseParquetCompression(config.codec.compression)) {
      return reader.Got("compression", config.codec.compression, kParquetCompressionsAllowed);
    }
  }
  RETURN_IF_ERROR(ReadRegistry(reader, &config));
  return config;
}

}  // namespace wallaby
