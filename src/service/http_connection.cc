#include "service/http_connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "absl/time/clock.h"

namespace wallaby {
namespace {

constexpr absl::Duration kFarewell = absl::Milliseconds(500);
constexpr size_t kFarewellBytes = 1 << 20;

template <typename GetName>
void Address(socket_t socket, GetName get_name, std::string* ip, int* port) {
  sockaddr_storage address = {};
  socklen_t length = sizeof(address);
  char host[NI_MAXHOST] = {};
  char service[NI_MAXSERV] = {};
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  if (get_name(socket, plain, &length) != 0 ||
      getnameinfo(plain, length, host, sizeof(host), service, sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return;
  }
  *ip = host;
  std::from_chars(service, service + std::strlen(service), *port);
}

}  // namespace

HttpConnection::HttpConnection(socket_t socket, const HttpLimits& limits) : socket_(socket), limits_(limits) {
  fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL, 0) | O_NONBLOCK);
  deadline_ = absl::Now() + limits_.timeout;
}

HttpConnection::~HttpConnection() {
  if (ssl_ != nullptr && SSL_is_init_finished(ssl_.get())) {
    deadline_ = std::min(deadline_, absl::Now() + absl::Seconds(1));
    SSL_shutdown(ssl_.get());  // tells the peer; its own farewell is not waited for
  }
  ERR_clear_error();
  shutdown(socket_, SHUT_WR);
  if (answering_) LetAnswerArrive();
  close(socket_);
}

// To close with something unread resets the connection, and the peer might not see what was answered.
void HttpConnection::LetAnswerArrive() {
  deadline_ = absl::Now() + kFarewell;
  for (size_t left = kFarewellBytes; left > 0 && Await(POLLIN);) {
    const ssize_t got = recv(socket_, buffer_.data(), std::min(left, buffer_.size()), MSG_DONTWAIT);
    if (got <= 0) return;
    left -= static_cast<size_t>(got);
  }
}

bool HttpConnection::Await(short events) const {
  const int64_t left = absl::ToInt64Milliseconds(deadline_ - absl::Now());
  if (left <= 0) return false;
  pollfd waiting = {socket_, events, 0};
  int ready;
  do ready = poll(&waiting, 1, static_cast<int>(left));
  while (ready < 0 && errno == EINTR);
  return ready > 0;
}

bool HttpConnection::AwaitTls(int result) const {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return Await(POLLIN);
    case SSL_ERROR_WANT_WRITE:
      return Await(POLLOUT);
    default:
      ERR_clear_error();
      return false;
  }
}

bool HttpConnection::StartTls(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  if (ssl_ == nullptr || SSL_set_fd(ssl_.get(), socket_) != 1) return false;
  ERR_clear_error();
  int result;
  do result = SSL_accept(ssl_.get());
  while (result != 1 && AwaitTls(result));
  return result == 1;
}

bool HttpConnection::AwaitRequest() {
  answering_ = false;
  left_ = limits_.max_request;
  deadline_ = absl::Now() + (first_ ? limits_.timeout : limits_.idle);
  first_ = false;
  if (begin_ == end_ && Fill() <= 0) return false;
  deadline_ = absl::Now() + limits_.timeout;
  return true;
}

ssize_t HttpConnection::Fill() {
  ssize_t got;
  if (ssl_ != nullptr) {
    ERR_clear_error();
    do got = SSL_read(ssl_.get(), buffer_.data(), static_cast<int>(buffer_.size()));
    while (got <= 0 && AwaitTls(static_cast<int>(got)));
  } else {
    do got = recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    while (got < 0 && (errno == EINTR || ((errno == EAGAIN || errno == EWOULDBLOCK) && Await(POLLIN))));
  }
  begin_ = 0;
  end_ = got > 0 ? static_cast<size_t>(got) : 0;
  return got;
}

ssize_t HttpConnection::read(char* out, size_t size) {
  if (left_ == 0 || absl::Now() >= deadline_) return -1;
  if (begin_ == end_) {
    if (const ssize_t got = Fill(); got <= 0) return got;
  }
  const size_t count = std::min({size, end_ - begin_, left_});
  std::memcpy(out, buffer_.data() + begin_, count);
  begin_ += count;
  left_ -= count;
  return static_cast<ssize_t>(count);
}

ssize_t HttpConnection::write(const char* data, size_t size) {
  // Handlers may have taken their time.
  if (!answering_) deadline_ = absl::Now() + limits_.timeout;
  answering_ = true;
  if (size == 0) return 0;
  ssize_t sent;
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int part = static_cast<int>(std::min<size_t>(size, 1 << 20));
    do sent = SSL_write(ssl_.get(), data, part);
    while (sent <= 0 && AwaitTls(static_cast<int>(sent)));
  } else {
    do sent = send(socket_, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && (errno == EINTR || ((errno == EAGAIN || errno == EWOULDBLOCK) && Await(POLLOUT))));
  }
  return sent;
}

bool HttpConnection::is_readable() const {
  return begin_ < end_ || (ssl_ != nullptr && SSL_pending(ssl_.get()) > 0) || Await(POLLIN);
}

bool HttpConnection::is_writable() const {
  return answering_ ? Await(POLLOUT) : true;
}

void HttpConnection::get_remote_ip_and_port(std::string& ip, int& port) const {
  Address(socket_, getpeername, &ip, &port);
}

void HttpConnection::get_local_ip_and_port(std::string& ip, int& port) const {
  Address(socket_, getsockname, &ip, &port);
}

}  // namespace wallaby
