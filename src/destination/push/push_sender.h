// PushSender: one connection to a receiver, as http and grpc make it.
#ifndef WALLABY_DESTINATION_PUSH_PUSH_SENDER_H_
#define WALLABY_DESTINATION_PUSH_PUSH_SENDER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "destination/dead_letter.h"

namespace wallaby {

// What became of one try.
struct Answer {
  enum class Kind {
    kTaken,
    kRetry,     // not now: no connection, no answer in time, overload
    kRejected,  // not this request, however often it is sent
    kRefused,   // no request at all: wrong address, wrong credentials, gone
  };
  Kind kind = Kind::kTaken;
  std::string text;      // "https://hooks.example answered 422: no such customer"; without secrets
  absl::Duration after;  // kRetry: not before, as the receiver asks; zero: it does not say
};

// Used by one thread at a time.
class PushSender {
 public:
  virtual ~PushSender() = default;
  // Returns within the timeout of the options, give or take, and soon once the worker is cut short.
  virtual Answer Send(const PushRequest& request) = 0;
};
using MakeSender = std::function<std::unique_ptr<PushSender>()>;

// The beginning of what a receiver says, for errors: one line of printable ASCII, at most 300 characters.
std::string Excerpt(std::string_view text);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_PUSH_PUSH_SENDER_H_
