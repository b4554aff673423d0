#include "postgres/replication_stream.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "change/tuple.h"
#include "pgoutput/messages.h"
#include "postgres/connection.h"

namespace wallaby {
namespace {

// A drain of at least this many bytes means that the stream is under load.
constexpr size_t kBusyBytes = 16 << 10;
constexpr absl::Duration kGather = absl::Microseconds(500);

void PutBigEndian64(uint64_t value, char* out) {
  value = __builtin_bswap64(value);
  std::memcpy(out, &value, sizeof(value));
}

absl::Status Poll(pollfd* fds, int count, absl::Duration timeout) {
  const timespec spec = absl::ToTimespec(std::max(timeout, absl::ZeroDuration()));
  if (ppoll(fds, count, &spec, nullptr) < 0 && errno != EINTR) {
    return absl::InternalError(absl::StrCat("poll on the replication connection: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

class LibpqStream : public ReplicationStream {
 public:
  explicit LibpqStream(std::unique_ptr<PgConnection> connection) : connection_(std::move(connection)) {}
  ~LibpqStream() override { FreeBuffer(); }

  absl::StatusOr<Packet> Next() override;
  absl::Status Wait(absl::Duration timeout, Event& wake) override;
  absl::Status SendFeedback(Lsn received, Lsn flushed, bool request_reply) override;

 private:
  void FreeBuffer() {
    if (buffer_ != nullptr) PQfreemem(buffer_);
    buffer_ = nullptr;
  }
  absl::Status EndOfStream();
  static absl::StatusOr<Packet> Parse(std::string_view data);

  std::unique_ptr<PgConnection> connection_;
  char* buffer_ = nullptr;
  size_t drained_ = 0;  // bytes since the last wait
};

absl::StatusOr<Packet> LibpqStream::Next() {
  FreeBuffer();
  PGconn* conn = connection_->raw();
  int got = PQgetCopyData(conn, &buffer_, /*async=*/1);
  if (got == 0) {
    if (PQconsumeInput(conn) == 0) return connection_->LastError("reading the replication stream");
    got = PQgetCopyData(conn, &buffer_, /*async=*/1);
  }
  if (got == 0) return Packet{};
  if (got < 0) return EndOfStream();
  drained_ += got;
  return Parse(std::string_view(buffer_, got));
}

absl::StatusOr<Packet> LibpqStream::Parse(std::string_view data) {
  Packet packet;
  if (data[0] == 'w' && data.size() > 25) {
    packet.kind = Packet::Kind::kData;
    packet.wal_end = Lsn{ReadBigEndian64(data.data() + 9)};
    packet.payload = data.substr(25);
    return packet;
  }
  if (data[0] == 'k' && data.size() >= 18) {
    packet.kind = Packet::Kind::kKeepalive;
    packet.wal_end = Lsn{ReadBigEndian64(data.data() + 1)};
    packet.reply_requested = data[17] != 0;
    return packet;
  }
  return absl::DataLossError(absl::StrCat("replication packet of type ", static_cast<int>(data[0]), " and ",
                                          data.size(), " bytes is not known"));
}

// The server ended COPY: its reason, if it gave one, is the result that follows.
absl::Status LibpqStream::EndOfStream() {
  PGconn* conn = connection_->raw();
  absl::Status status = absl::UnavailableError("the server ended the replication stream; it may be shutting down");
  while (PGresult* result = PQgetResult(conn)) {
    const bool failed = PQresultStatus(result) == PGRES_FATAL_ERROR;
    if (failed) status = StatusFromResult(result, "reading the replication stream");
    PQclear(result);
    if (failed || PQstatus(conn) == CONNECTION_BAD) break;
  }
  return status;
}

absl::Status LibpqStream::Wait(absl::Duration timeout, Event& wake) {
  pollfd fds[2] = {{wake.fd(), POLLIN, 0}, {PQsocket(connection_->raw()), POLLIN, 0}};
  if (drained_ >= kBusyBytes) {
    drained_ = 0;
    return Poll(fds, 1, std::min(kGather, timeout));
  }
  drained_ = 0;
  return Poll(fds, 2, timeout);
}

absl::Status LibpqStream::SendFeedback(Lsn received, Lsn flushed, bool request_reply) {
  char message[34];
  message[0] = 'r';
  PutBigEndian64(std::max(received, flushed).value, message + 1);
  PutBigEndian64(flushed.value, message + 9);
  PutBigEndian64(flushed.value, message + 17);
  const int64_t now =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  PutBigEndian64(static_cast<uint64_t>(now - pgoutput::kPostgresEpochMicros), message + 25);
  message[33] = request_reply ? 1 : 0;
  PGconn* conn = connection_->raw();
  if (PQputCopyData(conn, message, sizeof(message)) <= 0 || PQflush(conn) < 0) {
    return connection_->LastError("sending feedback to the replication stream");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReplicationStream>> StartReplication(const StreamOptions& options) {
  ConnectOptions connect;
  connect.replication = true;
  ASSIGN_OR_RETURN(auto connection, PgConnection::Connect(options.dsn, connect));
  // An option's value: a string literal that holds a list of identifiers.
  const std::string publication =
      absl::StrCat("\"", absl::StrReplaceAll(options.publication, {{"\"", "\"\""}, {"'", "''"}}), "\"");
  const std::string command =
      absl::StrCat("START_REPLICATION SLOT \"", options.slot, "\" LOGICAL ", options.start.ToString(),
                   " (proto_version '1', publication_names '", publication, "'",
                   options.binary ? ", binary 'true'" : "", options.messages ? ", messages 'true'" : "", ")");
  PGconn* conn = connection->raw();
  PGresult* result = PQexec(conn, command.c_str());
  const bool started = PQresultStatus(result) == PGRES_COPY_BOTH;
  const absl::Status status =
      started ? absl::OkStatus()
              : StatusFromResult(result, absl::StrCat("starting replication from slot ", options.slot));
  PQclear(result);
  RETURN_IF_ERROR(status);
  if (PQsetnonblocking(conn, 1) != 0) return connection->LastError("making the replication connection non-blocking");
  return std::make_unique<LibpqStream>(std::move(connection));
}

}  // namespace wallaby
