#include "destination/push/delivery.h"

#include <poll.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/retry_after.h"

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
    // What was called off is no answer of the receiver's.
    if (answer.kind != Answer::Kind::kTaken && cut_short_ != nullptr && cut_short_->Wait(absl::ZeroDuration())) {
      return absl::CancelledError(said);
    }
    const absl::Duration asked = std::min(answer.after, options_.retry_after_max);
    switch (answer.kind) {
      case Answer::Kind::kTaken:
        return absl::OkStatus();
      case Answer::Kind::kRejected:
        return absl::InvalidArgumentError(said);
      case Answer::Kind::kRefused:
        return absl::FailedPreconditionError(said);
      case Answer::Kind::kRetry:
        if (backoff.tries() >= options_.max_retries) {
          return WithRetryAfter(absl::UnavailableError(absl::StrCat(said, " (after ", backoff.tries() + 1, " tries)")),
                                asked);
        }
    }
    if (Ends(end, std::max(backoff.Next(), asked))) return absl::CancelledError(said);
  }
}

bool Delivery::Ends(const Event& end, absl::Duration wait) const {
  if (cut_short_ == nullptr) return end.Wait(wait);
  const absl::Duration until = Clock::Real()->Monotonic() + wait;
  while (true) {
    pollfd fds[] = {{end.fd(), POLLIN, 0}, {cut_short_->fd(), POLLIN, 0}};
    const absl::Duration left = std::max(until - Clock::Real()->Monotonic(), absl::ZeroDuration());
    const timespec timeout = absl::ToTimespec(left);
    const int ready = ppoll(fds, std::size(fds), &timeout, nullptr);
    if (ready > 0) return true;
    if (ready == 0) return false;  // else a signal came
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
