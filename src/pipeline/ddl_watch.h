// DdlWatch: what a flow knows of its tables' shapes, and what a stream says of them that nobody has decided on yet.
//
// A change of a shape reaches it by a DDL message (postgres/ddl_capture.h) or, where nobody sends those, by a relation
// message that differs from what the flow knows. Either way it becomes one event, told apart by the commit LSN of its
// transaction and its place in it, so that a replay finds the same event again. A transaction with an event that is not
// settled is held, whole. One thread.
#ifndef WALLABY_PIPELINE_DDL_WATCH_H_
#define WALLABY_PIPELINE_DDL_WATCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "pgoutput/schema_watch.h"
#include "pipeline/source.h"
#include "store/control_store.h"

namespace wallaby {

class DdlWatch final : public pgoutput::SchemaWatch {
 public:
  struct Options {
    std::string flow_id;
    std::string publication;
    std::string message_prefix;
    // Which tables the flow carries; of others nothing is looked at.
    std::function<bool(const Relation&)> carries = [](const Relation&) { return true; };
    // False: shapes are followed, and no transaction is held for them.
    bool holds = true;
    // The destination whose lane reads; "": the flow's own stream. In a lane an event also holds, though it is settled,
    // until the lane's destination has followed (SettleDdlAtLane in ddl_apply.h).
    std::string lane;
  };
  // An event that is not settled, without its plan's statements.
  struct Found {
    int32_t ordinal = 0;
    std::string ddl;
    SchemaChange change;
  };

  // `store` and `source` must outlive the object. `shapes`: what is stored for the flow.
  DdlWatch(ControlStore* store, SourceSession* source, std::vector<StoredShape> shapes, Options options);

  absl::StatusOr<Verdict> OnRelation(const Transaction& t, const Relation& announced, HasRows has_rows,
                                     pgoutput::RelationEdit* edit) override;
  absl::StatusOr<Verdict> OnMessage(const Transaction& t, std::string_view prefix, std::string_view content,
                                    HasRows has_rows) override;

  // Of the transaction that was held last, in the order of the stream.
  const std::vector<Found>& found() const { return found_; }

 private:
  void Begin(const Transaction& t);
  // The shape that counts now: of this transaction's own events first.
  const StoredShape* Known(uint32_t oid) const;
  const StoredShape* KnownByName(const std::string& qualified_name) const;
  absl::StatusOr<const std::vector<DdlEvent>*> EventsHere();
  absl::StatusOr<Verdict> Judge(int32_t ordinal, std::string ddl, SchemaChange change, HasRows has_rows);
  // In a lane: that its destination has followed the settled event; it is told by the shape that is stored then.
  bool HasFollowed(const SchemaChange& change) const;
  // Takes the shape as it is, without an event: of a table that nobody knew.
  absl::Status Adopt(const TableShape& shape, Lsn lsn);
  // The same for a table that is known. Not stored: rows in the shape before may not be durable yet, and after a crash
  // they would be taken for older than a copy that has this shape. The stream tells of it again. `before`: the shape
  // before by the DDL message, if one told.
  absl::Status Follow(const TableShape& shape, Lsn lsn, const TableShape* before = nullptr);
  // What it does not tell again once the catalog has gone on is how a rejected column was called in between. That is
  // stored, beside the shape that it was rejected in.
  absl::Status NoteNames(const TableShape& shape, const TableShape* before);
  absl::StatusOr<Verdict> OnDifference(const Transaction& t, const StoredShape& known, const Relation& announced,
                                       HasRows has_rows, pgoutput::RelationEdit* edit);
  // The place of a change that no message told of; in a replay the one that it had.
  absl::StatusOr<int32_t> OrdinalOf(const SchemaChange& change);
  // False: the shape is none that this transaction's events have changed.
  absl::StatusOr<bool> MapOldShape(const Relation& announced, const StoredShape* known, pgoutput::RelationEdit* edit);

  ControlStore* const store_;
  SourceSession* const source_;
  const Options options_;
  std::map<uint32_t, StoredShape> shapes_;  // as the stream has them, by oid
  std::map<uint32_t, StoredShape> stored_;  // as the store has them

  // Of the open transaction.
  Lsn commit_;
  int32_t next_ordinal_ = 0;
  std::map<uint32_t, std::optional<StoredShape>> pending_;  // nothing: dropped
  std::optional<std::vector<DdlEvent>> events_here_;        // recorded for it, once they were asked for
  std::vector<Found> found_;
};

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_DDL_WATCH_H_
