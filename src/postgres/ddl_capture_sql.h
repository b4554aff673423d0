// The SQL of the DDL capture. See ddl_capture.h.
#ifndef WALLABY_POSTGRES_DDL_CAPTURE_SQL_H_
#define WALLABY_POSTGRES_DDL_CAPTURE_SQL_H_

#include <string>

#include "postgres/source_options.h"

namespace wallaby {

// Rises when the SQL below changes, so that an older capture is replaced.
inline constexpr int kDdlCaptureVersion = 1;

// Marks the trigger function: version of the capture and the server's major version that it was written for.
std::string DdlCaptureMark(int server_major);

// Everything in one transaction: schemas, state table, functions, event triggers, and the tables' present shapes.
std::string DdlCaptureSql(const SourceOptions& options, int server_major);

// The SQL of the columns' details by pg_attribute alias `a` and pg_attrdef alias `d`: not null, default, whether it is
// generated, fill, and whether rows that were there got values by a rewrite.
inline constexpr char kColumnDetailSql[] =
    "a.attnotnull, CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END, "
    "CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END, "
    "NOT a.atthasmissing AND (a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '')";

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_DDL_CAPTURE_SQL_H_
