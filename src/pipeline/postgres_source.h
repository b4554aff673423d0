// The source that is a PostgreSQL server.
#ifndef WALLABY_PIPELINE_POSTGRES_SOURCE_H_
#define WALLABY_PIPELINE_POSTGRES_SOURCE_H_

#include <memory>

#include "pipeline/source.h"

namespace wallaby {

// Does no I/O. `options` outlive the source.
std::unique_ptr<Source> MakePostgresSource(const SourceOptions& options);

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_POSTGRES_SOURCE_H_
