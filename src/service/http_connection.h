// HttpConnection: a connection of an HTTP listener, plain or TLS, that nobody can hold by sending little or much: a
// request must have come whole within a time and within a number of bytes, and its answer must be taken within that
// time.
#ifndef WALLABY_SERVICE_HTTP_CONNECTION_H_
#define WALLABY_SERVICE_HTTP_CONNECTION_H_

#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/freer.h"
#include "httplib.h"

namespace wallaby {

struct HttpLimits {
  absl::Duration timeout;  // to send a request, and to take its answer
  size_t max_request = 0;  // bytes, headers and body
  absl::Duration idle;     // between two requests of a connection
};

// Owns the socket. Of one thread.
class HttpConnection final : public httplib::Stream {
 public:
  HttpConnection(socket_t socket, const HttpLimits& limits);
  ~HttpConnection() override;

  // The server's side of a handshake, within the timeout. `context` outlives the connection. False: nothing can be
  // said.
  bool StartTls(SSL_CTX* context);
  // Whether the next request begins to come within the time that it may; its limits count from now on.
  bool AwaitRequest();
  // Null for a plain connection.
  const SSL* ssl() const { return ssl_.get(); }

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* out, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  void LetAnswerArrive();
  // Waits for the socket, at the latest until the deadline.
  bool Await(short events) const;
  // Whether an SSL call that gave `result` is worth another try, after waiting for what it needs.
  bool AwaitTls(int result) const;
  // At least one byte into the empty buffer; 0 or less at the end, an error or the deadline.
  ssize_t Fill();

  const socket_t socket_;
  const HttpLimits limits_;
  std::unique_ptr<SSL, Freer<SSL_free>> ssl_;
  absl::Time deadline_;
  size_t left_ = 0;  // bytes that the request may still have
  bool answering_ = false;
  bool first_ = true;  // request of the connection
  std::array<char, 4096> buffer_;
  size_t begin_ = 0;  // of what was received and not read yet
  size_t end_ = 0;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_HTTP_CONNECTION_H_
