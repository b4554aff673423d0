// The functions of the spool room (spool/*.h) over a spool that is in the simulated world: in the place of those over
// files, by their names. What a process has flushed stays when it is killed; what it had not is gone.
#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/event.h"
#include "base/status.h"
#include "pgoutput/messages.h"
#include "spool/announcements.h"
#include "spool/spool_cursor.h"
#include "spool/spool_lock.h"
#include "spool/spool_reader.h"
#include "spool/spool_writer.h"
#include "spool/why_full.h"
#include "test/simulation/interpose.h"
#include "test/simulation/world.h"

namespace wallaby {
namespace simulation {
namespace {

SpoolDisk& Spool() {
  return World::Now().spool;
}

absl::Status Exchange(std::string_view what) {
  return World::Now().Reach(absl::StrCat("spool: ", what));
}

bool IsRelation(std::string_view message) {
  return static_cast<pgoutput::MessageType>(message[0]) == pgoutput::MessageType::kRelation;
}

bool IsLocked() {
  return Spool().locked != 0 && World::Now().scheduler.process_at(Spool().locked).alive;
}

class SimulatedLock final : public SpoolLock {
 public:
  ~SimulatedLock() override { Spool().locked = 0; }
};

class SimulatedSpoolWriter final : public SpoolWriter {
 public:
  explicit SimulatedSpoolWriter(std::unique_ptr<SpoolLock> lock)
      : lock_(std::move(lock)), end_(Spool().end), last_commit_(Spool().last_commit), last_begin_(Spool().last_begin) {}

  absl::Status Append(std::string_view message) override {
    const auto type = static_cast<pgoutput::MessageType>(message[0]);
    if (type == pgoutput::MessageType::kBegin) {
      RETURN_IF_ERROR(pgoutput::ParseBegin(message, &begin_));
      in_transaction_ = true;
      open_ = {.commit = begin_.commit, .end = {}, .messages = {}};
    }
    if (in_transaction_ && type != pgoutput::MessageType::kType) open_.messages.emplace_back(message);
    if (type != pgoutput::MessageType::kCommit) return absl::OkStatus();
    pgoutput::Commit commit;
    RETURN_IF_ERROR(pgoutput::ParseCommit(message, &commit));
    in_transaction_ = false;
    if (open_.commit <= last_commit_) return absl::OkStatus();
    open_.end = end_ = commit.end;
    last_commit_ = open_.commit;
    last_begin_ = open_.messages.front();
    unflushed_.push_back(std::move(open_));
    return absl::OkStatus();
  }
  absl::Status AppendIdle(Lsn wal_end) override {
    end_ = std::max(end_, wal_end);
    return absl::OkStatus();
  }
  absl::Status DropOpen() override {
    in_transaction_ = false;
    return absl::OkStatus();
  }

  absl::Status Flush() override {
    RETURN_IF_ERROR(Exchange("flush"));
    SpoolDisk& disk = Spool();
    for (SpoolDisk::Stored& t : unflushed_) disk.transactions.push_back(std::move(t));
    unflushed_.clear();
    disk.end = end_;
    disk.last_commit = last_commit_;
    disk.last_begin = last_begin_;
    for (const auto& reader : disk.readers) reader->Set();
    World::Now().scheduler.WakeAll(PollQueue());
    return World::Now().Answer("spool: flush");
  }
  absl::Status Sync() override {
    RETURN_IF_ERROR(Flush());
    RETURN_IF_ERROR(Exchange("sync"));
    Spool().durable = Spool().end;
    return World::Now().Answer("spool: sync");
  }

  Lsn begin() const override { return Spool().begin; }
  Lsn end() const override { return end_; }
  Lsn durable() const override { return Spool().durable; }
  Lsn last_commit() const override { return last_commit_; }
  std::string_view last_begin() const override { return last_begin_; }
  bool in_transaction() const override { return in_transaction_; }
  int64_t bytes() const override { return static_cast<int64_t>(Spool().transactions.size()); }
  absl::StatusOr<bool> HasRoom() override { return true; }

