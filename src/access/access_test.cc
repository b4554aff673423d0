#include "access/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "absl/time/clock.h"

namespace wallaby {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kTokens[] =
    "viewer eye eye-eye-eye-eye-eye;operator hand hand-hand-hand-hand;admin head head-head-head-head";

Credentials Bearer(const std::string& token) {
  return {.authorization = "Bearer " + token};
}
Credentials Certificate(const std::string& name) {
  return {.has_certificate = true, .common_name = name};
}

TEST(Access, OpenWithoutSettings) {
  const auto access = Access::Make({}).value();
  const auto anybody = access->Identify({});
  ASSERT_TRUE(anybody.ok());
  EXPECT_EQ(anybody->name, "anonymous");
  EXPECT_TRUE(access->Permit(*anybody, Role::kAdmin, "CreateFlow").ok());
  // Clients that always send a token work as well.
  EXPECT_TRUE(access->Permit(*access->Identify(Bearer("whatever")), Role::kAdmin, "CreateFlow").ok());
}

TEST(Access, Tokens) {
  AccessSettings settings;
  settings.tokens = kTokens;
  const auto access = Access::Make(settings).value();
  const Principal hand = access->Identify(Bearer("hand-hand-hand-hand")).value();
  EXPECT_EQ(hand.name, "hand");
  EXPECT_TRUE(access->Permit(hand, Role::kViewer, "ListFlows").ok());
  EXPECT_TRUE(access->Permit(hand, Role::kOperator, "StartFlow").ok());
  const absl::Status low = access->Permit(hand, Role::kAdmin, "CreateFlow");
  EXPECT_TRUE(absl::IsPermissionDenied(low));
  EXPECT_THAT(std::string(low.message()), HasSubstr("CreateFlow needs the role admin; hand has the role operator"));

  const absl::Status none = access->Permit(*access->Identify({}), Role::kViewer, "ListFlows");
  EXPECT_TRUE(absl::IsUnauthenticated(none));
  EXPECT_THAT(std::string(none.message()), AllOf(HasSubstr("viewer"), HasSubstr("Bearer TOKEN")));
  EXPECT_TRUE(absl::IsUnauthenticated(access->Identify(Bearer("wrong")).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(access->Identify({.authorization = "Basic aGFuZA=="}).status()));
  EXPECT_TRUE(absl::IsUnauthenticated(access->Identify({.authorization = "Bearer "}).status()));
  EXPECT_EQ(access->Identify({.authorization = "bearer hand-hand-hand-hand"})->name, "hand");
}

TEST(Access, CertificatesAlone) {
  AccessSettings settings;
  settings.tls_client_ca_file = "ca.pem";
  const auto access = Access::Make(settings).value();
  const Principal ops = access->Identify(Certificate("ops")).value();
  EXPECT_EQ(ops.name, "certificate:ops");
  EXPECT_EQ(ops.role, Role::kAdmin);
  EXPECT_TRUE(absl::IsUnauthenticated(access->Permit(*access->Identify({}), Role::kViewer, "ListFlows")));
}

TEST(Access, RolesOfCertificates) {
  AccessSettings settings;
  settings.tls_client_ca_file = "ca.pem";
  settings.tls_client_roles = {{"ci", Role::kViewer}};
  const auto access = Access::Make(settings).value();
  EXPECT_EQ(access->Identify(Certificate("ci"))->role, Role::kViewer);
  const absl::Status unknown = access->Permit(*access->Identify(Certificate("x")), Role::kViewer, "ListFlows");
  EXPECT_TRUE(absl::IsPermissionDenied(unknown));
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("WALLABY_TLS_CLIENT_ROLES"));
}

TEST(Access, TokensWithCertificates) {
  AccessSettings settings;
  settings.tls_client_ca_file = "ca.pem";
  settings.tokens = kTokens;
  const auto access = Access::Make(settings).value();
  // The certificate lets the connection in; the role is the token's.
  EXPECT_TRUE(
      absl::IsUnauthenticated(access->Permit(*access->Identify(Certificate("ops")), Role::kViewer, "ListFlows")));
  Credentials both = Certificate("ops");
  both.authorization = "Bearer eye-eye-eye-eye-eye";
  EXPECT_EQ(access->Identify(both)->role, Role::kViewer);
  both.authorization = "Bearer wrong";
  EXPECT_FALSE(access->Identify(both).ok());
}

TEST(Access, FileIsReadAgain) {
  AccessSettings settings;
  settings.tokens_file = testing::TempDir() + "/access-tokens-" + std::to_string(getpid());
  const auto put = [&](const std::string& text) {
    std::ofstream(settings.tokens_file + ".new") << text;
    chmod((settings.tokens_file + ".new").c_str(), 0600);
    rename((settings.tokens_file + ".new").c_str(), settings.tokens_file.c_str());
  };
  const auto eventually = [](const auto& condition) {
    for (int i = 0; i < 3000 && !condition(); ++i) absl::SleepFor(absl::Milliseconds(10));
    return condition();
  };
  EXPECT_FALSE(Access::Make(settings).ok());
  put("admin old old-old-old-old-old\n");
  const auto access = Access::Make(settings).value();
  EXPECT_TRUE(access->Identify(Bearer("old-old-old-old-old")).ok());
  put("admin new new-new-new-new-new\n");
  EXPECT_TRUE(eventually([&] { return access->Identify(Bearer("new-new-new-new-new")).ok(); }));
  EXPECT_FALSE(access->Identify(Bearer("old-old-old-old-old")).ok());
  // Nobody is locked out by a mistake, and nobody let in.
  put("nonsense\n");
  absl::SleepFor(absl::Milliseconds(1100));
  EXPECT_TRUE(access->Identify(Bearer("new-new-new-new-new")).ok());
  put("admin newer newer-newer-newer-newer\n");
  EXPECT_TRUE(eventually([&] { return access->Identify(Bearer("newer-newer-newer-newer")).ok(); }));
  unlink(settings.tokens_file.c_str());
}

}  // namespace
}  // namespace wallaby
