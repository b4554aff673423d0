// Dead letters of a flow's destinations: on their way into the control store, and from there to the receiver again.
#ifndef WALLABY_PIPELINE_DEAD_LETTERS_H_
#define WALLABY_PIPELINE_DEAD_LETTERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "destination/dead_letter.h"
#include "flow/flow.h"
#include "store/control_store.h"

namespace wallaby {

// Keeps them for one flow, counts and logs them.
class StoredDeadLetters final : public DeadLetterSink {
 public:
  // `store` outlives the object; with a worker's fence, so that one that was overtaken keeps nothing.
  StoredDeadLetters(ControlStore* store, std::string flow_id) : store_(store), flow_id_(std::move(flow_id)) {}
  absl::Status Keep(const DeadLetter& letter) override;

 private:
  ControlStore* const store_;
  const std::string flow_id_;
};

// Which of a flow's dead letters.
struct DeadLetterChoice {
  std::string destination;   // empty: of all
  std::vector<int64_t> ids;  // empty: every one
};

// Calls `visit` with each id of the choice, in order, until it fails. NOT_FOUND when one of the ids is not there.
absl::Status ForEachDeadLetter(ControlStore& store, const std::string& flow_id, const DeadLetterChoice& choice,
                               absl::FunctionRef<absl::Status(int64_t id)> visit);

struct DeadLetterReplay {
  int64_t accepted = 0;  // and removed
  int64_t kept = 0;
  absl::Status error;  // of the first that was not taken
};

// Sends them again, in order of id. One that the receiver rejects again stays, and the next follows; any other error
// ends the replay, as the next would not fare better. `cancelled` is asked before each.
absl::StatusOr<DeadLetterReplay> ReplayDeadLetters(ControlStore& store, const Flow& flow,
                                                   const DeadLetterChoice& choice, absl::FunctionRef<bool()> cancelled);

}  // namespace wallaby

#endif  // WALLABY_PIPELINE_DEAD_LETTERS_H_
