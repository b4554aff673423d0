#include "destination/option_specs.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/wire_format.h"
#include "codec/codec_options.h"

namespace wallaby {
namespace {

// ---- groups of options ----

constexpr OptionSpec kShared[] = {
    {.name = "write_mode", .allowed = "target or append"},
    {.name = "schema", .allowed = "a schema name"},
    {.name = "table", .allowed = "a table name, for a flow of one table"},
    {.name = "batch_mode", .allowed = "target"},
    {.name = "batch_resolution", .allowed = "none"},
    {.name = "staging_schema", .allowed = "nothing: staging is a temporary table"},
    {.name = "staging_table", .allowed = "nothing: staging is a temporary table"},
    {.name = "staging_suffix", .allowed = "nothing: staging is a temporary table"},
    {.name = "meta_table_enabled", .allowed = "true"},
    {.name = "meta_schema", .allowed = "a schema name"},
    {.name = "meta_table", .allowed = "a table name"},
    {.name = "soft_delete", .allowed = "true or false"},
    {.name = "snapshot", .allowed = "initial or never"},
    {.name = "mapping", .allowed = "a mapping in YAML or JSON"},
    {.name = "mapping_file", .allowed = "a file with a mapping, which wallaby-admin reads"},
    {.name = "mask_secret", .allowed = "a secret of at least 16 characters", .secret = true},
    {.name = "type_mappings", .allowed = "a list like numeric=text,public.orders.total=numeric(12,2)"},
    {.name = "type_mappings_file", .allowed = "a file with a line like numeric=text for each type"},
    {.name = "format", .allowed = kWireFormatsAllowed},
};

// Of a destination that writes through a codec.
constexpr auto kCodec = [] {
  std::array<OptionSpec, std::size(kCodecOptionSpecs)> specs{};
  for (size_t i = 0; i < specs.size(); ++i) {
    const CodecOptionSpec& spec = kCodecOptionSpecs[i];
    specs[i] = {.name = spec.name, .allowed = spec.allowed, .secret = spec.secret};
  }
  return specs;
}();

constexpr OptionSpec kDuckdbOwn[] = {
    {.name = "dsn", .required = true, .allowed = "the path of a database file"},
    {.name = "memory_limit", .allowed = "a size of at least 128MiB, like 512MiB"},
    {.name = "threads", .allowed = "a number from 1 to 256"},
    {.name = "release_file", .allowed = "true or false"},
};

constexpr OptionSpec kPostgresOwn[] = {
    {.name = "dsn", .required = true, .allowed = "a PostgreSQL connection string"},
};

// Of parquet and s3.
constexpr OptionSpec kS3Own[] = {
    {.name = "path", .allowed = "a folder"},
    {.name = "bucket", .allowed = "a bucket name"},
    {.name = "region", .allowed = "a region name"},
    {.name = "access_key", .allowed = "an access key", .secret = true},
    {.name = "secret_key", .allowed = "a secret key", .secret = true},
    {.name = "session_token", .allowed = "a session token", .secret = true},
    {.name = "force_path_style", .allowed = "true or false"},
    {.name = "use_fips", .allowed = "true or false"},
    {.name = "use_dualstack", .allowed = "true or false"},
};

constexpr OptionSpec kAzureOwn[] = {
    {.name = "container", .required = true, .allowed = "a container's name"},
    {.name = "account", .allowed = "a storage account's name"},
    {.name = "account_key", .allowed = "a key of the account", .secret = true},
    {.name = "sas_token", .allowed = "a shared access signature", .secret = true},
    {.name = "connection_string", .allowed = "a connection string, as Azure shows it", .secret = true},
};

constexpr OptionSpec kGcsOwn[] = {
    {.name = "bucket", .required = true, .allowed = "a bucket name"},
    {.name = "credentials",
     .allowed = "the JSON of a service account's key, or a reference to its file",
     .secret = true},
};

// Of all that write files.
constexpr OptionSpec kFilesOwn[] = {
    {.name = "prefix", .allowed = "a key prefix"},
    {.name = "endpoint", .allowed = "a URL"},
    {.name = "tls_ca_file", .allowed = "a file of PEM certificates"},
    {.name = "compression", .allowed = "none, snappy, gzip, zstd or lz4"},
    {.name = "partition_by", .allowed = "col or col:day|hour|month|year, separated by commas"},
    {.name = "roll_interval", .allowed = "a duration up to 24h, like 10s"},
    {.name = "roll_bytes", .allowed = "a size like 128MiB"},
};

// Of kafka and bufstream.
constexpr OptionSpec kKafkaOwn[] = {
    {.name = "brokers", .required = true, .allowed = "a list like host:9092,other:9092"},
    {.name = "security_protocol", .allowed = "plaintext, ssl, sasl_plaintext or sasl_ssl"},
    {.name = "sasl_mechanism", .allowed = "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"},
    {.name = "sasl_username", .allowed = "a user"},
    {.name = "sasl_password", .allowed = "a password", .secret = true},
    {.name = "ssl_ca", .allowed = "a file of PEM certificates, or their text"},
    {.name = "ssl_certificate", .allowed = "a file of PEM certificates, or their text"},
    {.name = "ssl_key", .allowed = "a file with a PEM key, or its text", .secret = true},
    {.name = "ssl_key_password", .allowed = "a password", .secret = true},
    {.name = "topic", .allowed = "a topic name; {schema} and {table} in it stand for the table's"},
    {.name = "create_topics", .allowed = "true or false"},
    {.name = "topic_partitions", .allowed = "a number"},
    {.name = "topic_replication_factor", .allowed = "a number"},
    {.name = "topic_config", .allowed = "name=value of topics' settings, separated by commas"},
    {.name = "compression", .allowed = "none, gzip, snappy, lz4 or zstd"},
    {.name = "acks", .allowed = "all, leader or none"},
    {.name = "max_message_bytes", .allowed = "a size like 1MB"},
    {.name = "max_batch_bytes", .allowed = "a size like 1MB"},
    {.name = "max_record_bytes", .allowed = "a size like 1MB"},
    {.name = "oversize_policy", .allowed = "error, drop or claim_check"},
    {.name = "claim_check_bucket", .allowed = "a bucket name"},
    {.name = "claim_check_prefix", .allowed = "a key prefix"},
    {.name = "claim_check_region", .allowed = "a region name"},
    {.name = "claim_check_endpoint", .allowed = "a URL"},
    {.name = "claim_check_access_key", .allowed = "an access key", .secret = true},
    {.name = "claim_check_secret_key", .allowed = "a secret key", .secret = true},
    {.name = "claim_check_session_token", .allowed = "a session token", .secret = true},
    {.name = "claim_check_force_path_style", .allowed = "true or false"},
    {.name = "claim_check_use_fips", .allowed = "true or false"},
    {.name = "claim_check_use_dualstack", .allowed = "true or false"},
    {.name = "claim_check_tls_ca_file", .allowed = "a file of PEM certificates"},
    {.name = "message_mode", .allowed = "batch or record"},
    {.name = "key_mode", .allowed = "hash or raw"},
    {.name = "tombstones", .allowed = "true or false"},
    {.name = "transactional_id", .allowed = "a name"},
    {.name = "transaction_timeout", .allowed = "a duration like 1m"},
    {.name = "transaction_header", .allowed = "a header's name"},
    {.name = "client_config", .allowed = "name=value of librdkafka's properties, separated by commas", .secret = true},
};

// Of http and grpc.
constexpr OptionSpec kPushOwn[] = {
    {.name = "payload_mode", .allowed = "wire, record_json or wal"},
    {.name = "timeout", .allowed = "a duration from 1ms to 1h, like 10s"},
    {.name = "max_retries", .allowed = "a number from 0 to 1000"},
    {.name = "backoff_base", .allowed = "a duration from 1ms to 1h, like 200ms"},
    {.name = "backoff_max", .allowed = "a duration from 1ms to 1h, like 30s"},
    {.name = "backoff_factor", .allowed = "a number from 1 to 100"},
    {.name = "headers", .allowed = "Key:Value, separated by commas", .secret = true},
    {.name = "batch_records", .allowed = "a number from 1 to 1000000"},
    {.name = "batch_bytes", .allowed = "a size from 1KiB to 64MiB, like 1MiB"},
    {.name = "parallelism", .allowed = "a number from 1 to 64"},
    {.name = "dedupe_window", .allowed = "a duration like 1m; 0 turns it off"},
    {.name = "on_reject", .allowed = "fail or dead_letter"},
    {.name = "on_retry_exhaustion", .allowed = "retry or dead_letter"},
    {.name = "tls_ca_file", .allowed = "a file of PEM certificates"},
    {.name = "tls_cert_file", .allowed = "a file with a PEM certificate; tls_key_file goes with it"},
    {.name = "tls_key_file", .allowed = "a file with a PEM key; tls_cert_file goes with it"},
};

constexpr OptionSpec kHttpOwn[] = {
    {.name = "url", .required = true, .allowed = "an http or https URL"},
    {.name = "method", .allowed = "POST, PUT or PATCH"},
    {.name = "idempotency_header", .allowed = "a header's name"},
    {.name = "transaction_header", .allowed = "a header's name"},
    {.name = "signing_secret", .allowed = "whsec_ and base64; several are separated by blanks", .secret = true},
};

constexpr OptionSpec kGrpcOwn[] = {
    {.name = "endpoint", .required = true, .allowed = "host:port"},
    {.name = "insecure", .allowed = "true or false"},
    {.name = "tls_server_name", .allowed = "a host name"},
    {.name = "token", .allowed = "a bearer token", .secret = true},
    {.name = "max_message_bytes", .allowed = "a size from 1KiB to 1GiB, like 4MiB"},
    {.name = "flow_id", .allowed = "a flow's id"},
    {.name = "destination", .allowed = "a name"},
};

constexpr OptionSpec kPgstreamOwn[] = {
    {.name = "dsn", .allowed = "a PostgreSQL connection string"},
    {.name = "stream",
     .required = true,
     .allowed = "a stream's name: 1 to 63 letters, digits, '_', '.' and '-', beginning with a letter or digit"},
    {.name = "retention", .allowed = "a duration of at least 1m, like 7d"},
    {.name = "retention_bytes", .allowed = "a size of at least 1MiB, like 10GiB"},
    {.name = "retention_messages", .allowed = "a number of at least 1000"},
    {.name = "retention_unread", .allowed = "keep or drop"},
};

// ---- types ----

template <size_t... N>
constexpr auto Join(const OptionSpec (&... groups)[N]) {
  std::array<OptionSpec, (N + ...)> all{};
  auto next = all.begin();
  ((next = std::copy(std::begin(groups), std::end(groups), next)), ...);
  return all;
}
template <size_t N, size_t M>
constexpr auto Join(const std::array<OptionSpec, N>& first, const std::array<OptionSpec, M>& second) {
  std::array<OptionSpec, N + M> all{};
  std::copy(second.begin(), second.end(), std::copy(first.begin(), first.end(), all.begin()));
  return all;
}

constexpr auto kNull = Join(kShared);
constexpr auto kDuckdb = Join(kDuckdbOwn, kShared);
constexpr auto kPostgres = Join(kPostgresOwn, kShared);
constexpr auto kParquet = Join(kS3Own, kFilesOwn, kShared);
constexpr auto kS3 = Join(Join(kS3Own, kFilesOwn, kShared), kCodec);
constexpr auto kGcs = Join(Join(kGcsOwn, kFilesOwn, kShared), kCodec);
constexpr auto kAzure = Join(Join(kAzureOwn, kFilesOwn, kShared), kCodec);
constexpr auto kKafka = Join(Join(kKafkaOwn, kShared), kCodec);
constexpr auto kHttp = Join(Join(kHttpOwn, kPushOwn, kShared), kCodec);
constexpr auto kGrpc = Join(Join(kGrpcOwn, kPushOwn, kShared), kCodec);
constexpr auto kPgstream = Join(Join(kPgstreamOwn, kShared), kCodec);

struct Type {
  std::string_view name;
  std::span<const OptionSpec> options;  // empty: not built yet; refused in words, so that its flow file says why
};
constexpr Type kTypes[] = {
    {"duckdb", kDuckdb}, {"parquet", kParquet}, {"postgres", kPostgres}, {"null", kNull},
    {"ducklake", {}},    {"kafka", kKafka},     {"bufstream", kKafka},   {"s3", kS3},
    {"http", kHttp},     {"grpc", kGrpc},       {"pgstream", kPgstream}, {"clickhouse", {}},
    {"snowflake", {}},   {"snowpipe", {}},      {"iceberg", {}},         {"azure", kAzure},
    {"gcs", kGcs},
};

std::string BuiltTypes() {
  std::string names;
  for (const Type& type : kTypes) {
    if (!type.options.empty()) absl::StrAppend(&names, names.empty() ? "" : ", ", type.name);
  }
  return names;
}

}  // namespace

absl::StatusOr<std::span<const OptionSpec>> DestinationOptions(std::string_view type) {
  const Type* found = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Type& t) { return t.name == type; });
  if (found == std::end(kTypes)) {
    return absl::NotFoundError(
        absl::StrCat("there is no destination type '", type, "'; this build can write to: ", BuiltTypes()));
  }
  if (!found->options.empty()) return found->options;
  return absl::UnimplementedError(
      absl::StrCat("destination type '", type, "' is not implemented yet; this build can write to: ", BuiltTypes()));
}

bool SendsPayloads(std::string_view type) {
  const auto options = DestinationOptions(type);
  return options.ok() && std::any_of(options->begin(), options->end(),
                                     [](const OptionSpec& spec) { return spec.name == kCodecOptionSpecs[0].name; });
}

}  // namespace wallaby
