#include "destination/options.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/units.h"
#include "base/wire_format.h"
#include "destination/azure/azure_options.h"
#include "destination/files/file_format.h"
#include "destination/gcs/gcs_options.h"
#include "destination/kafka/kafka_options.h"
#include "destination/objects/object_options.h"
#include "destination/option_reader.h"
#include "destination/push_options.h"
#include "destination/s3/bucket_options.h"
#include "mapping/mapped_type.h"

namespace wallaby {
namespace {

// ---- checks of single options ----

// Knows what of the contract this build does not carry out.
class Reader : public SpecReader {
 public:
  using SpecReader::SpecReader;

  // A choice of the contract whose other values this build does not carry out.
  absl::Status OnlyDefault(std::string_view name, std::string_view only,
                           std::initializer_list<std::string_view> others) const {
    const std::string* value = Find(name);
    if (value == nullptr || *value == only) return absl::OkStatus();
    if (std::find(others.begin(), others.end(), *value) == others.end()) return Refusal(name);
    return NotYet(name);
  }

  absl::Status OnlyBool(std::string_view name, bool only) const {
    const std::string* value = Find(name);
    if (value == nullptr) return absl::OkStatus();
    auto parsed = ParseBool(*value);
    if (!parsed.ok()) return Refusal(name);
    return *parsed == only ? absl::OkStatus() : NotYet(name);
  }

  absl::Status IfPresentNotYet(std::string_view name) const { return Find(name) ? NotYet(name) : absl::OkStatus(); }

  absl::Status IfPresentBool(std::string_view name) const {
    const std::string* value = Find(name);
    return value == nullptr || ParseBool(*value).ok() ? absl::OkStatus() : Refusal(name);
  }

