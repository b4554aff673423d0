#include "mapping/mapping.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/document.h"
#include "base/status.h"
#include "base/units.h"
#include "mapping/mapped_type.h"

namespace wallaby {
namespace {

using Json = nlohmann::json;

constexpr char kRedacted[] = "[redacted]";

struct MetadataName {
  std::string_view name;
  Metadata what;
};
constexpr MetadataName kMetadata[] = {{"op", Metadata::kOp},         {"lsn", Metadata::kLsn},
                                      {"seq", Metadata::kSeq},       {"commit_time", Metadata::kCommitTime},
                                      {"schema", Metadata::kSchema}, {"table", Metadata::kTable}};

// ---- patterns ----

bool FitsPattern(std::string_view name, std::string_view pattern) {
  size_t n = 0, p = 0;
  size_t retry_name = 0, retry_pattern = std::string_view::npos;
  while (n < name.size() || p < pattern.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      retry_pattern = ++p;
      retry_name = n;
    } else if (p < pattern.size() && n < name.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else {
      if (retry_pattern == std::string_view::npos || retry_name >= name.size()) return false;
      n = ++retry_name;
      p = retry_pattern;
    }
  }
  return true;
}

auto Weight(const TableRule& rule) {
  return std::count_if(rule.tables.begin(), rule.tables.end(), [](char c) { return c != '*' && c != '?'; });
}

// ---- the text ----

class Reader {
 public:
  explicit Reader(const Document& document) : document_(document) {}

  absl::StatusOr<Mapping> Read() {
    const Json& root = document_.root;
    RETURN_IF_ERROR(document_.CheckKeys(root, "", {"tables", "metadata", "soft_delete"}));
    Mapping mapping;
    if (root.contains("tables")) RETURN_IF_ERROR(ReadTables(root["tables"], &mapping.tables));
    if (root.contains("metadata")) RETURN_IF_ERROR(ReadMetadata(root["metadata"], &mapping.metadata));
    RETURN_IF_ERROR(ReadFlag(root, "", "soft_delete", &mapping.soft_delete));
    return mapping;
  }

 private:
  absl::Status ReadFlag(const Json& map, const std::string& path, const char* key, std::optional<bool>* out) const {
    if (!map.contains(key)) return absl::OkStatus();
    std::string text;
    RETURN_IF_ERROR(document_.ReadText(map, path, key, &text));
    const auto value = ParseBool(text);
    if (!value.ok())
      return document_.Error(JoinPath(path, key), absl::StrCat("got '", text, "'; allowed: true or false"));
    *out = *value;
    return absl::OkStatus();
  }

  absl::Status ReadDrop(const Json& map, const std::string& path, bool* out) const {
    std::optional<bool> drop;
    RETURN_IF_ERROR(ReadFlag(map, path, "drop", &drop));
    *out = drop.value_or(false);
    if (*out && map.size() > 1) return document_.Error(path, "drop stands alone: what is dropped needs no other rule");
    return absl::OkStatus();
  }

  absl::Status ReadTables(const Json& tables, std::vector<TableRule>* out) const {
    if (!tables.is_object()) return document_.Error("tables", "must be a map of tables and their rules");
    for (const auto& [name, rule] : tables.items()) {
      const std::string path = absl::StrCat("tables.", name);
      TableRule& table = out->emplace_back();
      table.tables = name;
      if (name.find('.') == name.npos && name != "*") {
        return document_.Error(path,
                               "write a table as schema.table; * and ? in it stand for any characters and for one");
      }
      RETURN_IF_ERROR(ReadTable(rule, path, &table));
    }
    return absl::OkStatus();
  }

