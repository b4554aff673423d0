#include "spool/spool_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "pgoutput/messages.h"
#include "spool/about.h"
#include "spool/block_buffer.h"
#include "spool/block_cipher.h"
#include "spool/lsn_file.h"
#include "spool/segment.h"
#include "spool/tail.h"

namespace wallaby {
namespace {

using pgoutput::MessageType;
using spool::BlockBuffer;
using spool::SegmentWriter;

constexpr std::chrono::seconds kLookAtOthers(1);
// A last segment that is delivered is left once it has this part of a full one's size.
constexpr int64_t kWorthLeaving = 8;

// A segment that is full.
struct FullSegment {
  Lsn start;
  int64_t bytes = 0;
};

// What a writer has when it has taken its spool.
struct Taken {
  spool::LsnFile durable;
  spool::LsnFile last;
  std::deque<FullSegment> full;
  SegmentWriter segment;
  spool::Tail tail;
};

class SegmentSpoolWriter : public SpoolWriter {
 public:
  SegmentSpoolWriter(const SpoolOptions& options, std::string folder, std::unique_ptr<SpoolLock> lock, Taken taken)
      : options_(options),
        folder_(std::move(folder)),
        lock_(std::move(lock)),
        durable_file_(std::move(taken.durable)),
        last_file_(std::move(taken.last)),
        full_(std::move(taken.full)),
        segment_(std::move(taken.segment)),
        relations_(std::move(taken.tail.relations)),
        last_begin_(std::move(taken.tail.last_begin)),
        end_(taken.tail.position),
        written_(end_),
        durable_(end_),
        last_commit_(taken.tail.last_commit),
        told_last_(last_commit_),
        last_end_(taken.tail.last_end),
        whole_end_(segment_.end()),
        durable_end_(segment_.end()) {
    for (const FullSegment& full : full_) full_bytes_ += full.bytes;
  }

  absl::Status Append(std::string_view message) override {
    if (failed_.ok()) failed_ = Take(message);
    return failed_;
  }

  absl::Status AppendIdle(Lsn wal_end) override {
    if (in_transaction_) return absl::InternalError("spool: an idle position within a transaction");
    RETURN_IF_ERROR(BeginSegmentWhenFull());
    end_ = std::max(end_, wal_end);
    return absl::OkStatus();
  }

  absl::Status DropOpen() override {
    buffer_.Cut(whole_in_buffer_);
    // With whole transactions in the buffer, what is open began behind them.
    if (whole_in_buffer_ == 0 && segment_.end() > whole_end_) RETURN_IF_ERROR(segment_.Cut(whole_end_));
    open_relations_.clear();
    in_transaction_ = false;
    left_out_ = false;
    failed_ = absl::OkStatus();
    return absl::OkStatus();
  }

  absl::Status Flush() override {
    if (!HasWhole()) return absl::OkStatus();
    RETURN_IF_ERROR(segment_.WriteBlock({spool::kBoundary, end_, last_commit_, durable_}, &buffer_, whole_in_buffer_));
    whole_in_buffer_ = 0;
    whole_end_ = segment_.end();
    written_ = end_;
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    RETURN_IF_ERROR(Flush());
    if (durable_ == written_ && durable_end_ == whole_end_) return absl::OkStatus();
    if (sync_failed_) RETURN_IF_ERROR(segment_.WriteAgain(durable_end_));
    sync_failed_ = true;
    RETURN_IF_ERROR(segment_.Sync());
    sync_failed_ = false;
    durable_ = written_;
    durable_end_ = whole_end_;
    RETURN_IF_ERROR(durable_file_.Write(durable_));
    if (told_last_ == last_commit_) return absl::OkStatus();
    RETURN_IF_ERROR(last_file_.Write(last_commit_));
    told_last_ = last_commit_;
    return absl::OkStatus();
  }

