// The table options that all destinations share, parsed and checked once.
#ifndef WALLABY_DESTINATION_OPTIONS_H_
#define WALLABY_DESTINATION_OPTIONS_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "change/relation.h"
#include "codec/codec_options.h"
#include "destination/destination.h"
#include "destination/option_specs.h"

namespace wallaby {

struct TableOptions {
  WriteMode write_mode = WriteMode::kTarget;
  std::string schema;       // put all tables here instead of the source's schema; empty: as at the source
  std::string table;        // the one table to write to; only for flows of one table; empty: as at the source
  std::string meta_schema;  // where progress is kept; default "wallaby"
  std::string meta_table;   // default "progress"
  // Overrides by "schema.table.column" or by source type name: a type of mapping/mapped_type.h. A destination by itself
  // knows text; the others are the mapping layer's (mapped_destination.h).
  std::map<std::string, std::string> type_mappings;
  bool soft_delete = false;  // the mapping layer's too

  std::string TargetSchema(const Relation& relation) const { return schema.empty() ? relation.schema : schema; }
  std::string TargetTable(const Relation& relation) const { return table.empty() ? relation.name : table; }
  // What type_mappings say of the column; "" for nothing.
  std::string_view MappedTypeName(const Relation& relation, const Column& column) const;
  // The column's type after type_mappings to text.
  PgType MappedType(const Relation& relation, const Column& column) const;
};

// What a type that SendsPayloads() is told about its codec: the format is the option `format`, else the flow's
// wire_format, else json. Part of ParseTableOptions().
absl::StatusOr<CodecConfig> ParsePayloadOptions(const DestinationConfig& config);

// Refuses unknown options, values out of range and missing required ones: "option write_mode of destination 'x': got
// 'merge'; allowed: target or append".
absl::StatusOr<TableOptions> ParseTableOptions(std::string_view type, const DestinationConfig& config);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_OPTIONS_H_
