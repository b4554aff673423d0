#include "mapping/filter_literal.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "change/value.h"
#include "mapping/decimal_order.h"

namespace wallaby {
namespace {

absl::Status Wrong(const Column& column, std::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(
      "column ", column.name, " is ", column.type.source_name.empty() ? column.type.sql_name : column.type.source_name,
      ", and is compared with ", wanted));
}

bool IsDecimal(std::string_view text) {
  DecimalDigits digits;
  return digits.Read({FieldKind::kText, text});
}

// A whole number, or the whole number below one with a fraction. Beyond 64 bits, the first or last of them.
bool ReadWhole(std::string_view text, FilterLiteral* out) {
  if (!IsDecimal(text) || absl::ascii_isalpha(text.back())) return false;
  const std::string_view whole = text.substr(0, text.find('.'));
  const bool fraction = text.find_first_not_of("0", whole.size() + 1) != text.npos && whole.size() < text.size();
  const bool negative = text.starts_with('-');
  if (whole.empty() || whole == "-") {
    out->integer = 0;
  } else {
    const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), out->integer);
    if (error == std::errc::result_out_of_range) {
      out->integer = negative ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
      out->tie = negative ? 1 : -1;
      return true;
    }
  }
  if (fraction) out->tie = negative ? 1 : -1;
  return true;
}

bool ReadNumber(std::string_view text, bool single, double* out) {
  if (text == "NaN") return *out = std::numeric_limits<double>::quiet_NaN(), true;
  if (text == "Infinity") return *out = std::numeric_limits<double>::infinity(), true;
  if (text == "-Infinity") return *out = -std::numeric_limits<double>::infinity(), true;
  const char* end = text.data() + text.size();
  if (single) {
    float value = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    *out = value;
    return error == std::errc() && stop == end;
  }
  const auto [stop, error] = std::from_chars(text.data(), end, *out);
  return error == std::errc() && stop == end;
}

std::optional<bool> ReadBoolean(std::string_view text) {
  if (text == "t" || text == "true") return true;
  if (text == "f" || text == "false") return false;
  return std::nullopt;
}

// Takes "Z", "+02" or "+05:30" off the end.
bool TakeZone(std::string_view* text, int64_t* micros) {
  if (text->ends_with('Z')) {
    text->remove_suffix(1);
    *micros = 0;
    return true;
  }
  const size_t sign = text->find_last_of("+-");
  // A sign further to the left is one of the date's.
  if (sign == text->npos || sign < 10) return false;
  const std::string_view zone = text->substr(sign + 1);
  const bool hours_only = zone.size() == 2;
  if (!hours_only && (zone.size() != 5 || zone[2] != ':')) return false;
  int parts[2] = {0, 0};
  for (int i = 0; i < (hours_only ? 1 : 2); ++i) {
    const char* at = zone.data() + size_t{3} * static_cast<size_t>(i);
    const auto [end, error] = std::from_chars(at, at + 2, parts[i]);
    if (error != std::errc() || end != at + 2) return false;
  }
  constexpr int64_t kMicrosPerMinute = 60'000'000;
  *micros = (parts[0] * 60 + parts[1]) * kMicrosPerMinute * ((*text)[sign] == '-' ? -1 : 1);
  *text = text->substr(0, sign);
  return true;
}

// "2024-05-01", "2024-05-01 12:30:00.5" or with a T between.
bool ReadMoment(std::string_view text, int64_t* micros) {
  std::string full(text);
  if (full.size() > 10 && full[10] == 'T') full[10] = ' ';
  if (full.find(' ') == full.npos && full.find("infinity") == full.npos) full += " 00:00:00";
  return ReadTimestamp({FieldKind::kText, full}, micros).ok();
}

bool ReadZonedMoment(std::string_view text, int64_t* micros) {
  if (text == "infinity" || text == "-infinity") return ReadMoment(text, micros);
  int64_t zone = 0;
  return TakeZone(&text, &zone) && ReadMoment(text, micros) && !__builtin_sub_overflow(*micros, zone, micros);
}