  Lsn begin() const override { return full_.empty() ? segment_.start() : full_.front().start; }
  Lsn end() const override { return end_; }
  Lsn durable() const override { return durable_; }
  Lsn last_commit() const override { return last_commit_; }
  std::string_view last_begin() const override { return last_begin_; }
  bool in_transaction() const override { return in_transaction_; }
  int64_t bytes() const override { return full_bytes_ + static_cast<int64_t>(segment_.end()); }

  absl::StatusOr<bool> HasRoom() override {
    if (options_.limit <= 0) return true;
    const auto now = std::chrono::steady_clock::now();
    if (!looked_ || now - looked_at_ >= kLookAtOthers) {
      ASSIGN_OR_RETURN(const int64_t all, SpoolBytes(options_.root));
      ASSIGN_OR_RETURN(const int64_t own, SpoolBytes(folder_));
      others_bytes_ = std::max<int64_t>(all - own, 0);
      looked_ = true;
      looked_at_ = now;
    }
    return others_bytes_ + bytes() + static_cast<int64_t>(buffer_.size()) < options_.limit;
  }

  absl::Status RemoveBelow(Lsn lsn) override {
    RETURN_IF_ERROR(RemoveFull(lsn));
    ASSIGN_OR_RETURN(const bool roll, IsWorthLeaving(lsn));
    if (!roll) return absl::OkStatus();
    const absl::Status left = BeginSegment();
    // Without room for a new one the last segment stays; who appends hears of the full disk.
    if (!left.ok()) return absl::IsResourceExhausted(left) ? absl::OkStatus() : left;
    return RemoveFull(lsn);
  }

 private:
  bool HasWhole() const { return whole_in_buffer_ > 0 || written_ < end_; }

  absl::Status Take(std::string_view message) {
    if (message.empty()) return absl::DataLossError("spool: the server sent an empty message");
    const auto type = static_cast<MessageType>(message[0]);
    if (type == MessageType::kBegin) return TakeBegin(message);
    if (type == MessageType::kType) return absl::OkStatus();  // the catalog tells more
    // Not part of any transaction and of no use to a flow.
    if (type == MessageType::kLogicalMessage && message.size() > 1 && (message[1] & 1) == 0) return absl::OkStatus();
    if (!in_transaction_) {
      return absl::DataLossError(
          absl::StrCat("spool: the server sent a message of type '", message.substr(0, 1), "' outside a transaction"));
    }
    if (type == MessageType::kCommit) return TakeCommit(message);
    if (left_out_) return absl::OkStatus();
    if (type == MessageType::kRelation) open_relations_.emplace_back(spool::RelationOid(message), message);
    return Put(message);
  }

  absl::Status TakeBegin(std::string_view message) {
    if (in_transaction_) return absl::DataLossError("spool: the server began a transaction within another");
    pgoutput::Begin begin;
    RETURN_IF_ERROR(pgoutput::ParseBegin(message, &begin));
    in_transaction_ = true;
    left_out_ = begin.commit <= last_commit_;
    if (left_out_) return absl::OkStatus();
    RETURN_IF_ERROR(BeginSegmentWhenFull());
    open_begin_ = message;
    return Put(message);
  }

  absl::Status TakeCommit(std::string_view message) {
    pgoutput::Commit commit;
    RETURN_IF_ERROR(pgoutput::ParseCommit(message, &commit));
    if (!left_out_) {
      RETURN_IF_ERROR(Put(message));
      whole_in_buffer_ = buffer_.size();
      last_commit_ = commit.commit;
      last_begin_ = std::move(open_begin_);
      last_end_ = commit.end;
      end_ = std::max(end_, commit.end);
      for (auto& [oid, relation] : open_relations_) relations_[oid] = std::move(relation);
      open_relations_.clear();
    }
    in_transaction_ = false;
    left_out_ = false;
    return absl::OkStatus();
  }

  absl::Status Put(std::string_view message) {
    const size_t needed = BlockBuffer::Needed(message);
    const auto fits = [&] { return buffer_.size() == 0 || buffer_.size() + needed <= spool::kBlockBytes; };
    // A block that does not end between transactions has nothing but a piece of the open one.
    if (!fits()) RETURN_IF_ERROR(Flush());
    if (!fits()) {
      RETURN_IF_ERROR(segment_.WriteBlock({0, end_, last_commit_, durable_}, &buffer_, buffer_.size()));
    }
    buffer_.Add(message);
    return absl::OkStatus();
  }

