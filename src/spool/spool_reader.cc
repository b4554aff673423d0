#include "spool/spool_reader.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "pgoutput/messages.h"
#include "spool/about.h"
#include "spool/announcements.h"
#include "spool/group_reader.h"
#include "spool/lsn_file.h"
#include "spool/notice.h"
#include "spool/segment.h"

namespace wallaby {
namespace {

using pgoutput::MessageType;
using spool::GroupReader;
using spool::SegmentReader;

class SegmentSpoolReader : public SpoolReader {
 public:
  SegmentSpoolReader(std::string folder, std::string key, Lsn from, spool::Notice notice, spool::LsnFile durable,
                     SegmentReader segment)
      : folder_(std::move(folder)),
        key_(std::move(key)),
        from_(from),
        notice_(std::move(notice)),
        durable_file_(std::move(durable)),
        group_(std::in_place, std::move(segment)) {}

  absl::StatusOr<Item> Next() override {
    while (true) {
      while (!rest_.empty()) {
        const std::string_view message = NextMessage();
        if (!message.empty()) return Item{Item::Kind::kMessage, message, {}};
        RETURN_IF_ERROR(malformed_);
      }
      ASSIGN_OR_RETURN(const bool more, NextBlock());
      if (more) continue;
      const Lsn end = group_->position();
      if (end < from_ || end <= idle_) return Item{};
      idle_ = end;
      return Item{Item::Kind::kIdle, {}, end};
    }
  }

  int fd() const override { return notice_.fd(); }
  void ClearNotice() override { notice_.Clear(); }

 private:
  // The next message of the block for the user; empty when this one is not for him.
  std::string_view NextMessage() {
    std::string_view rest = rest_;
    std::string_view message;
    if (!spool::TakeMessage(&rest, &message)) {
      malformed_ = group_->segment().Damaged(group_->block_offset(), "is not made of messages");
      return {};
    }
    const auto type = static_cast<MessageType>(message[0]);
    if (type == MessageType::kBegin) {
      pgoutput::Begin begin;
      malformed_ = pgoutput::ParseBegin(message, &begin);
      if (!malformed_.ok()) return {};
      skip_ = begin.commit < from_;
    }
    const bool told = !skip_ && !group_->preamble();
    if (type == MessageType::kRelation) announcements_.Keep(message, told);
    if (told) {
      if (const auto relation = announcements_.Before(message); !relation.empty()) return relation;
    }
    rest_ = rest;
    return told ? message : std::string_view();
  }

  // False: nothing more yet.
  absl::StatusOr<bool> NextBlock() {
    ASSIGN_OR_RETURN(bool block, group_->NextBlock());
    if (!block) {
      ASSIGN_OR_RETURN(bool found, Advance());
      if (!found) {
        // What must be there may have been written since.
        ASSIGN_OR_RETURN(const bool must, MustBeMore());
        if (!must) return false;
        ASSIGN_OR_RETURN(found, Advance());
        if (!found) return Missing();
      }
      ASSIGN_OR_RETURN(block, group_->NextBlock());
    }
    rest_ = block ? group_->payload() : std::string_view();
    return true;
  }

  // To the next group, in this segment or the next one.
  absl::StatusOr<bool> Advance() {
    ASSIGN_OR_RETURN(const bool found, group_->FindGroup());
    if (found) return true;
    // The next segment begins where this one ends. It is made when this one is full.
    const Lsn end = group_->position();
    if (end == group_->segment().start()) return false;
    auto next = SegmentReader::Open(folder_, end, key_);
    if (absl::IsNotFound(next.status())) return false;
    RETURN_IF_ERROR(next.status());
    group_.emplace(*std::move(next));
    return group_->FindGroup();
  }

  // Something behind the end of the group is known to be durable, or this segment is not the last one.
  absl::StatusOr<bool> MustBeMore() {
    ASSIGN_OR_RETURN(const Lsn durable, durable_file_.Read());
    if (durable > group_->position()) return true;
    ASSIGN_OR_RETURN(const bool rest, group_->HasRest());
    if (!rest && !group_->segment().file().Removed()) return false;
    const auto segments = spool::ListSegments(folder_);
    if (absl::IsNotFound(segments.status())) return true;
    RETURN_IF_ERROR(segments.status());
    return segments->empty() || segments->back() > group_->segment().start();
  }

  absl::Status Missing() const {
    const SegmentReader& segment = group_->segment();
    if (segment.file().Removed()) {
      return absl::OutOfRangeError(absl::StrCat("spool: what follows ", group_->position().ToString(), " in ", folder_,
                                                " was removed while it was read"));
    }
    return segment.Damaged(group_->next_offset(), absl::StrCat("is not whole, and what comes behind it is there"));
  }

  const std::string folder_;
  const std::string key_;
  const Lsn from_;
  const spool::Notice notice_;
  const spool::LsnFile durable_file_;
  std::optional<GroupReader> group_;
  std::string_view rest_;  // of the block's payload
  bool skip_ = false;      // the transaction begins before from_
  Lsn idle_;               // last that was told
  spool::Announcements announcements_;
  absl::Status malformed_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SpoolReader>> SpoolReader::Open(const SpoolOptions& options, const SpoolName& name,
                                                               const std::string& publication, Lsn from) {
  const std::string folder = SpoolFolder(options, name);
  ASSIGN_OR_RETURN(const spool::About about, spool::ReadAbout(folder));
  RETURN_IF_ERROR(spool::CheckKey(folder, about, options.key));
  RETURN_IF_ERROR(spool::CheckPublication(folder, about, publication));
  ASSIGN_OR_RETURN(spool::Notice notice, spool::Notice::Watch(folder));
  ASSIGN_OR_RETURN(spool::LsnFile durable, spool::LsnFile::Open(folder + "/DURABLE"));
  ASSIGN_OR_RETURN(const std::vector<Lsn> starts, spool::ListSegments(folder));
  if (starts.empty()) return absl::NotFoundError(absl::StrCat("spool: ", folder, " has no segments yet"));
  const auto behind = std::upper_bound(starts.begin(), starts.end(), from);
  if (behind == starts.begin()) {
    return absl::OutOfRangeError(absl::StrCat("spool: ", folder, " begins at ", starts.front().ToString(),
                                              ": what follows ", from.ToString(), " is not in it"));
  }
  auto segment = SegmentReader::Open(folder, *(behind - 1), options.key);
  if (absl::IsNotFound(segment.status())) {
    return absl::OutOfRangeError(
        absl::StrCat("spool: what follows ", from.ToString(), " in ", folder, " was removed just now"));
  }
  RETURN_IF_ERROR(segment.status());
  return std::make_unique<SegmentSpoolReader>(folder, options.key, from, std::move(notice), std::move(durable),
                                              *std::move(segment));
}

}  // namespace wallaby
