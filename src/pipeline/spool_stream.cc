#include "pipeline/spool_stream.h"

#include <poll.h>

#include <algorithm>

#include "base/status.h"

namespace wallaby {
namespace {

// How often a stream looks whether its spool has been made.
constexpr absl::Duration kMadeSoon = absl::Milliseconds(50);

}  // namespace

absl::StatusOr<Packet> SpoolStream::Next() {
  Packet packet;
  if (reader_ == nullptr) {
    auto reader = SpoolReader::Open(spooler_->spool(), name_, spooler_->publication(), start_);
    if (absl::IsNotFound(reader.status())) return packet;
    RETURN_IF_ERROR(reader.status());
    reader_ = *std::move(reader);
  }
  ASSIGN_OR_RETURN(const SpoolReader::Item item, reader_->Next());
  switch (item.kind) {
    case SpoolReader::Item::Kind::kMessage:
      packet.kind = Packet::Kind::kData;
      packet.payload = item.message;
      break;
    case SpoolReader::Item::Kind::kIdle:
      packet.kind = Packet::Kind::kKeepalive;
      packet.wal_end = idle_ = std::max(idle_, item.wal_end);
      reply_due_ = false;
      break;
    case SpoolReader::Item::Kind::kNone:
      if (!reply_due_) break;
      packet.kind = Packet::Kind::kKeepalive;
      packet.wal_end = idle_;
      reply_due_ = false;
      break;
  }
  return packet;
}

absl::Status SpoolStream::Wait(absl::Duration timeout, Event& wake) {
  if (reader_ == nullptr) {
    wake.Wait(std::min(timeout, kMadeSoon));
    return absl::OkStatus();
  }
  pollfd fds[2] = {{reader_->fd(), POLLIN, 0}, {wake.fd(), POLLIN, 0}};
  const timespec limit = absl::ToTimespec(std::max(timeout, absl::ZeroDuration()));
  ppoll(fds, 2, &limit, nullptr);
  reader_->ClearNotice();
  return absl::OkStatus();
}

absl::Status SpoolStream::SendFeedback(Lsn /*received*/, Lsn flushed, bool request_reply) {
  if (request_reply) {
    reply_due_ = true;
    spooler_->Poke();
  }
  if (cursor_ == nullptr) return absl::OkStatus();
  return cursor_->Move(keep_from_.valid() ? std::min(flushed, keep_from_) : flushed);
}

}  // namespace wallaby