  absl::Status ReadTable(const Json& rule, const std::string& path, TableRule* out) const {
    RETURN_IF_ERROR(
        document_.CheckKeys(rule, path, {"to", "drop", "rows", "columns", "only", "soft_delete", "truncate"}));
    RETURN_IF_ERROR(ReadDrop(rule, path, &out->drop));
    RETURN_IF_ERROR(document_.ReadText(rule, path, "to", &out->to));
    RETURN_IF_ERROR(CheckTableName(path, *out, rule.contains("to")));
    RETURN_IF_ERROR(ReadRows(rule, path, &out->rows));
    if (rule.contains("columns")) RETURN_IF_ERROR(ReadColumns(rule["columns"], JoinPath(path, "columns"), out));
    if (rule.contains("only")) RETURN_IF_ERROR(ReadOnly(rule["only"], JoinPath(path, "only"), out));
    RETURN_IF_ERROR(ReadFlag(rule, path, "soft_delete", &out->soft_delete));
    std::string truncate;
    RETURN_IF_ERROR(document_.ReadText(rule, path, "truncate", &truncate));
    if (truncate == "empty") out->on_truncate = OnTruncate::kEmpty;
    if (truncate == "ignore") out->on_truncate = OnTruncate::kIgnore;
    if (rule.contains("truncate") && out->on_truncate == OnTruncate::kUnset) {
      return document_.Error(JoinPath(path, "truncate"),
                             absl::StrCat("got '", truncate, "'; allowed: empty or ignore"));
    }
    return absl::OkStatus();
  }

  absl::Status CheckTableName(const std::string& path, const TableRule& rule, bool given) const {
    if (!given) return absl::OkStatus();
    const std::string at = JoinPath(path, "to");
    const size_t point = rule.to.find('.');
    if (rule.to.empty() || point == 0 || (point != rule.to.npos && point + 1 == rule.to.size())) {
      return document_.Error(at, absl::StrCat("got '", rule.to, "'; allowed: table or schema.table"));
    }
    if (rule.is_pattern() && rule.to.find("{table}") == rule.to.npos) {
      return document_.Error(at, "a pattern may fit several tables; put {table} into the name to tell them apart");
    }
    return absl::OkStatus();
  }

  absl::Status ReadRows(const Json& rule, const std::string& path, std::optional<RowFilter>* out) const {
    if (!rule.contains("rows")) return absl::OkStatus();
    std::string text;
    RETURN_IF_ERROR(document_.ReadText(rule, path, "rows", &text));
    auto filter = RowFilter::Parse(text);
    if (!filter.ok()) return document_.Error(JoinPath(path, "rows"), std::string(filter.status().message()));
    *out = *std::move(filter);
    return absl::OkStatus();
  }

  absl::Status ReadColumns(const Json& columns, const std::string& path, TableRule* out) const {
    if (!columns.is_object()) return document_.Error(path, "must be a map of columns and their rules");
    for (const auto& [name, rule] : columns.items()) {
      RETURN_IF_ERROR(ReadColumn(rule, JoinPath(path, name), &out->columns[name]));
    }
    return absl::OkStatus();
  }

  absl::Status ReadColumn(const Json& rule, const std::string& path, ColumnRule* out) const {
    RETURN_IF_ERROR(document_.CheckKeys(rule, path, {"to", "type", "mask", "with", "drop"}));
    RETURN_IF_ERROR(ReadDrop(rule, path, &out->drop));
    RETURN_IF_ERROR(document_.ReadText(rule, path, "to", &out->to));
    if (rule.contains("to") && out->to.empty()) return document_.Error(JoinPath(path, "to"), "is empty; give a name");
    RETURN_IF_ERROR(document_.ReadText(rule, path, "type", &out->type));
    if (rule.contains("type")) {
      const auto type = ParseMappedType(out->type);
      if (!type.ok()) return document_.Error(JoinPath(path, "type"), std::string(type.status().message()));
      if (rule.contains("mask"))
        return document_.Error(path, "a masked column has the type of its mask; leave type out");
    }
    return ReadMask(rule, path, out);
  }

  absl::Status ReadMask(const Json& rule, const std::string& path, ColumnRule* out) const {
    if (rule.contains("mask")) {
      std::string mask = "null";  // which YAML and JSON have a word for
      if (!rule["mask"].is_null()) RETURN_IF_ERROR(document_.ReadText(rule, path, "mask", &mask));
      if (mask == "hash") out->mask = Mask::kHash;
      if (mask == "redact") out->mask = Mask::kRedact;
      if (mask == "null") out->mask = Mask::kNull;
      if (out->mask == Mask::kNone) {
        return document_.Error(JoinPath(path, "mask"), absl::StrCat("got '", mask, "'; allowed: hash, redact or null"));
      }
    }
    out->redacted = kRedacted;
    if (!rule.contains("with")) return absl::OkStatus();
    if (out->mask != Mask::kRedact) return document_.Error(JoinPath(path, "with"), "is the text of mask: redact");
    return document_.ReadText(rule, path, "with", &out->redacted);
  }