 private:
  absl::Status NotYet(std::string_view name) const {
    return absl::UnimplementedError(
        absl::StrCat(Title(name), ": '", *Find(name), "' is not implemented yet; allowed: ", Spec(name)->allowed));
  }
};

absl::Status CheckNames(std::string_view type, const DestinationConfig& config, std::span<const OptionSpec> specs) {
  const Reader reader(config, specs);
  for (const auto& [name, value] : config.options) {
    if (reader.Spec(name) != nullptr) continue;
    std::vector<std::string_view> known;
    for (const OptionSpec& spec : specs) known.push_back(spec.name);
    return absl::InvalidArgumentError(
        absl::StrCat(reader.Title(name), " does not exist for type ", type, "; allowed: ", absl::StrJoin(known, ", ")));
  }
  for (const OptionSpec& spec : specs) {
    if (!spec.required || reader.Find(spec.name)) continue;
    return absl::InvalidArgumentError(absl::StrCat(reader.Title(spec.name), " is missing; it must be ", spec.allowed));
  }
  return absl::OkStatus();
}

absl::Status CheckShared(const Reader& reader) {
  RETURN_IF_ERROR(reader.OnlyDefault("batch_mode", "target", {"staging"}));
  RETURN_IF_ERROR(reader.OnlyDefault("batch_resolution", "none", {"append", "replace"}));
  RETURN_IF_ERROR(reader.IfPresentBool("soft_delete"));
  RETURN_IF_ERROR(reader.OnlyBool("meta_table_enabled", true));
  for (std::string_view name : {"staging_schema", "staging_table", "staging_suffix"}) {
    RETURN_IF_ERROR(reader.IfPresentNotYet(name));
  }
  if (const std::string* format = reader.Find("format"); format && !ParseWireFormat(*format))
    return reader.Refusal("format");
  return absl::OkStatus();
}

// A table that mirrors the source's needs its rows.
absl::Status CheckSnapshot(std::string_view type, const Reader& reader) {
  const std::string* snapshot = reader.Find("snapshot");
  if (snapshot == nullptr || *snapshot == "initial") return absl::OkStatus();
  if (*snapshot != "never") return reader.Refusal("snapshot");
  const bool keeps_tables = type == "duckdb" || type == "postgres";
  if (!keeps_tables || reader.Text("write_mode") == "append") return absl::OkStatus();
  return reader.Refusal("snapshot", "in write_mode target changes are made to rows that would not be there");
}

absl::Status CheckDuckdb(const Reader& reader) {
  const std::string* dsn = reader.Find("dsn");
  if (dsn->starts_with(":memory:")) {
    return reader.Refusal("dsn", "a database in memory would not outlive the worker");
  }
  if (const std::string* limit = reader.Find("memory_limit")) {
    auto bytes = ParseBytes(*limit);
    if (!bytes.ok() || *bytes < (128 << 20)) return reader.Refusal("memory_limit");
  }
  if (const std::string* threads = reader.Find("threads")) {
    int count = 0;
    if (!absl::SimpleAtoi(*threads, &count) || count < 1 || count > 256) return reader.Refusal("threads");
  }
  return reader.IfPresentBool("release_file");
}

// Of parquet and s3.
absl::Status CheckFolderOrBucket(const DestinationConfig& config) {
  const OptionReader reader(config);
  const std::string* path = reader.Find("path");
  if (path == nullptr && reader.Find("bucket") == nullptr) {
    return reader.Wrong("path", "is missing; give path or bucket");
  }
  if (path == nullptr) return ParseBucketOptions(reader).status();
  if (reader.Find("bucket") != nullptr) return reader.Wrong("bucket", "path is set too; give one of them");
  if (path->find("://") != std::string::npos) {
    return reader.Wrong("path", "it is a local folder; for an object store give bucket and prefix");
  }
  for (const char* name : kBucketOptionNames) {
    if (reader.Find(name) != nullptr) return reader.Wrong(name, "it goes with bucket, and path is given");
  }
  return absl::OkStatus();
}

absl::Status CheckFiles(std::string_view type, const DestinationConfig& config) {
  RETURN_IF_ERROR(type == "azure" ? ParseAzureOptions(config).status()
                  : type == "gcs" ? ParseGcsOptions(config).status()
                                  : CheckFolderOrBucket(config));
  const OptionReader reader(config);
  if (type == "azure" || type == "gcs") RETURN_IF_ERROR(ParseKeyPrefix(reader, "prefix").status());
  if (const std::string* mode = reader.Find("write_mode"); mode != nullptr && *mode != "append") {
    return reader.Wrong(
        "write_mode",
        absl::StrCat("got '", *mode,
                     "'; allowed: append. Files are never changed, so a folder of them holds the history of "
                     "a table; a view over it shows the current rows (docs/destinations/parquet.md)"));
  }
  return ParseFileFormat(type, config).status();
}

bool IsStreamName(std::string_view text) {
  const auto allowed = [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-'; };
  return text.size() <= 63 && absl::ascii_isalnum(text[0]) && std::all_of(text.begin(), text.end(), allowed);
}

absl::Status CheckPgstream(const Reader& reader, const DestinationConfig& config) {
  if (!IsStreamName(*reader.Find("stream"))) return reader.Refusal("stream");
  if (const std::string* age = reader.Find("retention")) {
    const auto parsed = ParseDuration(*age);
    if (!parsed.ok() || *parsed < absl::Minutes(1)) return reader.Refusal("retention");
  }
  if (const std::string* size = reader.Find("retention_bytes")) {
    const auto parsed = ParseBytes(*size);
    if (!parsed.ok() || *parsed < (1 << 20)) return reader.Refusal("retention_bytes");
  }
  if (const std::string* count = reader.Find("retention_messages")) {
    int64_t parsed = 0;
    if (!absl::SimpleAtoi(*count, &parsed) || parsed < 1000) return reader.Refusal("retention_messages");
  }
  const std::string* unread = reader.Find("retention_unread");
  if (unread && *unread != "keep" && *unread != "drop") return reader.Refusal("retention_unread");
  ASSIGN_OR_RETURN(const CodecConfig codec, ParsePayloadOptions(config));
  if (codec.codec.format != WireFormat::kParquet) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(reader.Title("format"),
                   ": parquet is a format of whole files, and a stream's messages are single records; allowed: json, "
                   "avro, proto or arrow"));
}

absl::Status CheckOwn(std::string_view type, const Reader& reader, const DestinationConfig& config) {
  if (type == "pgstream") return CheckPgstream(reader, config);
  if (type == "duckdb") return CheckDuckdb(reader);
  if (WritesFiles(type)) return CheckFiles(type, config);
  if (type == "http") return ParseHttpOptions(config).status();
  if (type == "grpc") return ParseGrpcOptions(config).status();
  if (type == "kafka" || type == "bufstream") return ParseKafkaOptions(type, config).status();
  return absl::OkStatus();
}

// ---- type mappings ----

using Mappings = std::map<std::string, std::string>;

// The parts between commas, but for those within the parentheses of numeric(12,2).
std::vector<std::string_view> SplitList(std::string_view list) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  int open = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '(') ++open;
    if (list[i] == ')' && open > 0) --open;
    if (list[i] != ',' || open > 0) continue;
    parts.push_back(list.substr(begin, i - begin));
    begin = i + 1;
  }
  parts.push_back(list.substr(begin));
  return parts;
}

