#include "postgres/catch_up_stream.h"

#include <libpq-fe.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "pgoutput/messages.h"
#include "postgres/slot.h"
#include "postgres/walsender_stream.h"

namespace wallaby {
namespace {

// The server holds a piece in a temporary file before it sends the first byte: about so much shall it be.
constexpr int64_t kPieceBytes = 256 << 20;
constexpr int64_t kLeastPiece = 16 << 20;
// The first one is small, so that the destinations have something to do while the server makes the next.
constexpr int64_t kFirstPiece = 32 << 20;
constexpr int64_t kLargestPiece = int64_t{4} << 30;
// A piece is decoded from the restart position on. More than this between it and what is read, because of a
// transaction that stays open on the source, and the walsender, which decodes once, is the better way.
constexpr int64_t kLongestRestart = 1 << 30;
// So near the end streaming takes over.
constexpr int64_t kNear = 16 << 20;
// While reading through SQL, the slot is moved when so much has become durable. It costs a second or so.
constexpr int64_t kMoveSlot = 1 << 30;
// Under load, how often the server's end is looked at.
constexpr int64_t kLookEvery = 16 << 20;

int64_t Distance(Lsn from, Lsn to) {
  return to > from ? static_cast<int64_t>(to.value - from.value) : 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReplicationStream>> StartReplication(const StreamOptions& options) {
  if (options.catch_up_bytes <= 0 || !options.start.valid()) return StartWalsender(options);
  return CatchUpStream::Start(options);
}

absl::StatusOr<std::unique_ptr<ReplicationStream>> CatchUpStream::Start(const StreamOptions& options) {
  std::unique_ptr<CatchUpStream> stream(new CatchUpStream(options));
  if (!stream->IsFarBehind() || !stream->OpenCursor()) {
    ASSIGN_OR_RETURN(stream->walsender_, StartWalsender(options));
  }
  return stream;
}

CatchUpStream::~CatchUpStream() {
  if (cursor_ != nullptr && reading_) (void)sql_->Cancel();  // else it goes on decoding, and the copy of the slot stays
}

absl::StatusOr<Packet> CatchUpStream::Next() {
  return walsender_ != nullptr ? NextStreamed() : NextRead();
}

absl::Status CatchUpStream::Wait(absl::Duration timeout, Event& wake) {
  if (walsender_ != nullptr) return walsender_->Wait(timeout, wake);
  return gather_.Wait(PQsocket(sql_->raw()), timeout, wake);
}

absl::Status CatchUpStream::SendFeedback(Lsn received, Lsn flushed, bool request_reply) {
  flushed_ = std::max(flushed_, flushed);
  if (walsender_ != nullptr) return walsender_->SendFeedback(received, flushed, request_reply);
  return absl::OkStatus();
}

// ---- from the walsender ----

absl::StatusOr<Packet> CatchUpStream::NextStreamed() {
  if (streamed_ >= std::min(kLookEvery, options_.catch_up_bytes) && !in_transaction_ && tries_) {
    streamed_ = 0;
    if (IsFarBehind() && OpenCursor()) {
      walsender_.reset();
      return NextRead();
    }
  }
  ASSIGN_OR_RETURN(const Packet packet, walsender_->Next());
  if (packet.kind == Packet::Kind::kData) {
    streamed_ += static_cast<int64_t>(packet.payload.size());
    const auto type = static_cast<pgoutput::MessageType>(packet.payload[0]);
    if (type == pgoutput::MessageType::kBegin) {
      in_transaction_ = true;
    } else if (type == pgoutput::MessageType::kCommit) {
      pgoutput::Commit commit;
      RETURN_IF_ERROR(pgoutput::ParseCommit(packet.payload, &commit));
      in_transaction_ = false;
      position_ = commit.end;
    }
  } else if (packet.kind == Packet::Kind::kKeepalive && !in_transaction_) {
    position_ = std::max(position_, packet.wal_end);
  }
  return packet;
}

bool CatchUpStream::IsFarBehind() {
  // The stream goes on without the answer.
  const auto end = GetCurrentLsn(*options_.sql);
  return end.ok() && Distance(position_, *end) >= options_.catch_up_bytes;
}

// ---- through SQL ----

bool CatchUpStream::OpenCursor() {
  const absl::Status opened = TryToOpenCursor();
  if (!opened.ok()) {
    cursor_.reset();
    sql_.reset();  // and with it the copy of the slot, if there is one
    tries_ = false;
  }
  if (options_.on_switch) {
    options_.on_switch(opened.ok() ? "catching up: reading through SQL"
                                   : absl::StrCat("catching up by streaming only: ", opened.message()));
  }
  return opened.ok();
}

absl::Status CatchUpStream::TryToOpenCursor() {
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kCatchUpOpen));
  ConnectOptions connect;
  connect.settings["statement_timeout"] = "0";
  ASSIGN_OR_RETURN(sql_, PgConnection::Connect(options_.dsn, connect));
  RETURN_IF_ERROR(EnlargeInputBuffer(*sql_));
  StreamOptions options = options_;
  options.start = position_;
  ASSIGN_OR_RETURN(cursor_, SlotCursor::Open(sql_.get(), options));
  ASSIGN_OR_RETURN(where_, cursor_->Look());
  piece_wal_ = kFirstPiece;
  reading_ = stuck_ = false;
  return absl::OkStatus();
}

absl::StatusOr<Packet> CatchUpStream::NextRead() {
  if (!reading_) {
    RETURN_IF_ERROR(BeginPiece());
    if (walsender_ != nullptr) return NextStreamed();
  }
  std::string_view message;
  const auto step = cursor_->Next(&message);
  if (!step.ok()) {
    // Within a piece a transaction may be half read: the worker starts again from what is durable.
    if (piece_began_) return step.status();
    tries_ = false;
    RETURN_IF_ERROR(SwitchToWalsender(step.status().message()));
    return NextStreamed();
  }
  switch (*step) {
    case SlotCursor::Step::kNone:
      return Packet{};
    case SlotCursor::Step::kEnd:
      return EndPiece();
    case SlotCursor::Step::kMessage:
      break;
  }
  piece_began_ = true;
  piece_bytes_ += static_cast<int64_t>(message.size());
  gather_.Got(message.size());
  Packet packet;
  packet.kind = Packet::Kind::kData;
  packet.payload = message;
  return packet;
}

absl::Status CatchUpStream::BeginPiece() {
  const auto end = GetCurrentLsn(*options_.sql);
  if (!end.ok()) return SwitchToWalsender(end.status().message());
  if (stuck_ || Distance(position_, *end) < std::min(kNear, options_.catch_up_bytes))
    return SwitchToWalsender("near the end");
  const int64_t again = Distance(where_.restart, position_);
  if (again > kLongestRestart) {
    return SwitchToWalsender("a long transaction on the source makes every piece start far back");
  }
  if (Distance(moved_, flushed_) >= kMoveSlot) MoveSlot();
  piece_wal_ = std::max(piece_wal_, 2 * again);
  reading_ = true;
  piece_began_ = false;
  piece_bytes_ = 0;
  return cursor_->Begin(std::min(*end, Lsn{position_.value + static_cast<uint64_t>(piece_wal_)}));
}

absl::StatusOr<Packet> CatchUpStream::EndPiece() {
  ASSIGN_OR_RETURN(where_, cursor_->Look());
  const int64_t covered = Distance(position_, where_.confirmed);
  // Not more than eight times as much: the next one may be denser.
  const double ratio = std::min(8.0, static_cast<double>(kPieceBytes) / static_cast<double>(piece_bytes_ + 1));
  piece_wal_ = std::clamp(static_cast<int64_t>(static_cast<double>(covered) * ratio), kLeastPiece, kLargestPiece);
  stuck_ = covered == 0;
  position_ = where_.confirmed;
  reading_ = false;
  Packet packet;
  packet.kind = Packet::Kind::kKeepalive;
  packet.wal_end = position_;
  return packet;
}

absl::Status CatchUpStream::SwitchToWalsender(std::string_view why) {
  // A walsender decodes from the slot's restart position on: the nearer, the sooner it has something to say.
  MoveSlot();
  (void)cursor_->Drop();  // it goes with the connection anyway
  cursor_.reset();
  sql_.reset();
  if (options_.on_switch) options_.on_switch(absl::StrCat("streaming: ", why));
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kCatchUpHandOver));
  StreamOptions options = options_;
  options.start = position_;
  auto walsender = StartWalsender(options);
  // A walsender that was left for the cursor may not have noticed yet.
  if (absl::IsFailedPrecondition(walsender.status())) return absl::UnavailableError(walsender.status().message());
  RETURN_IF_ERROR(walsender.status());
  walsender_ = *std::move(walsender);
  in_transaction_ = false;
  streamed_ = 0;
  return walsender_->SendFeedback(position_, flushed_, /*request_reply=*/false);
}

void CatchUpStream::MoveSlot() {
  if (!flushed_.valid() || flushed_ <= moved_) return;
  // Not being able to costs nothing but time: the first feedback moves the slot too.
  if (AdvanceSlot(*sql_, options_.slot, flushed_).ok()) moved_ = flushed_;
}

}  // namespace wallaby
