// Source: what a flow asks of the database that it reads. One of the interfaces that the simulator replaces; the other
// implementation is PostgreSQL (postgres_source.h). Each method is one question, with the errors of the function of the
// postgres room that answers it.
#ifndef WALLABY_PIPELINE_SOURCE_H_
#define WALLABY_PIPELINE_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/lsn.h"
#include "pgoutput/assembler.h"
#include "postgres/catalog.h"
#include "postgres/connection.h"
#include "postgres/replication_stream.h"
#include "postgres/slot.h"
#include "postgres/slot_history.h"
#include "postgres/source_options.h"
#include "postgres/table_copy.h"

namespace wallaby {

// A snapshot that shows the database exactly at `consistent`, exported for other sessions while this object lives.
struct SourceSnapshot {
  virtual ~SourceSnapshot() = default;

  std::string name;
  Lsn consistent;
};

// One connection. One thread.
class SourceSession : public pgoutput::RelationSource {
 public:
  // Types as this session's catalog knows them; lives as long as the session.
  virtual TypeCatalog& types() = 0;
  absl::StatusOr<PgType> ResolveType(uint32_t oid, int32_t typmod) override { return types().Resolve(oid, typmod); }

  virtual absl::StatusOr<std::optional<SlotInfo>> GetSlot() = 0;
  virtual absl::Status DropSlot() = 0;
  virtual absl::StatusOr<ServerInfo> GetServerInfo() = 0;
  // Where this timeline ended in the server's history; nullopt when it goes on, or the source has no such thing.
  virtual absl::StatusOr<std::optional<Lsn>> EndOfTimeline(int /*timeline*/) { return std::nullopt; }
  virtual absl::StatusOr<std::optional<Transaction>> LastSent(Lsn upto, Sent sent) = 0;
  virtual absl::StatusOr<std::vector<Finding>> Check() = 0;
  virtual absl::StatusOr<PublicationChange> EnsurePublication() = 0;
  virtual absl::Status EnsureDdlCapture() = 0;
  // postgres/linked_tables.h
  virtual absl::StatusOr<std::vector<Relation>> LinkedTables(const std::vector<uint32_t>& /*oids*/) {
    return std::vector<Relation>();
  }

  // From now on the session shows the database as the snapshot does.
  virtual absl::Status Enter(const SourceSnapshot& snapshot) = 0;
  virtual absl::StatusOr<std::vector<PublishedTable>> PublishedTables() = 0;
  virtual absl::StatusOr<TableShape> ShapeFromCatalog(const Relation& announced) = 0;
  // What fills absent values, as the option toast_fetch asks; may be null. The session outlives it.
  virtual std::unique_ptr<pgoutput::AbsentFiller> MakeFiller() = 0;

  virtual absl::StatusOr<uint32_t> TableFile(const Relation& relation) = 0;
  virtual absl::StatusOr<std::vector<TablePart>> PlanTableParts(const PublishedTable& table,
                                                                const PartitionOptions& options) = 0;
  virtual absl::Status CopyTablePart(
      const PublishedTable& table, const TablePart& part, const SourceSnapshot& snapshot, size_t batch_bytes,
      const std::function<absl::Status(std::unique_ptr<ChangeBatch>, bool last)>& emit) = 0;

  // `options` without what says where the source is. The session outlives the stream.
  virtual absl::StatusOr<std::unique_ptr<ReplicationStream>> StartReplication(StreamOptions options) = 0;
};

// Safe from any thread.
class Source {
 public:
  virtual ~Source() = default;
  virtual absl::StatusOr<std::unique_ptr<SourceSession>> Connect() = 0;
  // For reports: gives up soon.
  virtual absl::StatusOr<std::unique_ptr<SourceSession>> ConnectMonitor() = 0;
  // Makes the flow's own slot, and with it a snapshot of where it begins.
  virtual absl::StatusOr<std::unique_ptr<SourceSnapshot>> CreateSlot() = 0;
  // A snapshot of now, by a slot of this name that vanishes with it.
  virtual absl::StatusOr<std::unique_ptr<SourceSnapshot>> TakeSnapshot(const std::string& name) = 0;
};

// `options` outlive the source.
using MakeSource = std::function<std::unique_ptr<Source>(const SourceOptions& options)>;

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_SOURCE_H_