  absl::Status ReadOnly(const Json& list, const std::string& path, TableRule* out) const {
    if (!list.is_array() || list.empty()) return document_.Error(path, "must be a list of columns");
    for (const Json& item : list) {
      ASSIGN_OR_RETURN(out->only.emplace_back(), document_.Text(item, path));
    }
    for (const auto& [name, rule] : out->columns) {
      if (out->LeavesOut(name) && !rule.drop) {
        return document_.Error(path, absl::StrCat("leaves out column ", name, ", for which there is a rule"));
      }
    }
    return absl::OkStatus();
  }

  // A list of items, or a map of items to names.
  absl::Status ReadMetadata(const Json& items, std::vector<MetadataColumn>* out) const {
    std::vector<std::pair<std::string, std::string>> wanted;
    if (items.is_array()) {
      for (const Json& item : items) {
        ASSIGN_OR_RETURN(const std::string name, document_.Text(item, "metadata"));
        wanted.emplace_back(name, absl::StrCat("_wallaby_", name));
      }
    } else if (items.is_object()) {
      for (const auto& [name, column] : items.items()) {
        ASSIGN_OR_RETURN(const std::string text, document_.Text(column, JoinPath("metadata", name)));
        if (text.empty()) return document_.Error(JoinPath("metadata", name), "is empty; give the column a name");
        wanted.emplace_back(name, text);
      }
    } else {
      return document_.Error("metadata", "must be a list like [lsn, commit_time], or a map to names of columns");
    }
    std::set<std::string> met;
    for (const auto& [name, column] : wanted) {
      const auto* found = std::find_if(std::begin(kMetadata), std::end(kMetadata),
                                       [&](const MetadataName& known) { return known.name == name; });
      if (found == std::end(kMetadata)) {
        return document_.Error(
            "metadata", absl::StrCat("got '", name, "'; allowed: ",
                                     absl::StrJoin(kMetadata, ", ", [](std::string* text, const MetadataName& known) {
                                       absl::StrAppend(text, known.name);
                                     })));
      }
      if (!met.insert(name).second) return document_.Error("metadata", absl::StrCat(name, " stands there twice"));
      out->push_back({found->what, column});
    }
    return absl::OkStatus();
  }

  const Document& document_;
};

}  // namespace

const ColumnRule* TableRule::Find(std::string_view column) const {
  const auto found = columns.find(std::string(column));
  return found == columns.end() ? nullptr : &found->second;
}

bool TableRule::LeavesOut(std::string_view column) const {
  const ColumnRule* rule = Find(column);
  if (rule != nullptr && rule->drop) return true;
  return !only.empty() && std::find(only.begin(), only.end(), column) == only.end();
}

absl::StatusOr<const TableRule*> Mapping::RuleOf(const Relation& relation) const {
  const std::string name = relation.QualifiedName();
  const TableRule *best = nullptr, *rival = nullptr;
  for (const TableRule& rule : tables) {
    if (rule.tables == name) return &rule;
    if (!rule.is_pattern() || !FitsPattern(name, rule.tables)) continue;
    const auto weight = Weight(rule);
    if (best == nullptr || weight > Weight(*best)) {
      best = &rule;
      rival = nullptr;
    } else if (weight == Weight(*best)) {
      rival = &rule;
    }
  }
  if (rival == nullptr) return best;
  return absl::InvalidArgumentError(absl::StrCat("table ", name, " fits '", best->tables, "' and '", rival->tables,
                                                 "' equally; give it a rule of its own name"));
}

bool Mapping::hides() const {
  return std::any_of(tables.begin(), tables.end(), [](const TableRule& table) {
    return !table.only.empty() || std::any_of(table.columns.begin(), table.columns.end(),
                                              [](const auto& column) { return column.second.hides(); });
  });
}

bool Mapping::hashes() const {
  return std::any_of(tables.begin(), tables.end(), [](const TableRule& table) {
    return std::any_of(table.columns.begin(), table.columns.end(),
                       [](const auto& column) { return column.second.mask == Mask::kHash; });
  });
}

absl::StatusOr<Mapping> ParseMapping(std::string_view text, const std::string& title) {
  ASSIGN_OR_RETURN(const Document document, ReadDocument(text, title));
  return Reader(document).Read();
}

}  // namespace wallaby
