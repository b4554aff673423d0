// The `pgstream` destination: every record of the flow as a message of a durable stream in a PostgreSQL database (14 to
// 18), and in the same transactions the flow's progress. For users: docs/destinations/pgstream.md, docs/streams.md.
#ifndef WALLABY_DESTINATION_PGSTREAM_PGSTREAM_DESTINATION_H_
#define WALLABY_DESTINATION_PGSTREAM_PGSTREAM_DESTINATION_H_

#include <string>

namespace wallaby {

// From now on MakeDestination("pgstream") makes one. `store_dsn` is the control store's PostgreSQL, where streams are
// whose `dsn` is not given; empty: there is none, and `dsn` is required. Call it from main() before threads start.
void RegisterPgstreamDestination(std::string store_dsn);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PGSTREAM_PGSTREAM_DESTINATION_H_