  absl::Status BeginSegmentWhenFull() {
    const int64_t bytes = static_cast<int64_t>(segment_.end() + buffer_.size());
    return bytes < SpoolSegmentBytes(options_) ? absl::OkStatus() : BeginSegment();
  }

  // Between transactions only.
  absl::Status BeginSegment() {
    RETURN_IF_ERROR(Sync());
    if (end_ == segment_.start()) return absl::OkStatus();
    ASSIGN_OR_RETURN(SegmentWriter next,
                     SegmentWriter::Make(folder_, end_, last_commit_, options_.key, last_begin_, relations_));
    full_.push_back({segment_.start(), static_cast<int64_t>(segment_.end())});
    full_bytes_ += full_.back().bytes;
    segment_ = std::move(next);
    last_end_ = Lsn{};
    whole_end_ = segment_.end();
    durable_end_ = segment_.end();
    return absl::OkStatus();
  }

  // The last segment holds transactions, all of them delivered, and its room matters. What comes goes into a new one,
  // and this one can be removed as soon as all are past its end.
  absl::StatusOr<bool> IsWorthLeaving(Lsn delivered) {
    if (in_transaction_ || !last_end_.valid() || delivered < last_end_) return false;
    if (static_cast<int64_t>(segment_.end()) >= SpoolSegmentBytes(options_) / kWorthLeaving) return true;
    ASSIGN_OR_RETURN(const bool room, HasRoom());
    return !room;
  }

  absl::Status RemoveFull(Lsn lsn) {
    while (!full_.empty()) {
      const Lsn end = full_.size() > 1 ? full_[1].start : segment_.start();
      if (end > lsn) break;
      RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSpoolRemove));
      const std::string path = spool::SegmentPath(folder_, full_.front().start);
      if (::unlink(path.c_str()) != 0 && errno != ENOENT) return spool::FileError("remove", path, errno);
      full_bytes_ -= full_.front().bytes;
      full_.pop_front();
      // One after the other on the disk too: a crash leaves no gap.
      RETURN_IF_ERROR(spool::SyncFolder(folder_));
    }
    return absl::OkStatus();
  }

  const SpoolOptions options_;
  const std::string folder_;
  const std::unique_ptr<SpoolLock> lock_;
  const spool::LsnFile durable_file_;
  const spool::LsnFile last_file_;
  std::deque<FullSegment> full_;
  int64_t full_bytes_ = 0;
  SegmentWriter segment_;
  spool::Relations relations_;  // in force at end_
  std::string last_begin_;
  std::string open_begin_;
  BlockBuffer buffer_;

  Lsn end_;
  Lsn written_;  // end_ of what is in the segment
  Lsn durable_;
  Lsn last_commit_;
  Lsn told_last_;               // in last_file_
  Lsn last_end_;                // of the last transaction in this segment; 0/0: none
  size_t whole_in_buffer_ = 0;  // bytes up to the last commit
  uint64_t whole_end_;          // where the segment's last block between transactions ends
  uint64_t durable_end_;
  bool sync_failed_ = false;

  bool in_transaction_ = false;
  bool left_out_ = false;  // the open transaction is there already
  std::vector<std::pair<uint32_t, std::string>> open_relations_;
  absl::Status failed_;  // why the open transaction cannot go on

  bool looked_ = false;
  std::chrono::steady_clock::time_point looked_at_;
  int64_t others_bytes_ = 0;
};

absl::Status CheckAbout(const SpoolOptions& options, const SpoolName& name, const std::string& publication,
                        const std::string& folder, bool has_segments) {
  const auto about = spool::ReadAbout(folder);
  if (absl::IsNotFound(about.status()) && !has_segments) {
    return spool::WriteAbout(folder,
                             {name, publication, options.key.empty() ? "" : spool::KeyFingerprint(options.key)});
  }
  RETURN_IF_ERROR(about.status());
  RETURN_IF_ERROR(spool::CheckKey(folder, *about, options.key));
  return spool::CheckPublication(folder, *about, publication);
}

