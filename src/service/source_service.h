// SourceService: slots and publications of a flow's source.
#ifndef WALLABY_SERVICE_SOURCE_SERVICE_H_
#define WALLABY_SERVICE_SOURCE_SERVICE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dispatch/dispatcher.h"
#include "postgres/catalog.h"
#include "postgres/connection.h"
#include "postgres/source_options.h"
#include "store/control_store.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {

// Safe from any thread; each request makes its own connection to the source.
class SourceServiceImpl final : public v1::SourceService::Service {
 public:
  // Pointers outlive the service.
  // `ddl`: what the settings say of DDL, where a flow does not.
  SourceServiceImpl(ControlStore* store, ControlStore* checkpoints, Dispatcher* dispatcher, const DdlPolicy& ddl)
      : store_(store), checkpoints_(checkpoints), dispatcher_(dispatcher), ddl_(ddl) {}

  grpc::Status ListSlots(grpc::ServerContext*, const v1::ListSlotsRequest* request,
                         v1::ListSlotsResponse* response) override;
  grpc::Status GetSlot(grpc::ServerContext*, const v1::GetSlotRequest* request, v1::SlotStatus* response) override;
  grpc::Status DropSlot(grpc::ServerContext*, const v1::DropSlotRequest* request,
                        v1::DropSlotResponse* response) override;
  grpc::Status ListPublicationTables(grpc::ServerContext*, const v1::ListPublicationTablesRequest* request,
                                     v1::ListPublicationTablesResponse* response) override;
  grpc::Status SyncPublication(grpc::ServerContext*, const v1::SyncPublicationRequest* request,
                               v1::SyncPublicationResponse* response) override;
  grpc::Status DiagnoseFlow(grpc::ServerContext*, const v1::DiagnoseFlowRequest* request,
                            v1::DoctorReport* response) override;
  grpc::Status DiagnoseDefinition(grpc::ServerContext*, const v1::DiagnoseDefinitionRequest* request,
                                  v1::DoctorReport* response) override;

 private:
  // A flow, and a connection to its source.
  struct Source {
    StoredFlow flow;
    SourceOptions options;
    std::unique_ptr<PgConnection> sql;
  };
  absl::StatusOr<Source> Open(const std::string& flow_id);

  absl::Status List(const std::string& flow_id, v1::ListSlotsResponse* response);
  absl::Status Get(const std::string& flow_id, v1::SlotStatus* response);
  absl::Status Drop(const std::string& flow_id, bool shared);
  // Whether the flows besides the source's own let the slot go.
  absl::Status CheckOthers(const Source& source, bool shared);
  absl::Status ListTables(const std::string& flow_id, v1::ListPublicationTablesResponse* response);
  absl::Status Diagnose(const v1::DiagnoseFlowRequest& request, v1::DoctorReport* response);
  absl::Status Sync(const v1::SyncPublicationRequest& request, v1::SyncPublicationResponse* response);
  // Marks the tables that came newly into the publication for a snapshot, forgets those that left.
  absl::Status SettleTables(const Source& source, const v1::SyncPublicationRequest& request,
                            const std::vector<PublishedTable>& before, const std::vector<PublishedTable>& after);

  ControlStore* const store_;
  ControlStore* const checkpoints_;
  Dispatcher* const dispatcher_;
  const DdlPolicy ddl_;
};

}  // namespace wallaby

#endif  // WALLABY_SERVICE_SOURCE_SERVICE_H_
