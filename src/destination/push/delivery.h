// Delivery: a request's whole way to an answer that counts: tries, waits between them, and a dead letter where the
// options ask for one.
#ifndef WALLABY_DESTINATION_PUSH_DELIVERY_H_
#define WALLABY_DESTINATION_PUSH_DELIVERY_H_

#include <string>

#include "absl/status/status.h"
#include "base/event.h"
#include "destination/push/push_sender.h"
#include "destination/push_options.h"

namespace wallaby {

class Delivery {
 public:
  // `dead_letters` and `cut_short` (see DestinationConfig) may be null, and outlive the object.
  Delivery(const PushOptions& options, std::string destination, DeadLetterSink* dead_letters,
           const Event* cut_short = nullptr)
      : options_(options), destination_(std::move(destination)), dead_letters_(dead_letters), cut_short_(cut_short) {}

  // OK: taken, or kept as a dead letter. INVALID_ARGUMENT: rejected; FAILED_PRECONDITION: the receiver takes nothing;
  // UNAVAILABLE: all tries failed, with how long the receiver wants to be left alone (base/retry_after.h); CANCELLED:
  // `end` was set between two tries, or the worker is cut short. Errors name table, position, operation and what the
  // receiver said. Safe from several threads, each with a sender of its own.
  absl::Status Deliver(PushSender& sender, const PushRequest& request, const Event& end) const;
  // The same, but never a dead letter: of what is one already.
  absl::Status Resend(PushSender& sender, const PushRequest& request, const Event& end) const;

 private:
  absl::Status Keep(const PushRequest& request, std::string reason) const;
  // True when the one or the other was set before `wait` has passed.
  bool Ends(const Event& end, absl::Duration wait) const;

  const PushOptions options_;
  const std::string destination_;
  DeadLetterSink* const dead_letters_;
  const Event* const cut_short_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PUSH_DELIVERY_H_
