// What a schema change of the source means for the Parquet files of a table, in words.
#ifndef WALLABY_DESTINATION_PARQUET_SCHEMA_CHANGE_H_
#define WALLABY_DESTINATION_PARQUET_SCHEMA_CHANGE_H_

#include <string>
#include <vector>

#include "change/schema_change.h"
#include "destination/parquet/parquet_options.h"

namespace wallaby {

// Lines that begin with "-- ". The next files have the new shape; files that are there stay as they are.
std::vector<std::string> ParquetDdl(const SchemaChange& change, const ParquetOptions& options);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PARQUET_SCHEMA_CHANGE_H_