// One "name=type". The last '=' counts, as names may hold others.
absl::Status AddMapping(std::string_view entry, const std::string& title, Mappings* out) {
  entry = absl::StripAsciiWhitespace(entry);
  if (entry.empty() || entry.starts_with("#")) return absl::OkStatus();
  const size_t equals = entry.rfind('=');
  const std::string_view from = equals == entry.npos ? "" : absl::StripAsciiWhitespace(entry.substr(0, equals));
  const std::string_view to = equals == entry.npos ? "" : absl::StripAsciiWhitespace(entry.substr(equals + 1));
  const auto type = ParseMappedType(to);
  if (from.empty() || !type.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        title, ": ", from.empty() ? absl::StrCat("got '", entry, "'") : std::string(type.status().message()),
        "; write a source type or schema.table.column, then =text, or another type"));
  }
  out->insert_or_assign(std::string(from), absl::AsciiStrToLower(to));
  return absl::OkStatus();
}

absl::StatusOr<Mappings> ReadMappings(const Reader& reader) {
  Mappings result;
  if (const std::string* path = reader.Find("type_mappings_file")) {
    std::ifstream file(*path);
    if (!file) return reader.Refusal("type_mappings_file", "the file cannot be read");
    int number = 0;
    for (std::string line; std::getline(file, line);) {
      const std::string title = absl::StrCat(reader.Title("type_mappings_file"), ", ", *path, " line ", ++number);
      RETURN_IF_ERROR(AddMapping(line, title, &result));
    }
  }
  if (const std::string* list = reader.Find("type_mappings")) {
    for (std::string_view entry : SplitList(*list)) {
      RETURN_IF_ERROR(AddMapping(entry, reader.Title("type_mappings"), &result));
    }
  }
  return result;
}

// "numeric(10,2)" -> "numeric".
std::string_view WithoutModifier(std::string_view type) {
  return absl::StripAsciiWhitespace(type.substr(0, type.find('(')));
}

}  // namespace

std::string_view TableOptions::MappedTypeName(const Relation& relation, const Column& column) const {
  if (type_mappings.empty()) return "";
  const PgType& type = column.type;
  const std::string names[] = {absl::StrCat(relation.QualifiedName(), ".", column.name), type.source_name,
                               type.sql_name, std::string(WithoutModifier(type.source_name)),
                               std::string(WithoutModifier(type.sql_name))};
  for (const std::string& name : names) {
    if (const auto found = type_mappings.find(name); found != type_mappings.end()) return found->second;
  }
  return "";
}

PgType TableOptions::MappedType(const Relation& relation, const Column& column) const {
  if (MappedTypeName(relation, column) != "text") return column.type;
  PgType text = column.type;  // the OID stays: it tells how to read the binary form
  text.logical = LogicalType::kText;
  text.precision = text.scale = 0;
  text.sql_name = "text";
  return text;
}

absl::StatusOr<CodecConfig> ParsePayloadOptions(const DestinationConfig& config) {
  const WireFormat otherwise = config.wire_format == WireFormat::kUnspecified ? WireFormat::kJson : config.wire_format;
  return ParseCodecOptions(config.options, otherwise, absl::StrCat(" of destination '", config.name, "'"));
}

absl::StatusOr<TableOptions> ParseTableOptions(std::string_view type, const DestinationConfig& config) {
  ASSIGN_OR_RETURN(std::span<const OptionSpec> specs, DestinationOptions(type));
  RETURN_IF_ERROR(CheckNames(type, config, specs));
  const Reader reader(config, specs);
  RETURN_IF_ERROR(CheckShared(reader));
  RETURN_IF_ERROR(CheckSnapshot(type, reader));
  RETURN_IF_ERROR(CheckOwn(type, reader, config));
  if (SendsPayloads(type)) {
    DestinationConfig payloads = config;
    // Files are for readers of tables, whatever form the flow's messages have.
    if (WritesFiles(type)) payloads.wire_format = WireFormat::kParquet;
    RETURN_IF_ERROR(ParsePayloadOptions(payloads).status());
  }

  TableOptions result;
  if (const std::string* mode = reader.Find("write_mode")) {
    if (*mode != "target" && *mode != "append") return reader.Refusal("write_mode");
    result.write_mode = *mode == "append" ? WriteMode::kAppend : WriteMode::kTarget;
  }
  auto text = [&](std::string_view name, std::string_view otherwise) {
    const std::string* value = reader.Find(name);
    return value ? *value : std::string(otherwise);
  };
  result.schema = text("schema", "");
  result.table = text("table", "");
  result.meta_schema = text("meta_schema", "wallaby");
  result.meta_table = text("meta_table", "progress");
  ASSIGN_OR_RETURN(result.type_mappings, ReadMappings(reader));
  if (const std::string* soft = reader.Find("soft_delete")) result.soft_delete = ParseBool(*soft).value_or(false);
  return result;
}

}  // namespace wallaby
