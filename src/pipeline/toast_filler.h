// Fills unchanged TOASTed values that PostgreSQL did not send, as the option toast_fetch asks.
#ifndef WALLABY_PIPELINE_TOAST_FILLER_H_
#define WALLABY_PIPELINE_TOAST_FILLER_H_

#include <memory>

#include "pgoutput/assembler.h"
#include "postgres/connection.h"
#include "postgres/source_options.h"

namespace wallaby {

// Null for `off` and `full` (the old row has the value). `source` reads the row as it is now at the source by its key:
// the value may be newer than the change, and a later change then brings it again. `cache` remembers the large values
// that went by, up to toast_cache_size bytes. What cannot be filled stays absent. `sql` must outlive the filler.
std::unique_ptr<pgoutput::AbsentFiller> MakeToastFiller(const SourceOptions& options, PgConnection* sql);

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_TOAST_FILLER_H_
