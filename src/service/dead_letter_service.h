// DeadLetterService: requests that receivers did not take: look at them, send them again, drop them.
#ifndef WALLABY_SERVICE_DEAD_LETTER_SERVICE_H_
#define WALLABY_SERVICE_DEAD_LETTER_SERVICE_H_

#include <mutex>

#include "absl/status/status.h"
#include "store/control_store.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {

// Safe from any thread. Letters are sent by this process, one replay after the other, while the flow's worker sends
// what is new.
class DeadLetterServiceImpl final : public v1::DeadLetterService::Service {
 public:
  // `store` outlives the service.
  explicit DeadLetterServiceImpl(ControlStore* store) : store_(store) {}

  grpc::Status ListDeadLetters(grpc::ServerContext*, const v1::ListDeadLettersRequest* request,
                               v1::ListDeadLettersResponse* response) override;
  grpc::Status GetDeadLetter(grpc::ServerContext*, const v1::GetDeadLetterRequest* request,
                             v1::DeadLetter* response) override;
  grpc::Status ReplayDeadLetters(grpc::ServerContext* context, const v1::ReplayDeadLettersRequest* request,
                                 v1::ReplayDeadLettersResponse* response) override;
  grpc::Status DropDeadLetters(grpc::ServerContext*, const v1::DropDeadLettersRequest* request,
                               v1::DropDeadLettersResponse* response) override;

 private:
  absl::Status List(const v1::ListDeadLettersRequest& request, v1::ListDeadLettersResponse* response);
  absl::Status Get(const v1::GetDeadLetterRequest& request, v1::DeadLetter* response);
  absl::Status Replay(const grpc::ServerContext& context, const v1::ReplayDeadLettersRequest& request,
                      v1::ReplayDeadLettersResponse* response);
  absl::Status Drop(const v1::DropDeadLettersRequest& request, v1::DropDeadLettersResponse* response);

  ControlStore* const store_;
  std::mutex replays_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_DEAD_LETTER_SERVICE_H_
