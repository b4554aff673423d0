// Writes what a codec makes of the rows of a table of a real PostgreSQL, for test_codec.py to read with the clients
// that people use. Rows in text and in binary form must give the same bytes.
//
//   write_payloads DSN SCHEMA.TABLE FORMAT OUT [NAME=VALUE]...
//
// Rows come in order of column id, which is the key. After the inserts: an update of the first row whose column `big`,
// if there is one, is unchanged and absent; a delete of the second row by its key. Writes OUT/batch, OUT/records (JSON
// lines with hexadecimal payloads) and OUT/schema.json. Names: registry, url, registry_dsn, version, envelope, schemas.
#include <libpq-fe.h>

#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/freer.h"
#include "base/status.h"
#include "codec/codec.h"
#include "codec/schema_registry.h"
#include "postgres/connection.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;
using Result = std::unique_ptr<PGresult, Freer<PQclear>>;

std::string HexOf(std::string_view bytes) {
  return std::string(absl::BytesToHexString(bytes));
}

struct Source {
  RelationPtr relation;
  Result text, binary;
};

absl::StatusOr<Source> ReadTable(const std::string& dsn, const std::string& table, int64_t version) {
  ASSIGN_OR_RETURN(const auto connection, PgConnection::Connect(dsn));
  const std::string query = absl::StrCat("SELECT * FROM ", table, " ORDER BY id");
  Source source;
  for (const int format : {0, 1}) {
    Result& result = format == 0 ? source.text : source.binary;
    result.reset(PQexecParams(connection->raw(), query.c_str(), 0, nullptr, nullptr, nullptr, nullptr, format));
    if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) return StatusFromResult(result.get(), query);
  }
  auto relation = std::make_shared<Relation>();
  relation->version = version;
  relation->schema = table.substr(0, table.find('.'));
  relation->name = table.substr(table.find('.') + 1);
  relation->key = {0};
  for (int i = 0; i < PQnfields(source.text.get()); ++i) {
    const PgType type = BuiltinType(PQftype(source.text.get(), i), PQfmod(source.text.get(), i));
    relation->columns.push_back({PQfname(source.text.get(), i), type, i == 0});
  }
  source.relation = relation;
  return source;
}

enum class Kind { kWhole, kKey, kBigAbsent };

std::string RowOf(const Source& source, int row, bool binary, Kind kind) {
  std::string tuple;
  const auto& columns = source.relation->columns;
  TupleBuilder builder(&tuple, static_cast<int>(columns.size()));
  for (int i = 0; i < static_cast<int>(columns.size()); ++i) {
    const bool in_binary = binary && columns[static_cast<size_t>(i)].type.binary;
    PGresult* from = in_binary ? source.binary.get() : source.text.get();
    const std::string_view value(PQgetvalue(from, row, i), static_cast<size_t>(PQgetlength(from, row, i)));
    if (PQgetisnull(from, row, i) || (kind == Kind::kKey && i > 0)) {
      builder.Null();
    } else if (kind == Kind::kBigAbsent && columns[static_cast<size_t>(i)].name == "big") {
      builder.Unchanged();
    } else if (in_binary) {
      builder.Binary(value);
    } else {
      builder.Text(value);
    }
  }
  return tuple;
}

