// The one table of who may do what: each gRPC method and each HTTP path with the role that it needs.
#ifndef WALLABY_ACCESS_METHOD_ROLES_H_
#define WALLABY_ACCESS_METHOD_ROLES_H_

#include <optional>
#include <string_view>

#include "flow/access_settings.h"

namespace wallaby {

struct MethodRole {
  Role role = Role::kAdmin;  // kNone: open to everybody
  bool changes = true;       // something; else it only reads
};

// Of "/wallaby.v1.FlowService/CreateFlow"; nothing for a method that the table does not have, which is not served.
std::optional<MethodRole> RoleOfRpc(std::string_view path);
// Of "POST", "/workflows/x/cancel". What the table does not have needs admin.
MethodRole RoleOfHttp(std::string_view method, std::string_view path);

}  // namespace wallaby

#endif  // WALLABY_ACCESS_METHOD_ROLES_H_
