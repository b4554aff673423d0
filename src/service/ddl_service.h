// DDLService: what becomes of schema changes: look at them, approve or reject them, apply them at the destinations.
#ifndef WALLABY_SERVICE_DDL_SERVICE_H_
#define WALLABY_SERVICE_DDL_SERVICE_H_

#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "store/control_store.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {

// Safe from any thread. Events are applied one after the other; this process writes to the destinations then, under
// the flow's lease, so that no worker does. Where the flow goes on, and only tables wait, its worker is asked to.
class DdlServiceImpl final : public v1::DDLService::Service {
 public:
  // Longer than a lease lives whose worker has died.
  static constexpr absl::Duration kLeaseWait = absl::Seconds(16);

  // `store` outlives the service. `lease_wait`: how long to wait for a worker that is about to end.
  explicit DdlServiceImpl(ControlStore* store, absl::Duration lease_wait = kLeaseWait)
      : store_(store), lease_wait_(lease_wait) {}

  grpc::Status ListPendingDDL(grpc::ServerContext*, const v1::ListPendingDDLRequest* request,
                              v1::ListPendingDDLResponse* response) override;
  grpc::Status ListDDL(grpc::ServerContext*, const v1::ListDDLRequest* request, v1::ListDDLResponse* response) override;
  grpc::Status GetDDL(grpc::ServerContext*, const v1::GetDDLRequest* request, v1::GetDDLResponse* response) override;
  grpc::Status ApproveDDL(grpc::ServerContext*, const v1::ApproveDDLRequest* request,
                          v1::ApproveDDLResponse* response) override;
  grpc::Status RejectDDL(grpc::ServerContext*, const v1::RejectDDLRequest* request,
                         v1::RejectDDLResponse* response) override;
  grpc::Status ApplyDDL(grpc::ServerContext* context, const v1::ApplyDDLRequest* request,
                        v1::ApplyDDLResponse* response) override;
  grpc::Status MarkDDLApplied(grpc::ServerContext*, const v1::MarkDDLAppliedRequest* request,
                              v1::MarkDDLAppliedResponse* response) override;

 private:
  absl::StatusOr<DdlEvent> Apply(const grpc::ServerContext& context, int64_t id);
  // An event that only its tables wait for, of a flow that runs: by the flow's worker.
  absl::StatusOr<DdlEvent> ApplyByWorker(const grpc::ServerContext& context, int64_t id);

  ControlStore* const store_;
  const absl::Duration lease_wait_;
  std::mutex applies_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_DDL_SERVICE_H_