// The types that are compared with text in quotes.
absl::Status ReadQuoted(const std::string& text, const Column& column, FilterClass type, FilterLiteral* out) {
  const Field field{FieldKind::kText, text};
  switch (type) {
    case FilterClass::kText:
    case FilterClass::kEnum:
      out->text = text;
      return absl::OkStatus();
    case FilterClass::kPaddedText:
      out->text = text.substr(0, text.find_last_not_of(' ') + 1);
      return absl::OkStatus();
    case FilterClass::kUuid: {
      out->text.resize(16);
      if (ReadUuid(field, reinterpret_cast<unsigned char*>(out->text.data())).ok()) return absl::OkStatus();
      return Wrong(column, "text like '123e4567-e89b-12d3-a456-426614174000'");
    }
    case FilterClass::kBytes: {
      std::string scratch;
      std::string_view bytes;
      if (!ReadBytes(field, &scratch, &bytes).ok()) return Wrong(column, "text like '\\x00ff'");
      out->text = std::string(bytes);
      out->hex = absl::StrCat("\\x", absl::BytesToHexString(bytes));
      return absl::OkStatus();
    }
    case FilterClass::kDate: {
      int32_t days = 0;
      if (!ReadDate(field, &days).ok()) return Wrong(column, "text like '2024-05-31'");
      out->integer = days;
      return absl::OkStatus();
    }
    case FilterClass::kTime:
      if (!ReadTime(field, &out->integer).ok()) return Wrong(column, "text like '23:59:59'");
      return absl::OkStatus();
    case FilterClass::kTimestamp: {
      std::string_view rest = text;
      int64_t zone = 0;
      if (TakeZone(&rest, &zone) || !ReadMoment(text, &out->integer)) {
        return Wrong(column, "text like '2024-05-31 23:59:59', without a zone");
      }
      return absl::OkStatus();
    }
    case FilterClass::kTimestampTz:
      if (!ReadZonedMoment(text, &out->integer)) {
        return Wrong(column, "text like '2024-05-31 23:59:59+00', with its zone");
      }
      return absl::OkStatus();
    default:
      return absl::InternalError("not a class of quoted literals");
  }
}

}  // namespace

absl::StatusOr<FilterLiteral> ReadFilterLiteral(const FilterValue& value, const Column& column, FilterClass type,
                                                bool in_list) {
  FilterLiteral out;
  const bool quoted = value.kind == FilterValue::Kind::kText;
  const bool number = quoted || value.kind == FilterValue::Kind::kNumber;
  switch (type) {
    case FilterClass::kNone:
      return absl::InvalidArgumentError(
          absl::StrCat("column ", column.name, " is ", column.type.source_name,
                       ", which a row filter cannot compare; it can only be IS NULL or IS NOT NULL"));
    case FilterClass::kBool: {
      const auto truth = quoted || value.kind == FilterValue::Kind::kBool ? ReadBoolean(value.text) : std::nullopt;
      if (!truth) return Wrong(column, "TRUE or FALSE");
      out.integer = *truth ? 1 : 0;
      return out;
    }
    case FilterClass::kInteger:
    case FilterClass::kOid: {
      if (!number || !ReadWhole(value.text, &out)) return Wrong(column, "a number");
      if (quoted && out.tie != 0) return Wrong(column, "a whole number of its range where it stands in quotes");
      return out;
    }
    case FilterClass::kFloat32:
    case FilterClass::kFloat64:
      if (!number || !ReadNumber(value.text, (quoted || in_list) && type == FilterClass::kFloat32, &out.number)) {
        return Wrong(column, "a number in its range");
      }
      return out;
    case FilterClass::kDecimal:
      if (!number || !IsDecimal(value.text)) return Wrong(column, "a number");
      out.text = value.text;
      return out;
    default:
      if (!quoted) return Wrong(column, "text in quotes");
      RETURN_IF_ERROR(ReadQuoted(value.text, column, type, &out));
      return out;
  }
}

}  // namespace wallaby
