#include "codec/value_error.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace wallaby {

absl::Status ExplainValue(const absl::Status& status, const Relation& relation, int index, const PgType& type) {
  const std::string& column = relation.columns[static_cast<size_t>(index)].name;
  const bool value = absl::IsOutOfRange(status) || absl::IsInvalidArgument(status);
  const bool text = type.logical == LogicalType::kText;
  return absl::Status(
      status.code(),
      absl::StrCat("table ", relation.QualifiedName(), ", column ", column, ": ", status.message(),
                   value && !text
                       ? absl::StrCat("; to carry the column as text, set option type_mappings of the destination to ",
                                      relation.QualifiedName(), ".", column, "=text")
                       : ""));
}

absl::Status WrongColumnCount(const Relation& relation, int got) {
  return absl::InternalError(absl::StrCat("a row of table ", relation.QualifiedName(), " has ", got,
                                          " columns, its schema ", relation.columns.size()));
}

}  // namespace wallaby
