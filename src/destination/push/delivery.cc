#include "destination/push/delivery.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/backoff.h"

namespace wallaby {
namespace {

std::string Describe(const PushRequest& request) {
  const bool one = request.first == request.last;
  return absl::StrCat("table ", request.schema, ".", request.table, ", position ", request.first.ToString(),
                      one ? "" : " to ", one ? "" : request.last.ToString(), " (", request.operation, ")");
}

}  // namespace

std::string Excerpt(std::string_view text) {
  constexpr size_t kLongest = 300;
  const bool cut = text.size() > kLongest;
  std::string out(absl::StripAsciiWhitespace(text.substr(0, kLongest)));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = c == '\n' || c == '\t' || c == '\r' ? ' ' : '?';
  }
  return cut ? out + "..." : out;
}

absl::Status Delivery::Resend(PushSender& sender, const PushRequest& request, const Event& end) const {
  Backoff backoff(options_.backoff_base, options_.backoff_max, std::random_device{}(), options_.backoff_factor);
  while (true) {
    const Answer answer = sender.Send(request);
    const std::string said = absl::StrCat(Describe(request), ": ", answer.text);
    switch (answer.kind) {
      case Answer::Kind::kTaken:
        return absl::OkStatus();
      case Answer::Kind::kRejected:
        return absl::InvalidArgumentError(said);
      case Answer::Kind::kRefused:
        return absl::FailedPreconditionError(said);
      case Answer::Kind::kRetry:
        if (backoff.tries() >= options_.max_retries) {
          return absl::UnavailableError(absl::StrCat(said, " (after ", backoff.tries() + 1, " tries)"));
        }
    }
    const absl::Duration wait = std::max(backoff.Next(), std::min(answer.after, options_.backoff_max));
    if (end.Wait(wait)) return absl::CancelledError(said);
  }
}

absl::Status Delivery::Deliver(PushSender& sender, const PushRequest& request, const Event& end) const {
  const absl::Status sent = Resend(sender, request, end);
  const std::string said(sent.message());
  if (absl::IsInvalidArgument(sent)) {
    if (options_.keep_rejected) return Keep(request, said);
    return absl::InvalidArgumentError(
        absl::StrCat(said, "; mend the receiver or the row and start the flow again, or set on_reject to dead_letter"));
  }
  if (absl::IsUnavailable(sent) && options_.keep_exhausted) return Keep(request, said);
  return sent;
}

absl::Status Delivery::Keep(const PushRequest& request, std::string reason) const {
  if (dead_letters_ == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(reason, "; dead letters cannot be kept here"));
  }
  return dead_letters_->Keep({.request = request, .destination = destination_, .reason = std::move(reason)});
}

}  // namespace wallaby
