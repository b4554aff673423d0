#include "base/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/freer.h"

namespace wallaby {
namespace {

constexpr size_t kMaxBody = 64 << 20;
constexpr absl::Duration kConnectTimeout = absl::Seconds(5);
constexpr int kPollMs = 1000;

using Easy = std::unique_ptr<CURL, Freer<curl_easy_cleanup>>;
using List = std::unique_ptr<curl_slist, Freer<curl_slist_free_all>>;

struct Transfer {
  const HttpRequest* request = nullptr;
  CURL* easy = nullptr;
  HttpResponse response;
  bool ended_by_reader = false;
};

size_t OnData(char* data, size_t size, size_t count, void* context) {
  auto* transfer = static_cast<Transfer*>(context);
  const size_t length = size * count;
  long status = 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
  if (transfer->request->on_data && status / 100 == 2) {
    if (transfer->request->on_data({data, length})) return length;
    transfer->ended_by_reader = true;
    return 0;
  }
  std::string& body = transfer->response.body;
  const std::optional<size_t>& keep = transfer->request->keep_body;
  if (!keep && body.size() + length > kMaxBody) return 0;
  body.append(data, keep ? std::min(length, *keep - std::min(*keep, body.size())) : length);
  return length;
}

size_t OnHeader(char* data, size_t size, size_t count, void* context) {
  const size_t length = size * count;
  const std::string_view line(data, length);
  HttpResponse& response = static_cast<Transfer*>(context)->response;
  const size_t colon = line.find(':');
  if (line.starts_with("HTTP/")) response.headers.clear();  // of an answer before the last one: 100 Continue
  if (colon == line.npos) return length;
  const std::string name = absl::AsciiStrToLower(line.substr(0, colon));
  const std::string value(absl::StripAsciiWhitespace(line.substr(colon + 1)));
  if (name == "retry-after") response.retry_after = value;
  response.headers.insert_or_assign(name, value);
  return length;
}

// curl copies a blob that it is told to, and takes no const pointer.
void SetBlob(CURL* easy, CURLoption option, const std::string& pem) {
  if (pem.empty()) return;
  std::string copy = pem;
  curl_blob blob = {copy.data(), copy.size(), CURL_BLOB_COPY};
  curl_easy_setopt(easy, option, &blob);
}

void SetTls(CURL* easy, const TlsIdentity& tls) {
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls.insecure ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls.insecure ? 0L : 2L);
  SetBlob(easy, CURLOPT_CAINFO_BLOB, tls.ca);
  SetBlob(easy, CURLOPT_SSLCERT_BLOB, tls.cert);
  SetBlob(easy, CURLOPT_SSLKEY_BLOB, tls.key);
}

void SetRequest(CURL* easy, const HttpRequest& request, curl_slist* headers, Transfer* transfer) {
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  if (!request.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  if (!request.proxy.empty()) curl_easy_setopt(easy, CURLOPT_PROXY, request.proxy.c_str());
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "wallaby");
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, absl::ToInt64Milliseconds(kConnectTimeout));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, absl::ToInt64Milliseconds(request.timeout));
  // A peer that is gone without a word shows on a watch, which may be silent for minutes, only by this.
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 10L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 5L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnData);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
}

absl::Status ToStatus(CURLcode code, std::string_view detail) {
  const std::string text(detail.empty() ? curl_easy_strerror(code) : detail);
  switch (code) {
    case CURLE_OK:
      return absl::OkStatus();
    case CURLE_OPERATION_TIMEDOUT:
      return absl::DeadlineExceededError(absl::StrCat("no answer in time: ", text));
    case CURLE_PEER_FAILED_VERIFICATION:
      return absl::FailedPreconditionError(absl::StrCat("its certificate is not trusted: ", text));
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return absl::FailedPreconditionError(absl::StrCat("a certificate or key of the settings cannot be used: ", text));
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return absl::InvalidArgumentError(text);
    case CURLE_WRITE_ERROR:
      return absl::ResourceExhaustedError("its answer is larger than 64 MiB");
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace

// The easy handle ends before the multi handle, which keeps the connections.
struct HttpClient::Handles {
  std::unique_ptr<CURLM, Freer<curl_multi_cleanup>> multi{curl_multi_init()};
  Easy easy{curl_easy_init()};
};

absl::Duration ParseRetryAfter(std::string_view value, absl::Time now) {
  int64_t seconds = 0;
  if (absl::SimpleAtoi(value, &seconds)) return absl::Seconds(std::max<int64_t>(seconds, 0));
  absl::Time at;
  std::string error;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", value, &at, &error)) return absl::ZeroDuration();
  return std::max(at - now, absl::ZeroDuration());
}

HttpClient::HttpClient() {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(ready);
  handles_ = std::make_unique<Handles>();
}

HttpClient::~HttpClient() = default;

absl::StatusOr<HttpResponse> HttpClient::Send(const HttpRequest& request, const TlsIdentity& tls, const Event& cancel) {
  CURLM* const multi = handles_->multi.get();
  CURL* const easy = handles_->easy.get();
  if (multi == nullptr || easy == nullptr) return absl::ResourceExhaustedError("libcurl has no memory");
  List headers;
  for (const std::string& header : request.headers) {
    headers.reset(curl_slist_append(headers.release(), header.c_str()));
  }
  Transfer transfer{.request = &request, .easy = easy};
  const absl::Cleanup forget = [easy] { curl_easy_reset(easy); };
  std::string detail(CURL_ERROR_SIZE, '\0');
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, detail.data());
  SetRequest(easy, request, headers.get(), &transfer);
  SetTls(easy, tls);

  curl_multi_add_handle(multi, easy);
  int running = 1;
  bool cancelled = false;
  while (true) {
    curl_multi_perform(multi, &running);
    if (running == 0) break;
    curl_waitfd wait = {cancel.fd(), CURL_WAIT_POLLIN, 0};
    curl_multi_poll(multi, &wait, 1, kPollMs, nullptr);
    cancelled = cancel.Wait(absl::ZeroDuration());
    if (cancelled) break;
  }
  CURLcode code = CURLE_OK;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg == CURLMSG_DONE) code = message->data.result;
  }
  curl_multi_remove_handle(multi, easy);
  if (cancelled) return absl::CancelledError("called off");
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &transfer.response.status);
  const char* redirect = nullptr;
  curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &redirect);
  if (redirect != nullptr) transfer.response.redirect = redirect;
  if (code != CURLE_OK && !transfer.ended_by_reader) return ToStatus(code, detail.c_str());
  return std::move(transfer.response);
}

}  // namespace wallaby
