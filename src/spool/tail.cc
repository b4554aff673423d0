#include "spool/tail.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "pgoutput/messages.h"

namespace wallaby::spool {
namespace {

// Reads the blocks of one segment from its start.
class TailScan {
 public:
  TailScan(SegmentReader segment, Lsn durable) : segment_(std::move(segment)), durable_(durable) {}

  absl::StatusOr<Tail> Run() {
    ASSIGN_OR_RETURN(tail_.size, segment_.file().Size());
    uint64_t offset = 0;
    while (true) {
      BlockHeader header;
      ASSIGN_OR_RETURN(bool whole, segment_.ReadHeader(offset, &header));
      if (whole) {
        ASSIGN_OR_RETURN(whole, segment_.ReadPayload(offset, header));
      }
      if (!whole) break;
      RETURN_IF_ERROR(Take(offset, header));
      offset = header.end(offset);
    }
    if (offset < tail_.size) RETURN_IF_ERROR(LookBehind(offset));
    if (tail_.end == 0 || tail_.position < durable_) {
      return segment_.Damaged(offset, absl::StrCat("is not whole: it ends at ", tail_.position.ToString(),
                                                   " and was durable up to ", durable_.ToString()));
    }
    return std::move(tail_);
  }

 private:
  absl::Status Take(uint64_t offset, const BlockHeader& header) {
    std::string_view rest = segment_.payload();
    std::string_view message;
    while (TakeMessage(&rest, &message)) {
      if (message[0] == 'R') open_relations_.emplace_back(RelationOid(message), message);
      if (message[0] == 'B') open_begin_ = message;
      if (message[0] == 'C') {
        pgoutput::Commit commit;
        const absl::Status status = pgoutput::ParseCommit(message, &commit);
        if (!status.ok()) return segment_.Damaged(offset, status.message());
        tail_.last_end = commit.end;
      }
    }
    if (!rest.empty()) return segment_.Damaged(offset, "is not made of messages");
    if (header.boundary()) TakeBoundary(offset, header);
    durable_ = std::max(durable_, header.durable);
    return absl::OkStatus();
  }

  void TakeBoundary(uint64_t offset, const BlockHeader& header) {
    for (auto& [oid, relation] : open_relations_) tail_.relations[oid] = std::move(relation);
    open_relations_.clear();
    tail_.last_begin = open_begin_;
    tail_.end = header.end(offset);
    tail_.position = header.position;
    tail_.last_commit = header.last_commit;
    if (header.preamble()) tail_.preamble = tail_.end;
    if (header.position <= marked_) tail_.written = tail_.end;
  }

  // A header that is whole, behind a block that is not, tells how far the segment was durable when it was written.
  absl::Status LookBehind(uint64_t from) {
    constexpr size_t kPiece = 1 << 20;
    std::string piece(kPiece, '\0');
    for (uint64_t at = from; at < tail_.size; at += kPiece - kHeaderBytes) {
      ASSIGN_OR_RETURN(const size_t got, segment_.file().ReadAt(at, piece.data(), kPiece));
      const std::string_view bytes(piece.data(), got);
      for (size_t found = bytes.find(kMagic); found != bytes.npos && found + kHeaderBytes <= got;
           found = bytes.find(kMagic, found + 1)) {
        BlockHeader header;
        if (DecodeHeader(bytes.data() + found, segment_.start(), at + found, &header)) {
          durable_ = std::max(durable_, header.durable);
        }
      }
    }
    return absl::OkStatus();
  }

  SegmentReader segment_;
  Lsn durable_;
  const Lsn marked_ = durable_;
  Tail tail_;
  std::vector<std::pair<uint32_t, std::string>> open_relations_;
  std::string open_begin_;  // of the last transaction that has begun
};

}  // namespace

absl::StatusOr<Tail> ReadTail(const std::string& folder, Lsn start, std::string_view key, Lsn durable) {
  ASSIGN_OR_RETURN(SegmentReader segment, SegmentReader::Open(folder, start, key));
  return TailScan(std::move(segment), durable).Run();
}

}  // namespace wallaby::spool
