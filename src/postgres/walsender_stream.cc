#include "postgres/walsender_stream.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "change/tuple.h"
#include "pgoutput/messages.h"
#include "postgres/connection.h"
#include "postgres/gather.h"

namespace wallaby {
namespace {

void PutBigEndian64(uint64_t value, char* out) {
  value = __builtin_bswap64(value);
  std::memcpy(out, &value, sizeof(value));
}

class WalsenderStream : public ReplicationStream {
 public:
  explicit WalsenderStream(std::unique_ptr<PgConnection> connection) : connection_(std::move(connection)) {}
  ~WalsenderStream() override { FreeBuffer(); }

  absl::StatusOr<Packet> Next() override;
  absl::Status Wait(absl::Duration timeout, Event& wake) override;
  absl::Status SendFeedback(Lsn received, Lsn flushed, bool request_reply) override;

 private:
  void FreeBuffer() {
    if (buffer_ != nullptr) PQfreemem(buffer_);
    buffer_ = nullptr;
  }
  absl::Status EndOfStream();
  absl::Status CheckSilence();
  static absl::StatusOr<Packet> Parse(std::string_view data);

  std::unique_ptr<PgConnection> connection_;
  char* buffer_ = nullptr;
  Gather gather_;
  bool has_read_ = false;  // since the last wait
  Lsn received_;           // as the server was told last
  Lsn flushed_;
  bool asked_ = false;  // for an answer, since it said something
};

absl::StatusOr<Packet> WalsenderStream::Next() {
  FreeBuffer();
  PGconn* conn = connection_->raw();
  int got = PQgetCopyData(conn, &buffer_, /*async=*/1);
  if (got == 0) {
    // Under load one read from the socket for each wait: another would mostly find nothing.
    if (has_read_ && gather_.busy()) return Packet{};
    has_read_ = true;
    if (PQconsumeInput(conn) == 0) return connection_->LastError("reading the replication stream");
    got = PQgetCopyData(conn, &buffer_, /*async=*/1);
  }
  if (got == 0) return Packet{};
  if (got < 0) return EndOfStream();
  gather_.Got(got);
  return Parse(std::string_view(buffer_, got));
}

absl::StatusOr<Packet> WalsenderStream::Parse(std::string_view data) {
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
absl::Status WalsenderStream::EndOfStream() {
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

absl::Status WalsenderStream::Wait(absl::Duration timeout, Event& wake) {
  has_read_ = false;
  RETURN_IF_ERROR(
      gather_.Wait(PQsocket(connection_->raw()), std::min(timeout, connection_->silence_limit() / 4), wake));
  return CheckSilence();
}

// A connection whose other end is gone without a word stays open for ever. So the server is asked for an answer when it
// has been silent for half the time, and taken for gone at the end of it.
absl::Status WalsenderStream::CheckSilence() {
  const absl::Duration limit = connection_->silence_limit();
  if (gather_.silent() < limit / 2) {
    asked_ = false;
    return absl::OkStatus();
  }
  if (gather_.silent() >= limit) {
    return absl::UnavailableError(absl::StrCat("the source was asked and has said nothing for ",
                                               absl::FormatDuration(limit),
                                               " (the DSN's tcp_user_timeout): the connection is taken for lost"));
  }
  if (asked_) return absl::OkStatus();
  asked_ = true;
  return SendFeedback(received_, flushed_, /*request_reply=*/true);
}

absl::Status WalsenderStream::SendFeedback(Lsn received, Lsn flushed, bool request_reply) {
  received_ = received;
  flushed_ = flushed;
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

std::vector<std::pair<std::string, std::string>> PluginOptions(const StreamOptions& options) {
  std::vector<std::pair<std::string, std::string>> plugin = {{"proto_version", "1"},
                                                             {"publication_names", SqlIdentifier(options.publication)}};
  if (options.binary) plugin.emplace_back("binary", "true");
  if (options.messages) plugin.emplace_back("messages", "true");
  return plugin;
}

absl::StatusOr<std::unique_ptr<ReplicationStream>> StartWalsender(const StreamOptions& options) {
  ConnectOptions connect;
  connect.replication = true;
  connect.answer_limit = kSilenceLimit;
  ASSIGN_OR_RETURN(auto connection, PgConnection::Connect(options.dsn, connect));
  RETURN_IF_ERROR(EnlargeInputBuffer(*connection));
  const std::string command =
      absl::StrCat("START_REPLICATION SLOT ", SqlIdentifier(options.slot), " LOGICAL ", options.start.ToString(), " (",
                   absl::StrJoin(PluginOptions(options), ", ",
                                 [](std::string* out, const auto& option) {
                                   absl::StrAppend(out, option.first, " ", SqlLiteral(option.second));
                                 }),
                   ")");
  PGconn* conn = connection->raw();
  if (PQsendQuery(conn, command.c_str()) == 0) return connection->LastError("starting replication");
  RETURN_IF_ERROR(connection->AwaitResult("starting replication"));
  PGresult* result = PQgetResult(conn);
  const bool started = PQresultStatus(result) == PGRES_COPY_BOTH;
  const absl::Status status =
      started ? absl::OkStatus()
              : StatusFromResult(result, absl::StrCat("starting replication from slot ", options.slot));
  PQclear(result);
  RETURN_IF_ERROR(status);
  if (PQsetnonblocking(conn, 1) != 0) return connection->LastError("making the replication connection non-blocking");
  return std::make_unique<WalsenderStream>(std::move(connection));
}

}  // namespace wallaby
