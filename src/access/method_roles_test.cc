#include "access/method_roles.h"

#include <gtest/gtest.h>

#include <string>

#include "google/protobuf/descriptor.h"
#include "wallaby/v1/services.pb.h"

namespace wallaby {
namespace {

TEST(MethodRoles, EveryMethodOfTheContractHasOne) {
  const google::protobuf::FileDescriptor* file = v1::CreateFlowRequest::descriptor()->file();
  int methods = 0;
  for (int i = 0; i < file->service_count(); ++i) {
    if (file->service(i)->name() == "IngestService") continue;  // receivers serve it
    for (int j = 0; j < file->service(i)->method_count(); ++j) {
      const std::string path = "/" + file->service(i)->full_name() + "/" + file->service(i)->method(j)->name();
      const std::optional<MethodRole> needed = RoleOfRpc(path);
      ASSERT_TRUE(needed.has_value()) << path << " is missing in src/access/method_roles.cc";
      EXPECT_NE(needed->role, Role::kNone) << path;
      // Whoever may only look must not be able to change anything.
      EXPECT_TRUE(!needed->changes || needed->role >= Role::kOperator) << path;
      ++methods;
    }
  }
  EXPECT_GE(methods, 26);
}

TEST(MethodRoles, Rpc) {
  EXPECT_EQ(RoleOfRpc("/wallaby.v1.FlowService/ListFlows")->role, Role::kViewer);
  EXPECT_EQ(RoleOfRpc("/wallaby.v1.FlowService/StartFlow")->role, Role::kOperator);
  EXPECT_EQ(RoleOfRpc("/wallaby.v1.SourceService/DropSlot")->role, Role::kAdmin);
  EXPECT_EQ(RoleOfRpc("/grpc.health.v1.Health/Check")->role, Role::kNone);
  EXPECT_FALSE(RoleOfRpc("/wallaby.v1.FlowService/").has_value());
  EXPECT_FALSE(RoleOfRpc("").has_value());
}

TEST(MethodRoles, Http) {
  EXPECT_EQ(RoleOfHttp("GET", "/healthz").role, Role::kNone);
  EXPECT_EQ(RoleOfHttp("GET", "/metrics").role, Role::kViewer);
  EXPECT_EQ(RoleOfHttp("POST", "/dbos-workflow-recovery").role, Role::kOperator);
  EXPECT_EQ(RoleOfHttp("POST", "/workflows").role, Role::kViewer);
  EXPECT_EQ(RoleOfHttp("GET", "/workflows/x/steps").role, Role::kViewer);
  EXPECT_EQ(RoleOfHttp("POST", "/workflows/x/cancel").role, Role::kOperator);
  EXPECT_EQ(RoleOfHttp("GET", "/deactivate").role, Role::kAdmin);
  // What nobody thought of.
  EXPECT_EQ(RoleOfHttp("GET", "/").role, Role::kAdmin);
  EXPECT_EQ(RoleOfHttp("DELETE", "/workflows/x").role, Role::kAdmin);
  EXPECT_EQ(RoleOfHttp("POST", "/healthz").role, Role::kAdmin);
}

}  // namespace
}  // namespace wallaby
