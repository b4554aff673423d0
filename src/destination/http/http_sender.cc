#include "destination/http/http_sender.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/url_encode.h"
#include "destination/http/webhook_signature.h"
#include "destination/push/pem_file.h"

namespace wallaby {
namespace {

constexpr size_t kKeptBody = 512;  // of an answer, for errors

// Statuses of the client-error class that are about the moment, and those about this one request. All others say that
// no request is wanted here.
constexpr std::array<long, 4> kAboutTheMoment = {408, 409, 425, 429};
constexpr std::array<long, 9> kAboutTheRequest = {400, 406, 411, 412, 413, 414, 415, 422, 431};

template <size_t N>
bool Has(const std::array<long, N>& statuses, long status) {
  return std::find(statuses.begin(), statuses.end(), status) != statuses.end();
}

std::string SchemeAndHost(const std::string& url) {
  return url.substr(0, url.find_first_of("/?#", url.find("://") + 3));
}

}  // namespace

HttpSender::HttpSender(const HttpOptions& options, std::string flow_id, std::string destination, const Event* cut_short)
    : options_(options), receiver_(SchemeAndHost(options.url)), cut_short_(cut_short == nullptr ? never_ : *cut_short) {
  // Without this, libcurl waits for permission before a large body.
  always_ = {"Expect:", absl::StrCat("X-Wallaby-Flow: ", UrlEncode(flow_id)),
             absl::StrCat("X-Wallaby-Destination: ", UrlEncode(destination))};
  for (const auto& [name, value] : options_.push.headers) always_.push_back(absl::StrCat(name, ": ", value));
  const PushOptions& push = options_.push;
  for (const auto& [file, option, out] : {std::tuple(&push.tls_ca_file, "tls_ca_file", &tls_.ca),
                                          std::tuple(&push.tls_cert_file, "tls_cert_file", &tls_.cert),
                                          std::tuple(&push.tls_key_file, "tls_key_file", &tls_.key)}) {
    if (files_.ok()) files_ = ReadPemFile(*file, option, out);
  }
}

std::vector<std::string> HttpSender::Headers(const PushRequest& request) const {
  std::vector<std::string> headers = always_;
  headers.insert(headers.end(), {absl::StrCat("Content-Type: ", request.content_type),
                                 absl::StrCat(options_.idempotency_header, ": ", request.key),
                                 absl::StrCat(options_.transaction_header, ": ", request.transaction_id),
                                 absl::StrCat("X-Wallaby-Payload-Mode: ", request.payload_mode),
                                 absl::StrCat("X-Wallaby-Schema: ", UrlEncode(request.schema)),
                                 absl::StrCat("X-Wallaby-Table: ", UrlEncode(request.table)),
                                 absl::StrCat("X-Wallaby-Operation: ", request.operation),
                                 absl::StrCat("X-Wallaby-Lsn: ", request.last.commit.ToString()),
                                 absl::StrCat("X-Wallaby-Seq: ", request.last.seq),
                                 absl::StrCat("X-Wallaby-Records: ", request.records)});
  if (!options_.signing_keys.empty()) {
    const int64_t now = absl::ToUnixSeconds(absl::Now());
    headers.insert(headers.end(),
                   {absl::StrCat("webhook-id: ", request.key), absl::StrCat("webhook-timestamp: ", now),
                    absl::StrCat("webhook-signature: ",
                                 WebhookSignature(options_.signing_keys, request.key, now, request.payload))});
  }
  return headers;
}

Answer HttpSender::Send(const PushRequest& request) {
  if (!files_.ok()) return {.kind = Answer::Kind::kRefused, .text = std::string(files_.message())};
  const absl::StatusOr<HttpResponse> response =
      client_.Send({.method = options_.method,
                    .url = absl::StrReplaceAll(
                        options_.url, {{"{schema}", UrlEncode(request.schema)}, {"{table}", UrlEncode(request.table)}}),
                    .headers = Headers(request),
                    .body = request.payload,
                    .timeout = options_.push.timeout,
                    .keep_body = kKeptBody},
                   tls_, cut_short_);
  return response.ok() ? Interpret(*response) : Interpret(response.status());
}

Answer HttpSender::Interpret(const HttpResponse& response) const {
  const long status = response.status;
  if (status / 100 == 2) return {};
  const std::string body = Excerpt(response.body);
  Answer answer{.text = absl::StrCat(receiver_, " answered ", status, body.empty() ? "" : ": ", body)};
  if (status / 100 == 5 || Has(kAboutTheMoment, status)) {
    answer.kind = Answer::Kind::kRetry;
    answer.after = ParseRetryAfter(response.retry_after, absl::Now());
  } else if (Has(kAboutTheRequest, status)) {
    answer.kind = Answer::Kind::kRejected;
  } else {
    answer.kind = Answer::Kind::kRefused;
    if (status == 410) {
      absl::StrAppend(&answer.text, "; it wants no more requests: take the destination out of the flow");
    } else if (status / 100 == 3) {
      absl::StrAppend(&answer.text, "; redirects are not followed: set url to where it points",
                      response.redirect.empty() ? "" : ", ",
                      Excerpt(response.redirect.substr(0, response.redirect.find_first_of("?#"))));
    } else {
      absl::StrAppend(&answer.text, "; check url, method and headers, then start the flow again");
    }
  }
  return answer;
}

Answer HttpSender::Interpret(const absl::Status& failure) const {
  const bool passes = IsTransient(failure) || absl::IsCancelled(failure);
  return {.kind = passes ? Answer::Kind::kRetry : Answer::Kind::kRefused,
          .text = absl::StrCat(receiver_, ": ", failure.message())};
}

}  // namespace wallaby
