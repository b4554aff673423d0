// HttpSender: requests over HTTP, and what their answers mean. docs/destinations/http.md has both as tables.
#ifndef WALLABY_DESTINATION_HTTP_HTTP_SENDER_H_
#define WALLABY_DESTINATION_HTTP_HTTP_SENDER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/event.h"
#include "base/http_client.h"
#include "destination/push/push_sender.h"
#include "destination/push_options.h"

namespace wallaby {

class HttpSender final : public PushSender {
 public:
  // Reads the files that the options name; what cannot be read shows when something is sent. `cut_short` calls a try
  // off; it outlives the object, and may be null.
  HttpSender(const HttpOptions& options, std::string flow_id, std::string destination,
             const Event* cut_short = nullptr);
  Answer Send(const PushRequest& request) override;

 private:
  std::vector<std::string> Headers(const PushRequest& request) const;
  Answer Interpret(const HttpResponse& response) const;
  Answer Interpret(const absl::Status& failure) const;

  const HttpOptions options_;
  const std::string receiver_;       // scheme and host, for errors: what follows may be secret
  std::vector<std::string> always_;  // headers of every request
  TlsIdentity tls_;
  absl::Status files_;
  const Event never_;
  const Event& cut_short_;
  HttpClient client_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_HTTP_HTTP_SENDER_H_
