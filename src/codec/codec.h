// Codec: committed changes as bytes for what is no database: messages, requests, objects. docs/codecs.md has every
// field of every format.
//
// One object per destination, used by one thread; it keeps its buffers between calls. Two shapes:
//   batch   one payload for all changes of a slice, in the format's own file form (JSON lines, an Avro object container
//           file, a Batch message, an Arrow IPC stream, a Parquet file);
//   record  one payload for each change, with its key.
// Every record carries its position (commit LSN and ordinal), in either shape.
//
// An update that gave the row another key is two records of one position, in this order: a delete with the old key and
// an update with the new one. So (position, operation) names a record of the stream for ever: it is the idempotency
// key. Rows of a snapshot have no place in that order: their ordinals count within a part of one table's copy, and the
// key names the row.
#ifndef WALLABY_CODEC_CODEC_H_
#define WALLABY_CODEC_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/wire_format.h"
#include "change/change_batch.h"
#include "codec/schema_registry.h"

namespace wallaby {

// Changes [begin, end) of a batch that belong to one relation; those of other relations between them are passed over.
struct BatchSlice {
  const ChangeBatch& batch;
  uint32_t relation = 0;  // index into batch.relations()
  size_t begin = 0;
  size_t end = 0;  // not beyond batch.changes().size()
};

// What a destination says beside a payload: in headers, in names of objects.
struct PayloadSchema {
  std::string name;     // of the table
  std::string space;    // its schema
  int64_t version = 0;  // Relation::version
  // The schema that a reader of the payloads needs, where the format has one: Avro's in JSON, a .proto file.
  std::string text;
  // Where it stands in the registry; empty and 0 without one.
  std::string registry_subject;
  std::string registry_id;
  int registry_version = 0;
};

// One change as bytes; valid until the sink returns.
struct EncodedRecord {
  ChangeKind kind = ChangeKind::kInsert;  // kDelete for the first half of an update that changed the key
  Position position;
  const Transaction* transaction = nullptr;
  bool has_key = false;  // false: a table without a key, or a truncate
  // Avro's key is Avro, every other format's a JSON object.
  std::string_view key;
  std::string_view value;
  // Debezium: there is no value; a compacted topic may forget the key. Follows the key's delete.
  bool tombstone = false;
};
using RecordSink = absl::FunctionRef<absl::Status(const EncodedRecord&)>;

class Codec {
 public:
  virtual ~Codec() = default;

  virtual WireFormat format() const = 0;
  // Of the batch shape, with and without the dot: "application/x-ndjson", "jsonl".
  virtual std::string_view content_type() const = 0;
  virtual std::string_view file_extension() const = 0;
  // Of the record shape: "application/json". Empty: the format has no record shape, and EncodeRecords() refuses.
  virtual std::string_view record_content_type() const = 0;

  // Makes ready for rows of this relation: a schema for it, which is registered where there is a registry. Does I/O
  // once for each relation; the encoding calls below do it by themselves. FAILED_PRECONDITION: the registry refuses the
  // schema, with its reason; INVALID_ARGUMENT: the format cannot carry the table.
  virtual absl::StatusOr<PayloadSchema> Describe(const RelationPtr& relation) = 0;

  // Appends one payload to `out`. INVALID_ARGUMENT or OUT_OF_RANGE names table, column and value when a value does not
  // fit the format; `out` is then as before. Without changes of the relation in the slice, appends nothing.
  virtual absl::Status EncodeBatch(const BatchSlice& slice, std::string* out) = 0;

  // A batch payload in pieces, for a file that outgrows memory: the head once, then a part for each slice, all of one
  // relation. Together they are one payload. UNIMPLEMENTED where the format has no such form (all but json and avro).
  virtual absl::Status AppendHead(const RelationPtr& /*relation*/, std::string* /*out*/) { return absl::OkStatus(); }
  virtual absl::Status AppendPart(const BatchSlice& /*slice*/, std::string* /*out*/) {
    return absl::UnimplementedError("this format's payloads cannot be written in parts");
  }

  // Calls `sink` for each record in order, and stops at its first error. What was handed over before stays so.
  virtual absl::Status EncodeRecords(const BatchSlice& slice, RecordSink sink) = 0;
};

enum class JsonEnvelope { kWallaby, kDebezium };

struct CodecOptions {
  WireFormat format = WireFormat::kJson;

  JsonEnvelope json_envelope = JsonEnvelope::kWallaby;
  // Debezium: every message carries its schema, as Kafka Connect's converter does with schemas.enable=true.
  bool json_schemas = false;
  // Debezium: what stands in source.name and in the names of schemas (topic.prefix there), and in source.db.
  std::string source_name = "wallaby";
  std::string database;

  // none, snappy, gzip, zstd or lz4; for Parquet.
  std::string compression = "zstd";

  // After type_mappings; empty: the column's own type.
  std::function<PgType(const Relation&, const Column&)> type_of;
  // The topic, stream or path that the relation's records go to: the registry's subjects are made of it. Empty:
  // "schema.table".
  std::function<std::string(const Relation&)> topic_of;

  // For avro and proto; null: none.
  std::shared_ptr<SchemaRegistry> registry;
  SubjectNames subjects;
};

// INVALID_ARGUMENT for options that do not go together. The columnar formats are a module (docs/codecs.md), which is
// loaded here: NOT_FOUND says how to get it.
absl::StatusOr<std::unique_ptr<Codec>> MakeCodec(CodecOptions options);

// "insert", "update", "delete", "truncate", "snapshot": a record's operation, the same in every format.
std::string_view OperationName(ChangeKind kind);

}  // namespace wallaby

#endif  // WALLABY_CODEC_CODEC_H_