absl::StatusOr<spool::LsnFile> OpenOrMake(const std::string& path) {
  auto file = spool::LsnFile::Open(path);
  return absl::IsNotFound(file.status()) ? spool::LsnFile::Make(path, Lsn{}) : std::move(file);
}

// The last segment, cut at its last whole transaction and durable.
absl::StatusOr<SegmentWriter> TakeSegment(const std::string& folder, Lsn start, const std::string& key,
                                          const spool::Tail& tail) {
  ASSIGN_OR_RETURN(SegmentWriter segment, SegmentWriter::Open(folder, start, key, tail.end));
  if (tail.size > tail.end) RETURN_IF_ERROR(segment.Cut(tail.end));
  RETURN_IF_ERROR(segment.WriteAgain(std::min(tail.written, tail.end)));
  RETURN_IF_ERROR(segment.Sync());
  return segment;
}

absl::StatusOr<Taken> TakeSpool(const SpoolOptions& options, const SpoolName& name, const std::string& folder,
                                const std::string& publication, Lsn begin) {
  ASSIGN_OR_RETURN(const std::vector<Lsn> starts, spool::ListSegments(folder));
  RETURN_IF_ERROR(CheckAbout(options, name, publication, folder, !starts.empty()));
  ASSIGN_OR_RETURN(spool::LsnFile durable_file, OpenOrMake(folder + "/DURABLE"));
  ASSIGN_OR_RETURN(spool::LsnFile last_file, OpenOrMake(spool::LastPath(folder)));
  ASSIGN_OR_RETURN(const Lsn durable, durable_file.Read());
  if (starts.empty()) {
    if (durable.valid()) {
      return absl::DataLossError(absl::StrCat("spool: ", folder, " has no segments any more, and was durable up to ",
                                              durable.ToString(), ", see docs/spool.md"));
    }
    ASSIGN_OR_RETURN(SegmentWriter segment, SegmentWriter::Make(folder, begin, Lsn{}, options.key, "", {}));
    spool::Tail tail;
    tail.position = begin;
    RETURN_IF_ERROR(last_file.Write(Lsn{}));
    return Taken{std::move(durable_file), std::move(last_file), {}, std::move(segment), std::move(tail)};
  }
  const Lsn last = starts.back();
  ASSIGN_OR_RETURN(spool::Tail tail, spool::ReadTail(folder, last, options.key, std::max(durable, last)));
  ASSIGN_OR_RETURN(SegmentWriter segment, TakeSegment(folder, last, options.key, tail));
  RETURN_IF_ERROR(durable_file.Write(tail.position));
  RETURN_IF_ERROR(last_file.Write(tail.last_commit));
  std::deque<FullSegment> full;
  for (const Lsn start : starts) {
    if (start == last) break;
    ASSIGN_OR_RETURN(const spool::File file, spool::File::Open(spool::SegmentPath(folder, start), O_RDONLY));
    ASSIGN_OR_RETURN(const uint64_t bytes, file.Size());
    full.push_back({start, static_cast<int64_t>(bytes)});
  }
  return Taken{std::move(durable_file), std::move(last_file), std::move(full), std::move(segment), std::move(tail)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<SpoolWriter>> SpoolWriter::Open(const SpoolOptions& options, const SpoolName& name,
                                                               const std::string& publication, Lsn begin,
                                                               std::unique_ptr<SpoolLock> lock) {
  std::string folder = SpoolFolder(options, name);
  if (lock == nullptr) {
    ASSIGN_OR_RETURN(lock, SpoolLock::Take(options, name));
  }
  ASSIGN_OR_RETURN(Taken taken, TakeSpool(options, name, folder, publication, begin));
  return std::make_unique<SegmentSpoolWriter>(options, std::move(folder), std::move(lock), std::move(taken));
}

}  // namespace wallaby
