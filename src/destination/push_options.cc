#include "destination/push_options.h"

#include <algorithm>
#include <array>
#include <span>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/units.h"
#include "destination/option_reader.h"
#include "destination/option_specs.h"

namespace wallaby {
namespace {

constexpr std::array kModes = {PayloadMode::kWire, PayloadMode::kRecordJson, PayloadMode::kWal};
constexpr absl::Duration kShortest = absl::Milliseconds(1), kLongest = absl::Hours(1);
constexpr size_t kShortestKey = 24, kLongestKey = 64;  // of a signing secret: Standard Webhooks, "Symmetric"

// Reads options one by one; the first error counts. `type` is "http" or "grpc".
class Reader : public SpecReader {
 public:
  Reader(const DestinationConfig& config, std::string_view type)
      : SpecReader(config, DestinationOptions(type).value_or(std::span<const OptionSpec>())) {}

  const absl::Status& status() const { return status_; }

  void Refuse(std::string_view name, std::string_view why = "") { status_.Update(Refusal(name, why)); }

  void Text(std::string_view name, std::string* out) const {
    if (const std::string* value = Find(name)) *out = *value;
  }
  void Bool(std::string_view name, bool* out) {
    Parse(name, out, [](const std::string& text) { return ParseBool(text); });
  }
  void Time(std::string_view name, absl::Duration* out, absl::Duration shortest = kShortest) {
    Parse(name, out, [](const std::string& text) { return ParseDuration(text); });
    if (*out < shortest || *out > kLongest) Refuse(name);
  }
  void Bytes(std::string_view name, int64_t from, int64_t to, int64_t* out) {
    Parse(name, out, [](const std::string& text) { return ParseBytes(text); });
    if (*out < from || *out > to) Refuse(name);
  }
  template <typename Number>
  void Whole(std::string_view name, Number from, Number to, Number* out) {
    const std::string* value = Find(name);
    if (value != nullptr && (!absl::SimpleAtoi(*value, out) || *out < from || *out > to)) Refuse(name);
  }
  // One of two words; `out` is whether it is the second.
  void Choice(std::string_view name, std::string_view first, std::string_view second, bool* out) {
    const std::string* value = Find(name);
    if (value == nullptr) return;
    if (*value != first && *value != second) Refuse(name);
    *out = *value == second;
  }

 private:
  template <typename Value, typename ParseText>
  void Parse(std::string_view name, Value* out, ParseText parse) {
    const std::string* value = Find(name);
    if (value == nullptr) return;
    const auto parsed = parse(*value);
    if (!parsed.ok()) return Refuse(name);
    *out = *parsed;
  }

  absl::Status status_;
};

// RFC 9110, section 5.6.2: token.
bool IsHeaderName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("!#$%&'*+-.^_`|~", c);
  });
}

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c != '\x7f'; });
}

void ReadHeaders(Reader* reader, PushOptions* out) {
  const std::string* list = reader->Find("headers");
  if (list == nullptr) return;
  for (const std::string_view entry : absl::StrSplit(*list, ',')) {
    const size_t colon = entry.find(':');
    const std::string_view name = absl::StripAsciiWhitespace(entry.substr(0, colon));
    const std::string_view value = colon == entry.npos ? "" : absl::StripAsciiWhitespace(entry.substr(colon + 1));
    if (!IsHeaderName(name) || value.empty() || !IsPrintable(value)) return reader->Refuse("headers");
    const std::string lower = absl::AsciiStrToLower(name);
    if (lower.starts_with("webhook-") || lower.starts_with("x-wallaby-") || lower.starts_with("grpc-") ||
        lower == "content-type" || lower == "content-length" || lower == "transfer-encoding") {
      return reader->Refuse("headers", absl::StrCat(name, " is set by the destination itself"));
    }
    out->headers.emplace_back(name, value);
  }
}

