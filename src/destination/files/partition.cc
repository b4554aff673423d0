#include "destination/files/partition.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "change/tuple.h"
#include "change/value.h"

namespace wallaby {
namespace {

constexpr std::string_view kDefaultPartition = "__HIVE_DEFAULT_PARTITION__";
// Names of files and folders may have 255 bytes.
constexpr size_t kLongestComponent = 255;

constexpr std::pair<std::string_view, PartitionUnit> kUnits[] = {
    {"year", PartitionUnit::kYear},
    {"month", PartitionUnit::kMonth},
    {"day", PartitionUnit::kDay},
    {"hour", PartitionUnit::kHour},
};

void AppendEncoded(std::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' || c == '+') {
      out->push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      *out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
}

std::string PrefixOf(const PartitionField& field) {
  std::string name = field.column;
  for (const auto& [unit_name, unit] : kUnits) {
    if (unit == field.unit) absl::StrAppend(&name, "_", unit_name);
  }
  return name;
}

// Cuts "2024-05-01 13:45:00+00", with or without " BC" behind, to the unit.
void CutToUnit(PartitionUnit unit, std::string* text) {
  if (unit == PartitionUnit::kValue || text->find("infinity") != text->npos) return;
  const bool before_christ = text->ends_with(" BC");
  size_t end = text->find('-');
  if (unit != PartitionUnit::kYear) end = text->find('-', end + 1);
  if (unit == PartitionUnit::kDay || unit == PartitionUnit::kHour) end = text->find(' ');
  if (unit == PartitionUnit::kHour && end != text->npos) {
    (*text)[end] = '-';
    end += 3;
  }
  if (end < text->size()) text->resize(end);
  if (before_christ) text->append(" BC");
}

bool HasDate(LogicalType type) {
  return type == LogicalType::kDate || type == LogicalType::kTimestamp || type == LogicalType::kTimestampTz;
}

}  // namespace

absl::StatusOr<std::vector<PartitionField>> ParsePartitionBy(std::string_view text) {
  std::vector<PartitionField> fields;
  for (std::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    PartitionField field;
    const size_t colon = part.rfind(':');
    field.column = std::string(part.substr(0, colon));
    bool known = colon == part.npos;
    for (const auto& [name, unit] : kUnits) {
      if (colon == part.npos || part.substr(colon + 1) != name) continue;
      field.unit = unit;
      known = true;
    }
    if (!known || field.column.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("got '", part, "'; allowed: col or col:day|hour|month|year, several with commas between"));
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

std::string EncodePathComponent(std::string_view name) {
  std::string encoded;
  AppendEncoded(name, &encoded);
  if (encoded.starts_with('.')) encoded.replace(0, 1, "%2E");
  if (encoded.starts_with('_')) encoded.replace(0, 1, "%5F");
  return encoded;
}

absl::StatusOr<Partitioner> Partitioner::Make(const Relation& relation, const std::vector<PartitionField>& fields) {
  Partitioner result;
  result.table_ = relation.QualifiedName();
  for (const PartitionField& field : fields) {
    const std::string context =
        absl::StrCat("table ", result.table_, ", option partition_by: column '", field.column, "'");
    Place place;
    place.unit = field.unit;
    place.name = field.column;
    const std::string name = PrefixOf(field);
    const bool there = std::any_of(relation.columns.begin(), relation.columns.end(),
                                   [&](const Column& column) { return column.name == field.column; });
    if (!there) {
      result.missing_.push_back(field.column);
      continue;
    }
    for (size_t i = 0; i < relation.columns.size(); ++i) {
      const Column& column = relation.columns[i];
      if (column.name == field.column) {
        place.column = static_cast<int>(i);
        place.type = column.type;
      } else if (column.name == name) {
        return absl::InvalidArgumentError(
            absl::StrCat(context, " gives the partition ", name, ", which the table has as a column already"));
      }
    }
    if (field.unit != PartitionUnit::kValue &&
        (!HasDate(place.type.logical) ||
         (field.unit == PartitionUnit::kHour && place.type.logical == LogicalType::kDate))) {
      return absl::InvalidArgumentError(absl::StrCat(context, " is a ", place.type.source_name,
                                                     "; day, month and year need a date or timestamp, ",
                                                     "hour needs a timestamp"));
    }
    AppendEncoded(name, &place.prefix);
    place.prefix += '=';
    result.places_.push_back(std::move(place));
  }
  result.values_.resize(result.places_.size());
  return result;
}

absl::Status Partitioner::FolderOf(const char* tuple, std::string* out) {
  out->clear();
  if (places_.empty()) return absl::OkStatus();
  for (std::string& value : values_) value.clear();
  for (TupleCursor c(tuple); !c.done(); c.Next()) {
    for (size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].column != c.index()) continue;
      if (c.field().is_null() || c.field().is_absent()) {
        values_[i] = kDefaultPartition;
        continue;
      }
      absl::Status status = AppendText(c.field(), places_[i].type, &values_[i]);
      if (!status.ok()) {
        return Annotate(status, absl::StrCat("table ", table_, ", column ", places_[i].name));
      }
      CutToUnit(places_[i].unit, &values_[i]);
    }
  }
  for (size_t i = 0; i < places_.size(); ++i) {
    if (i > 0) out->push_back('/');
    const size_t start = out->size();
    out->append(places_[i].prefix);
    AppendEncoded(values_[i], out);
    if (out->size() - start > kLongestComponent) {
      return absl::InvalidArgumentError(
          absl::StrCat("table ", table_, ", column ", places_[i].name, ": the value '", values_[i].substr(0, 64),
                       "' is too long for the name of a folder; choose another column for partition_by"));
    }
  }
  return absl::OkStatus();
}

}  // namespace wallaby