  absl::Status RemoveBelow(Lsn lsn) override {
    SpoolDisk& disk = Spool();
    World& world = World::Now();
    // As segments have several transactions, it is now and then.
    if (!world.chance.OneIn(3)) return absl::OkStatus();
    world.oracle.OnSpoolRemoved(lsn);
    while (!disk.transactions.empty() && disk.transactions.front().end <= lsn) {
      for (std::string& message : disk.transactions.front().messages) {
        if (IsRelation(message)) disk.relations[spool::RelationOid(message)] = std::move(message);
      }
      disk.begin = disk.transactions.front().end;
      disk.transactions.pop_front();
    }
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<SpoolLock> lock_;
  Lsn end_;
  Lsn last_commit_;
  std::string last_begin_;
  pgoutput::Begin begin_;
  bool in_transaction_ = false;
  SpoolDisk::Stored open_;
  std::vector<SpoolDisk::Stored> unflushed_;
};

class SimulatedSpoolReader final : public SpoolReader {
 public:
  explicit SimulatedSpoolReader(Lsn from) : from_(from), notice_(std::make_shared<Event>()) {
    Spool().readers.push_back(notice_);
  }
  ~SimulatedSpoolReader() override { std::erase(Spool().readers, notice_); }

  absl::StatusOr<Item> Next() override {
    World::Now().scheduler.Step();
    // What is removed until the first read is in here.
    if (!began_) {
      for (const auto& [oid, message] : Spool().relations) known_.Keep(message, /*told=*/false);
    }
    began_ = true;
    while (messages_.empty()) {
      if (position_.valid() && position_ < Spool().begin) {
        return absl::OutOfRangeError("simulated: what follows in the spool was removed while it was read");
      }
      const SpoolDisk::Stored* next = NextTransaction();
      if (next == nullptr) {
        const Lsn end = Spool().end;
        if (end < from_ || end <= idle_) return Item{};
        position_ = idle_ = end;
        return Item{Item::Kind::kIdle, {}, end};
      }
      position_ = next->end;
      commit_ = next->commit;
      for (const std::string& message : next->messages) Take(message, next->commit >= from_);
    }
    last_ = std::move(messages_.front());
    messages_.pop_front();
    return Item{Item::Kind::kMessage, last_, {}};
  }
  int fd() const override { return notice_->fd(); }
  void ClearNotice() override { notice_->Clear(); }

 private:
  const SpoolDisk::Stored* NextTransaction() const {
    const auto& all = Spool().transactions;
    const auto next =
        std::find_if(all.begin(), all.end(), [this](const SpoolDisk::Stored& t) { return t.commit > commit_; });
    return next == all.end() ? nullptr : &*next;
  }
  void Take(const std::string& message, bool told) {
    if (IsRelation(message)) known_.Keep(message, told);
    if (!told) return;
    for (auto relation = known_.Before(message); !relation.empty(); relation = known_.Before(message)) {
      messages_.emplace_back(relation);
    }
    messages_.push_back(message);
  }

  const Lsn from_;
  const std::shared_ptr<Event> notice_;
  spool::Announcements known_;
  bool began_ = false;
  Lsn commit_;    // of the last transaction that was taken
  Lsn position_;  // where it ends
  Lsn idle_;
  std::deque<std::string> messages_;
  std::string last_;
};

class SimulatedCursor final : public SpoolCursor {
 public:
  SimulatedCursor(std::string id, Lsn at) : id_(std::move(id)), at_(at) {}
  absl::Status Move(Lsn to) override {
    if (to <= at_) return absl::OkStatus();
    RETURN_IF_ERROR(Exchange("cursor"));
    at_ = to;
    if (Spool().cursors.contains(id_)) Spool().cursors[id_] = to;
    return absl::OkStatus();
  }

