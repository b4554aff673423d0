// What a schema change of the source means for the files of a table, in words.
#ifndef WALLABY_DESTINATION_FILES_SCHEMA_CHANGE_H_
#define WALLABY_DESTINATION_FILES_SCHEMA_CHANGE_H_

#include <string>
#include <vector>

#include "change/schema_change.h"
#include "destination/files/files_options.h"

namespace wallaby {

// Lines that begin with "-- ". The next files have the new shape; files that are there stay as they are.
std::vector<std::string> FilesDdl(const SchemaChange& change, const FilesOptions& options);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_SCHEMA_CHANGE_H_