ChangeBatch BatchOf(const Source& source, bool binary) {
  ChangeBatch batch;
  batch.AddTransaction({Lsn{0x16B3748}, Lsn{0x16B3778}, 1'714'566'896'789'012, 700});
  batch.AddRelation(source.relation);
  const auto add = [&](ChangeKind kind) -> Change& {
    Change& change = batch.AddChange();
    change.kind = kind;
    change.seq = static_cast<uint32_t>(batch.changes().size() - 1);
    return change;
  };
  const int rows = PQntuples(source.text.get());
  for (int i = 0; i < rows; ++i)
    add(ChangeKind::kInsert).new_row = batch.AddRow(RowOf(source, i, binary, Kind::kWhole));
  if (rows > 0) add(ChangeKind::kUpdate).new_row = batch.AddRow(RowOf(source, 0, binary, Kind::kBigAbsent));
  if (rows > 1) {
    Change& change = add(ChangeKind::kDelete);
    change.old_is_key = true;
    change.old_row = batch.AddRow(RowOf(source, 1, binary, Kind::kKey));
  }
  return batch;
}

struct Payloads {
  std::string batch, records;
};

absl::StatusOr<Payloads> Encode(Codec& codec, const ChangeBatch& batch) {
  const BatchSlice slice{batch, 0, 0, batch.changes().size()};
  Payloads out;
  RETURN_IF_ERROR(codec.EncodeBatch(slice, &out.batch));
  if (codec.record_content_type().empty()) return out;
  RETURN_IF_ERROR(codec.EncodeRecords(slice, [&](const EncodedRecord& record) {
    const Json line = {{"operation", OperationName(record.kind)},
                       {"lsn", record.position.commit.value},
                       {"seq", record.position.seq},
                       {"has_key", record.has_key},
                       {"key", HexOf(record.key)},
                       {"value", HexOf(record.value)},
                       {"tombstone", record.tombstone}};
    out.records += line.dump() + "\n";
    return absl::OkStatus();
  }));
  return out;
}

absl::Status Run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 4) return absl::InvalidArgumentError("DSN SCHEMA.TABLE FORMAT OUT [NAME=VALUE]...");
  std::map<std::string, std::string> named;
  for (size_t i = 4; i < arguments.size(); ++i) {
    const size_t equals = arguments[i].find('=');
    named[arguments[i].substr(0, equals)] = arguments[i].substr(equals + 1);
  }
  int64_t version = 1;
  if (named.contains("version") && !absl::SimpleAtoi(named["version"], &version)) {
    return absl::InvalidArgumentError("version");
  }
  CodecOptions options;
  const auto format = ParseWireFormat(arguments[2]);
  if (!format) return absl::InvalidArgumentError(kWireFormatsAllowed);
  options.format = *format;
  if (named["envelope"] == "debezium") options.json_envelope = JsonEnvelope::kDebezium;
  options.json_schemas = named["schemas"] == "true";
  if (named.contains("registry")) {
    ASSIGN_OR_RETURN(options.registry, MakeSchemaRegistry({.kind = named["registry"],
                                                           .url = named["url"],
                                                           .username = named["username"],
                                                           .password = named["password"],
                                                           .dsn = named["registry_dsn"]}));
  }
  ASSIGN_OR_RETURN(const auto codec, MakeCodec(std::move(options)));
  ASSIGN_OR_RETURN(const Source source, ReadTable(arguments[0], arguments[1], version));
  ASSIGN_OR_RETURN(const PayloadSchema schema, codec->Describe(source.relation));
  ASSIGN_OR_RETURN(const Payloads text, Encode(*codec, BatchOf(source, false)));
  ASSIGN_OR_RETURN(const Payloads binary, Encode(*codec, BatchOf(source, true)));
  if (named["envelope"] != "debezium" && (text.batch != binary.batch || text.records != binary.records)) {
    return absl::InternalError("rows in text and in binary form give different payloads");
  }
  const std::string& out = arguments[3];
  std::ofstream(out + "/batch", std::ios::binary) << text.batch;
  std::ofstream(out + "/records", std::ios::binary) << text.records;
  std::ofstream(out + "/schema.json") << Json{
      {"name", schema.name},
      {"space", schema.space},
      {"version", schema.version},
      {"text", schema.text},
      {"subject", schema.registry_subject},
      {"id", schema.registry_id},
      {"registry_version",
       schema.registry_version}}.dump();
  return absl::OkStatus();
}

}  // namespace
}  // namespace wallaby

int main(int argc, char** argv) {
  const absl::Status status = wallaby::Run({argv + 1, argv + argc});
  if (status.ok()) return 0;
  std::cerr << status << "\n";
  return 1;
}
