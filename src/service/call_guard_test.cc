// The guard in front of a real server: every method of the contract, by name.
#include "service/call_guard.h"

#include "access/method_roles.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "service/service_test_base.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

constexpr char kViewer[] = "viewer-viewer-viewer";
constexpr char kAdmin[] = "admin-admin-admin-admin";

class CallGuardTest : public ServiceTest {
 protected:
  CallGuardTest() {
    settings_.access.tokens = std::string("viewer eye ") + kViewer + "; admin head " + kAdmin;
    Begin();
  }
  grpc::Status List(const std::string& token) {
    grpc::ClientContext context;
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    v1::ListFlowsResponse response;
    return flows_->ListFlows(&context, v1::ListFlowsRequest(), &response);
  }
};

TEST_F(CallGuardTest, EveryMethodIsServedAndAsksWhoCalls) {
  const google::protobuf::FileDescriptor* file = v1::CreateFlowRequest::descriptor()->file();
  int methods = 0;
  for (int i = 0; i < file->service_count(); ++i) {
    if (file->service(i)->name() == "IngestService") continue;  // receivers serve it
    for (int j = 0; j < file->service(i)->method_count(); ++j, ++methods) {
      const std::string path = "/" + file->service(i)->full_name() + "/" + file->service(i)->method(j)->name();
      std::string response;
      const grpc::Status status = RawCall(channel_, path, "", &response);
      // UNIMPLEMENTED would say that server.cc does not add it.
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << path << ": " << status.error_message();
      EXPECT_THAT(status.error_message(), HasSubstr(std::string(RoleName(RoleOfRpc(path)->role)))) << path;
      EXPECT_EQ(response, "");
    }
  }
  EXPECT_GE(methods, 26);
}

TEST_F(CallGuardTest, RolesCount) {
  EXPECT_TRUE(List(kViewer).ok());
  EXPECT_TRUE(List(kAdmin).ok());
  EXPECT_EQ(List("").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(List("something-else-entirely").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  grpc::ClientContext context;
  context.AddMetadata("authorization", std::string("Bearer ") + kViewer);
  v1::DeleteFlowRequest request;
  request.set_flow_id("nobody");
  v1::DeleteFlowResponse response;
  const grpc::Status status = flows_->DeleteFlow(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(status.error_message(), "DeleteFlow needs the role admin; eye has the role viewer");
}

TEST_F(CallGuardTest, ProbesNeedNoTokenAndReflectionDoes) {
  std::string response;
  EXPECT_TRUE(RawCall(channel_, "/grpc.health.v1.Health/Check", "", &response).ok());
  response.clear();
  const grpc::Status status =
      RawCall(channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << status.error_message();
  EXPECT_EQ(response, "");
}

TEST_F(ServiceTest, AnOpenListenerIsRefused) {
  settings_.grpc_listen = "0.0.0.0:0";
  const auto open = ControlServer::Start(store_.get(), store_.get(), dispatcher_.get(), access_.get(), settings_);
  EXPECT_TRUE(absl::IsFailedPrecondition(open.status())) << open.status();
  settings_.access.allow_insecure_listen = true;
  EXPECT_TRUE(ControlServer::Start(store_.get(), store_.get(), dispatcher_.get(), access_.get(), settings_).ok());
}

}  // namespace
}  // namespace wallaby
