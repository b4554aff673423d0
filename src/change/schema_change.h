// SchemaChange: how one DDL command changed one published table, as steps that a destination can follow.
//
// A shape is the table as its publication shows it: columns that are not published are no part of it. Columns are told
// apart by attribute number, so that a rename is a rename and not a drop and an add.
#ifndef WALLABY_CHANGE_SCHEMA_CHANGE_H_
#define WALLABY_CHANGE_SCHEMA_CHANGE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "change/relation.h"

namespace wallaby {

// What a relation message does not say of a column.
struct ColumnDetail {
  int attnum = 0;  // pg_attribute.attnum; 0: not known
  bool not_null = false;
  std::string default_sql;  // "" for none
  // The value that rows which were there before the column have in it, as text (pg_attribute.attmissingval).
  std::optional<std::string> fill;
  // Rows that were there before the column have values in it that nobody streams: a default that differs by row.
  bool filled_by_rewrite = false;
  // Rejected by an operator: never carried to the destinations.
  bool hidden = false;
  // Of a hidden column: other names that it has had since, in a shape that is stored and still of the first.
  std::vector<std::string> later_names = {};

  friend bool operator==(const ColumnDetail&, const ColumnDetail&) = default;
};

struct TableShape {
  Relation relation;
  std::vector<ColumnDetail> details;  // one for each of relation.columns

  // Index of the column, or -1.
  int FindName(std::string_view name) const;
  int FindAttnum(int attnum) const;
  // The relation without hidden columns: what destinations see.
  Relation Visible() const;
};

// Index of the column of `other` that is this one of `shape`, or -1: by attribute number where both sides know it, else
// by name.
int FindPartner(const TableShape& shape, int column, const TableShape& other);
// What is hidden in `from` is hidden in `to`; of a table that was made anew, by name. True when that hid something.
bool KeepHidden(const TableShape& from, TableShape* to);

enum class SchemaStepKind {
  kCreateTable,
  kDropTable,
  kRenameTable,  // another name, another schema, or both
  kAddColumn,
  kDropColumn,
  kRenameColumn,
  kRetypeColumn,
  kNullability,
  kKey,  // the columns that identify a row
  kDefault,
};

struct SchemaStep {
  SchemaStepKind kind;
  std::string column;    // as it is after the step; for kDropColumn, before; for kKey, the key's columns: "a, b"
  std::string old_name;  // kRenameColumn: before; kRenameTable: "schema.name" before
  // kAddColumn, kRetypeColumn: the column after the step. kRetypeColumn: `old_type` before.
  Column definition;
  PgType old_type;
  ColumnDetail detail;  // after the step; for columns only
  // kRetypeColumn: every value of the old type is one of the new, and is written the same.
  bool widens = false;
};

// "add column note (text)": for people.
std::string DescribeStep(const SchemaStep& step);
// "add_column": in plans, and for scripts.
std::string_view SchemaStepName(SchemaStepKind kind);

struct SchemaChange {
  std::optional<TableShape> before;  // nothing: the table is new
  std::optional<TableShape> after;   // nothing: the table is gone
  std::vector<SchemaStep> steps;     // in an order in which they can be run; the first is any rename of the table
  // Rows changed at the source without being streamed (a rewrite), so the table is copied again after the change.
  bool copy = false;

  // The table's qualified name after the change; of a dropped one, before.
  std::string Table() const;
};

// The steps from one shape to the other; hidden columns take part in none. Columns are matched by attribute number
// where both sides know it, else by name. Sets `copy` where a step alone asks for it.
SchemaChange CompareShapes(const TableShape* before, const TableShape* after);

}  // namespace wallaby

#endif  // WALLABY_CHANGE_SCHEMA_CHANGE_H_