void ReadPush(Reader* reader, PushOptions* out) {
  if (const std::string* mode = reader->Find("payload_mode")) {
    const auto found =
        std::find_if(kModes.begin(), kModes.end(), [&](PayloadMode known) { return PayloadModeName(known) == *mode; });
    if (found == kModes.end()) {
      reader->Refuse("payload_mode");
    } else {
      out->payload_mode = *found;
    }
  }
  const std::string* format = reader->Find("format");
  if (out->payload_mode == PayloadMode::kRecordJson && format != nullptr && *format != "json") {
    reader->Refuse("payload_mode", absl::StrCat("format is ", *format, ", and its records are JSON"));
  }
  if (out->payload_mode != PayloadMode::kWire) {
    for (const std::string_view name : {"batch_records", "batch_bytes"}) {
      if (reader->Find(name) != nullptr) reader->Refuse(name, "only payload_mode wire sends batches");
    }
  }
  reader->Time("timeout", &out->timeout);
  reader->Whole("max_retries", 0, 1000, &out->max_retries);
  reader->Time("backoff_base", &out->backoff_base);
  reader->Time("backoff_max", &out->backoff_max);
  reader->Time("retry_after_max", &out->retry_after_max);
  if (const std::string* factor = reader->Find("backoff_factor")) {
    const bool number = absl::SimpleAtod(*factor, &out->backoff_factor);
    if (!number || !(out->backoff_factor >= 1 && out->backoff_factor <= 100)) reader->Refuse("backoff_factor");
  }
  ReadHeaders(reader, out);
  reader->Whole("batch_records", int64_t{1}, int64_t{1'000'000}, &out->batch_records);
  reader->Bytes("batch_bytes", 1 << 10, 64 << 20, &out->batch_bytes);
  reader->Whole("parallelism", 1, 64, &out->parallelism);
  reader->Time("dedupe_window", &out->dedupe_window, absl::ZeroDuration());
  reader->Choice("on_reject", "fail", "dead_letter", &out->keep_rejected);
  reader->Choice("on_retry_exhaustion", "retry", "dead_letter", &out->keep_exhausted);
  reader->Text("tls_ca_file", &out->tls_ca_file);
  reader->Text("tls_cert_file", &out->tls_cert_file);
  reader->Text("tls_key_file", &out->tls_key_file);
  if (out->tls_cert_file.empty() != out->tls_key_file.empty()) {
    reader->Refuse(out->tls_cert_file.empty() ? "tls_cert_file" : "tls_key_file", "the other one is given");
  }
}

// Standard Webhooks, "Symmetric signatures": whsec_ and 24 to 64 bytes in base64.
void ReadSigningSecrets(Reader* reader, HttpOptions* out) {
  const std::string* list = reader->Find("signing_secret");
  if (list == nullptr || IsReferenceText(*list)) return;
  for (std::string_view secret : absl::StrSplit(*list, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty())) {
    constexpr std::string_view kPrefix = "whsec_";
    std::string key;
    const bool fits = secret.starts_with(kPrefix) && absl::Base64Unescape(secret.substr(kPrefix.size()), &key);
    if (!fits || key.size() < kShortestKey || key.size() > kLongestKey) {
      return reader->Refuse("signing_secret", "a secret is whsec_ and the base64 of 24 to 64 bytes");
    }
    out->signing_keys.push_back(std::move(key));
  }
}

// The template with its places filled by a name that any URL can hold.
std::string Sample(std::string_view url) {
  return absl::StrReplaceAll(url, {{"{schema}", "x"}, {"{table}", "x"}});
}

void CheckUrl(Reader* reader, const std::string& url) {
  if (IsReferenceText(url)) return;  // its worker reads it again when it has been followed
  const std::string sample = Sample(url);
  const size_t scheme = absl::StartsWithIgnoreCase(sample, "https://")  ? 8
                        : absl::StartsWithIgnoreCase(sample, "http://") ? 7
                                                                        : 0;
  const std::string authority = sample.substr(scheme, sample.find_first_of("/?#", scheme) - scheme);
  if (scheme == 0 || authority.empty()) return reader->Refuse("url");
  if (absl::StrContains(authority, '@')) {
    return reader->Refuse("url", "a user and password belong into headers (Authorization:Basic ...)");
  }
  if (url.substr(0, url.find_first_of("/?#", scheme)).find('{') != std::string::npos) {
    return reader->Refuse("url", "{schema} and {table} may stand behind the host only");
  }
  for (const char c : sample) {
    if (c <= ' ' || c == '\x7f' || c == '{' || c == '}') {
      return reader->Refuse("url", "blanks and braces other than {schema} and {table} are not allowed");
    }
  }
}