 private:
  const std::string id_;
  Lsn at_;
};

}  // namespace
}  // namespace simulation

using simulation::Spool;
using simulation::SpoolDisk;
using simulation::World;

absl::StatusOr<std::unique_ptr<SpoolLock>> SpoolLock::Take(const SpoolOptions&, const SpoolName&) {
  RETURN_IF_ERROR(simulation::Exchange("lock"));
  if (simulation::IsLocked()) {
    return absl::AbortedError(absl::StrCat("simulated: process ", Spool().locked, " has the spool"));
  }
  Spool().locked = World::Now().scheduler.process()->number;
  return std::make_unique<simulation::SimulatedLock>();
}

bool SpoolLock::IsTaken(const SpoolOptions&, const SpoolName&) {
  return simulation::IsLocked();
}

absl::StatusOr<std::unique_ptr<SpoolWriter>> SpoolWriter::Open(const SpoolOptions& options, const SpoolName& name,
                                                               const std::string&, Lsn begin,
                                                               std::unique_ptr<SpoolLock> lock) {
  if (lock == nullptr) {
    ASSIGN_OR_RETURN(lock, SpoolLock::Take(options, name));
  }
  RETURN_IF_ERROR(simulation::Exchange("open"));
  SpoolDisk& disk = Spool();
  if (!disk.exists) {
    disk.exists = true;
    disk.begin = disk.end = disk.durable = begin;
  }
  return std::make_unique<simulation::SimulatedSpoolWriter>(std::move(lock));
}

absl::StatusOr<std::unique_ptr<SpoolReader>> SpoolReader::Open(const SpoolOptions&, const SpoolName&,
                                                               const std::string&, Lsn from) {
  RETURN_IF_ERROR(simulation::Exchange("read"));
  if (!Spool().exists) return absl::NotFoundError("simulated: there is no spool");
  if (from < Spool().begin) {
    return absl::OutOfRangeError(absl::StrCat("simulated: the spool begins at ", Spool().begin.ToString(),
                                              ": what follows ", from.ToString(), " is not in it"));
  }
  return std::make_unique<simulation::SimulatedSpoolReader>(from);
}

absl::StatusOr<std::unique_ptr<SpoolCursor>> SpoolCursor::Register(const SpoolOptions&, const SpoolName&,
                                                                   const std::string& cursor_id, Lsn at) {
  RETURN_IF_ERROR(simulation::Exchange("register"));
  Spool().cursors[cursor_id] = at;
  return std::make_unique<simulation::SimulatedCursor>(cursor_id, at);
}

std::string LaneCursorId(const std::string& flow_id, const std::string& destination) {
  return absl::StrCat(flow_id, ":", destination);
}
std::string FlowOfCursor(const std::string& cursor_id) {
  return cursor_id.substr(0, cursor_id.find(':'));
}
std::string DestinationOfCursor(const std::string& cursor_id) {
  const size_t at = cursor_id.find(':');
  return at == std::string::npos ? "" : cursor_id.substr(at + 1);
}

absl::StatusOr<std::map<std::string, Lsn>> SpoolCursors(const SpoolOptions&, const SpoolName&) {
  RETURN_IF_ERROR(simulation::Exchange("cursors"));
  return Spool().cursors;
}
absl::Status ForgetSpoolCursor(const SpoolOptions&, const SpoolName&, const std::string& cursor_id) {
  RETURN_IF_ERROR(simulation::Exchange("forget"));
  Spool().cursors.erase(cursor_id);
  return absl::OkStatus();
}

int64_t SpoolSegmentBytes(const SpoolOptions& options) {
  return options.segment_bytes;
}
std::string SpoolFolder(const SpoolOptions& options, const SpoolName& name) {
  return absl::StrCat(options.root, "/", name.system_identifier, "-", name.slot);
}
bool SpoolExists(const SpoolOptions&, const SpoolName&) {
  return Spool().exists;
}
absl::StatusOr<int64_t> SpoolBytes(const std::string&) {
  return static_cast<int64_t>(Spool().transactions.size());
}
absl::StatusOr<int64_t> SpoolBytesBehind(const SpoolOptions&, const SpoolName&, Lsn from) {
  const auto& all = Spool().transactions;
  return std::count_if(all.begin(), all.end(), [from](const SpoolDisk::Stored& t) { return t.end > from; });
}
absl::StatusOr<Lsn> SpoolBegin(const SpoolOptions&, const SpoolName&) {
  return Spool().exists ? Spool().begin : Lsn{};
}
absl::Status CheckSpoolPublication(const SpoolOptions&, const SpoolName&, const std::string&) {
  return absl::OkStatus();
}
absl::Status NoteWhySpoolFull(const SpoolOptions&, const SpoolName&, const std::string&) {
  return absl::OkStatus();
}
std::string WhySpoolFull(const SpoolOptions&, const SpoolName&) {
  return "";
}
absl::Status RemoveSpool(const SpoolOptions&, const SpoolName&, std::unique_ptr<SpoolLock> lock) {
  RETURN_IF_ERROR(simulation::Exchange("remove"));
  SpoolDisk& disk = Spool();
  auto readers = std::move(disk.readers);
  disk = {};
  disk.readers = std::move(readers);
  lock.reset();
  return absl::OkStatus();
}

}  // namespace wallaby
