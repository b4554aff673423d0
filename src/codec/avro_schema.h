// AvroSchema: the Avro schemas of a relation's records and keys.
//
// Source: Apache Avro 1.11 specification: names, logical types, "Parsing Canonical Form for Schemas", "Schema
// Fingerprints".
#ifndef WALLABY_CODEC_AVRO_SCHEMA_H_
#define WALLABY_CODEC_AVRO_SCHEMA_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "change/relation.h"
#include "codec/codec.h"

namespace wallaby {

struct AvroSchema {
  std::string full_name;     // "shop.orders.Record"
  std::string text;          // JSON
  uint64_t fingerprint = 0;  // CRC-64-AVRO of the canonical form
};

struct AvroSchemas {
  AvroSchema record;
  AvroSchema key;  // empty for a table without a key
};
// `types` are those of the columns after type_mappings.
AvroSchemas MakeAvroSchemas(const Relation& relation, const std::vector<PgType>& types);

// A name as Avro allows it: letters, digits and underscores, no digit first; "_" stands for all else.
std::string AvroName(std::string_view name);

// CRC-64-AVRO.
uint64_t AvroFingerprint(std::string_view canonical);

}  // namespace wallaby

#endif  // WALLABY_CODEC_AVRO_SCHEMA_H_