// What the destination sets beside the two headers that have a name of the user's choice.
bool IsOwnHeader(std::string_view lower) {
  constexpr std::string_view kOwn[] = {
      "content-length",      "content-type",          "expect",           "host",
      "transfer-encoding",   "x-wallaby-destination", "x-wallaby-flow",   "x-wallaby-lsn",
      "x-wallaby-operation", "x-wallaby-records",     "x-wallaby-schema", "x-wallaby-payload-mode",
      "x-wallaby-seq",       "x-wallaby-table"};
  return lower.starts_with("webhook-") || std::find(std::begin(kOwn), std::end(kOwn), lower) != std::end(kOwn);
}

void ReadHeaderName(Reader* reader, std::string_view name, const HttpOptions& options, std::string* out) {
  reader->Text(name, out);
  if (!IsHeaderName(*out)) return reader->Refuse(name);
  const std::string lower = absl::AsciiStrToLower(*out);
  if (IsOwnHeader(lower)) return reader->Refuse(name, absl::StrCat(*out, " is set by the destination itself"));
  for (const auto& [given, value] : options.push.headers) {
    if (absl::AsciiStrToLower(given) == lower) return reader->Refuse(name, "option headers has this one, too");
  }
}

}  // namespace

std::string_view PayloadModeName(PayloadMode mode) {
  switch (mode) {
    case PayloadMode::kWire:
      return "wire";
    case PayloadMode::kRecordJson:
      return "record_json";
    case PayloadMode::kWal:
      return "wal";
  }
  return "";
}

absl::StatusOr<HttpOptions> ParseHttpOptions(const DestinationConfig& config) {
  Reader reader(config, "http");
  HttpOptions out;
  ReadPush(&reader, &out.push);
  reader.Text("url", &out.url);
  CheckUrl(&reader, out.url);
  reader.Text("method", &out.method);
  if (out.method != "POST" && out.method != "PUT" && out.method != "PATCH") reader.Refuse("method");
  ReadHeaderName(&reader, "idempotency_header", out, &out.idempotency_header);
  ReadHeaderName(&reader, "transaction_header", out, &out.transaction_header);
  if (absl::EqualsIgnoreCase(out.idempotency_header, out.transaction_header)) {
    reader.Refuse(reader.Find("transaction_header") != nullptr ? "transaction_header" : "idempotency_header",
                  "idempotency_header and transaction_header would be one header");
  }
  ReadSigningSecrets(&reader, &out);
  RETURN_IF_ERROR(reader.status());
  return out;
}

absl::StatusOr<GrpcOptions> ParseGrpcOptions(const DestinationConfig& config) {
  Reader reader(config, "grpc");
  GrpcOptions out;
  out.flow_id = config.flow_id;
  out.destination = config.name;
  ReadPush(&reader, &out.push);
  reader.Text("endpoint", &out.endpoint);
  if (absl::StrContains(out.endpoint, "://")) reader.Refuse("endpoint", "there is no scheme before it");
  reader.Bool("insecure", &out.insecure);
  reader.Text("tls_server_name", &out.tls_server_name);
  reader.Text("token", &out.token);
  reader.Text("flow_id", &out.flow_id);
  reader.Text("destination", &out.destination);
  reader.Bytes("max_message_bytes", 1 << 10, 1 << 30, &out.max_message_bytes);
  for (const std::string_view name : {"tls_ca_file", "tls_cert_file", "tls_server_name"}) {
    if (out.insecure && reader.Find(name) != nullptr) reader.Refuse(name, "insecure turns TLS off");
  }
  if (!IsPrintable(out.token)) reader.Refuse("token");
  out.push.batch_bytes = std::min(out.push.batch_bytes, out.max_message_bytes);
  RETURN_IF_ERROR(reader.status());
  return out;
}

}  // namespace wallaby
