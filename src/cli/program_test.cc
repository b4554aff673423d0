// The command line of wallaby-admin without a server: words, flags, exit statuses, and what is said when none answers.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/program_test_base.h"
#include "gmock/gmock.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// A port of this machine: nobody listens, or, with `listening`, somebody who never answers.
class Port {
 public:
  explicit Port(bool listening) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_TRUE(!listening || listen(fd_, 8) == 0);
    socklen_t size = sizeof(address);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    endpoint_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~Port() { close(fd_); }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  const std::string& endpoint() const { return endpoint_; }

 private:
  const int fd_;
  std::string endpoint_;
};

using AdminTest = ProgramTest;

void ExpectOneLine(const Ran& ran) {
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  EXPECT_THAT(ran.err, StartsWith("wallaby-admin"));
  EXPECT_THAT(ran.out, IsEmpty());
}

TEST_F(AdminTest, HelpOnEveryLevel) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{{"-h"},
                                                                                    {"-help"},
                                                                                    {"--help"},
                                                                                    {"help"},
                                                                                    {"flow", "-h"},
                                                                                    {"help", "flow"},
                                                                                    {"-h", "slot"},
                                                                                    {"flow", "get", "-help"},
                                                                                    {"-h", "flow", "wait"},
                                                                                    {"checkpoint", "list", "-h"},
                                                                                    {"help", "publication", "sync"}}) {
    const Ran ran = Admin(args);
    EXPECT_EQ(ran.status, 0) << testing::PrintToString(args) << ran.err;
    EXPECT_THAT(ran.out, StartsWith("Usage: wallaby-admin")) << testing::PrintToString(args);
    EXPECT_THAT(ran.err, IsEmpty());
  }
  EXPECT_THAT(Admin({"-h"}).out, HasSubstr("\n  checkpoint   "));
  EXPECT_THAT(Admin({"flow", "-h"}).out, HasSubstr("\n  run-once  "));
  const std::string wait = Admin({"flow", "wait", "-h"}).out;
  EXPECT_THAT(wait, HasSubstr("-flow-id ID -state STATE [flags]"));
  EXPECT_THAT(wait, HasSubstr("(default 1m)"));
  EXPECT_THAT(wait, HasSubstr("(default localhost:8080)"));
}

TEST_F(AdminTest, VersionOnEveryLevel) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"-version"}, {"flow", "--version"}, {"flow", "get", "-version"}}) {
    const Ran ran = Admin(args);
    EXPECT_EQ(ran.status, 0);
    EXPECT_THAT(ran.out, testing::MatchesRegex("wallaby-admin [0-9.]+\n"));
  }
}

TEST_F(AdminTest, WrongUsageIsTwo) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{}, "which command?"},
      {{"flow"}, "wallaby-admin flow: which command?"},
      {{"flwo", "list"}, "did you mean flow?"},
      {{"frobnicate"}, "there are: flow, ddl, checkpoint, slot, publication, stream, dead-letter, trace"},
      {{"flow", "crate"}, "did you mean create?"},
      {{"flow", "get"}, "flag -flow-id is missing"},
      {{"flow", "create"}, "flag -file is missing"},
      {{"ddl", "get"}, "flag -id is missing"},
      {{"ddl", "apply", "-id", "one"}, "flag -id: "},
      {{"ddl", "approve", "-id", "0"}, "-id is 0; allowed: 1 and above"},
      {{"ddl", "list", "-status", "held"}, "-status: got 'held'; allowed: pending, approved"},
      {{"ddl", "aply", "-id", "1"}, "did you mean apply?"},
      {{"flow", "get", "-flowid", "x"}, "unknown flag -flowid; did you mean -flow-id?"},
      {{"flow", "get", "-flow-id", "x", "y"}, "unexpected argument 'y'"},
      {{"flow", "wait", "-flow-id", "x", "-state", "runing"}, "-state: "},
      {{"flow", "wait", "-flow-id", "x", "-state", "running", "-timeout", "soon"}, "flag -timeout: "},
      {{"flow", "list", "-endpoint", "http://localhost:8080"}, "allowed: HOST:PORT"},
      {{"flow", "list", "-endpoint", "localhost"}, "allowed: HOST:PORT"},
      {{"flow", "list", "-insecure", "-tls-ca", "ca.pem"}, "exclude each other"},
      {{"flow", "list", "-insecure", "-tls-server-name", "x"}, "exclude each other"},
      {{"flow", "list", "-tls-cert", "c.pem"}, "-tls-cert and -tls-key belong together"},
      {{"flow", "capture-sql", "-file", "f.yaml"}, "flag -server-version is missing"},
      {{"flow", "capture-sql", "-file", "f.yaml", "-server-version", "13"}, "must be 14 to 18"},
      {{"flow", "list", "-token", "a\nb"}, "the token holds"},
      {{"slot", "list"}, "which source? Give -flow-id ID, or -dsn DSN"},
      {{"slot", "show", "-dsn", "host=x"}, "-dsn and -slot go together"},
      {{"slot", "drop", "-flow-id", "x", "-slot", "s"}, "-dsn and -slot go together"},
      {{"slot", "drop", "-flow-id", "x", "-dsn", "host=x", "-slot", "s"}, "exclude each other"},
      {{"publication", "sync", "-flow-id", "x", "-mode", "replace"}, "allowed: add or sync"},
  };
  for (const auto& [args, text] : cases) {
    const Ran ran = Admin(args);
    EXPECT_EQ(ran.status, 2) << testing::PrintToString(args);
    EXPECT_THAT(ran.err, HasSubstr(text));
    ExpectOneLine(ran);
  }
}

TEST_F(AdminTest, ATokenGoesInClearOnlyWhereThatWasSaid) {
  const std::vector<std::string> list = {"flow", "list", "-token", "sesame-sesame-sesame"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), list.begin(), list.end());
    return more;
  };
  for (const char* endpoint : {"192.0.2.1:8080", "wallaby.invalid:8080", "127.0.0.1.invalid:8080", "127.1.invalid:8080",
                               "localhost.invalid:8080", "[2001:db8::1]:8080"}) {
    for (const auto& args : {with({"-endpoint", endpoint}), with({"-endpoint", endpoint, "-tls-server-name", "x"})}) {
      const Ran ran = Admin(args);
      EXPECT_EQ(ran.status, 2) << endpoint;
      EXPECT_THAT(ran.err, HasSubstr("in clear")) << endpoint;
      EXPECT_THAT(ran.err, Not(HasSubstr("sesame"))) << endpoint;
      ExpectOneLine(ran);
    }
    EXPECT_EQ(Admin({"flow", "list", "-endpoint", endpoint}, {{"WALLABY_TOKEN", "sesame-sesame-sesame"}}).status, 2);
  }
  // Where it was said, where there is TLS, and on this machine, it is tried. Names that no resolver knows (RFC 6761).
  const Port port(false);
  const std::string other = "wallaby.invalid:8080";
  EXPECT_EQ(Admin(with({"-endpoint", other, "-insecure"})).status, 1);
  EXPECT_EQ(Admin(with({"-endpoint", other}), {{"WALLABY_ADMIN_INSECURE", "true"}}).status, 1);
  EXPECT_EQ(Admin(with({"-endpoint", other, "-insecure=false"})).status, 1);
  EXPECT_EQ(Admin(with({"-endpoint", port.endpoint()})).status, 1);
  EXPECT_EQ(Admin(with({"-endpoint", "unix:/nowhere"})).status, 1);
  EXPECT_EQ(Admin({"flow", "list", "-endpoint", other}).status, 1);  // nothing is sent
}

TEST_F(AdminTest, FlagsStandAnywhere) {
  const Port port(false);
  const std::string endpoint = "-endpoint=" + port.endpoint();
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"flow", "get", "-flow-id", "x", "-endpoint", port.endpoint()},
                                             {"-endpoint", port.endpoint(), "flow", "get", "-flow-id", "x"},
                                             {"-json", "flow", "-flow-id=x", endpoint, "get"},
                                             {"flow", "--flow-id", "x", "get", endpoint, "--pretty", "true"},
                                             {"-insecure", "true", "flow", "get", endpoint, "-flow-id", "flow"}}) {
    const Ran ran = Admin(args);
    EXPECT_EQ(ran.status, 1) << testing::PrintToString(args);
    EXPECT_THAT(ran.err, HasSubstr("no server answers at " + port.endpoint())) << testing::PrintToString(args);
  }
}

TEST_F(AdminTest, NoServerIsSaidAtOnceWithWhatToDo) {
  const Port port(false);
  const Ran ran = Admin({"flow", "list"}, {{"WALLABY_ENDPOINT", port.endpoint()}});
  EXPECT_EQ(ran.status, 1);
  ExpectOneLine(ran);
  EXPECT_THAT(ran.err, StartsWith("wallaby-admin flow list: no server answers at " + port.endpoint() +
                                  " (Connection refused); start one with `wallaby`, or say with -endpoint"));
}

TEST_F(AdminTest, EveryCommandThatNeedsAServerSaysSo) {
  const Port port(false);
  const std::string file = WriteFile("flow.yaml",
                                     "name: orders\n"
                                     "source: {name: s, type: postgres, options: {dsn: 'host=localhost', slot: s, "
                                     "publication: p}}\n"
                                     "destinations: [{name: d, type: duckdb, options: {dsn: /tmp/x.duckdb}}]\n");
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"flow", "create", "-file", file, "-start"},
                                             {"flow", "update", "-file", file, "-flow-id", "x"},
                                             {"flow", "get", "-flow-id", "x"},
                                             {"flow", "start", "-flow-id", "x"},
                                             {"flow", "pause", "-flow-id", "x"},
                                             {"flow", "stop", "-flow-id", "x"},
                                             {"flow", "resume", "-flow-id", "x"},
                                             {"flow", "run-once", "-flow-id", "x"},
                                             {"flow", "delete", "-flow-id", "x"},
                                             {"flow", "validate", "-file", file},
                                             {"flow", "wait", "-flow-id", "x", "-state", "paused", "-timeout", "1s"},
                                             {"ddl", "list"},
                                             {"ddl", "get", "-id", "1"},
                                             {"ddl", "approve", "-id", "1"},
                                             {"ddl", "reject", "-id", "1"},
                                             {"ddl", "apply", "-id", "1"},
                                             {"ddl", "mark-applied", "-id", "1"},
                                             {"checkpoint", "get", "-flow-id", "x"},
                                             {"checkpoint", "list"},
                                             {"slot", "list", "-flow-id", "x"},
                                             {"slot", "show", "-flow-id", "x"},
                                             {"slot", "drop", "-flow-id", "x"},
                                             {"publication", "list", "-flow-id", "x"},
                                             {"publication", "sync", "-flow-id", "x", "-tables", "public.a"}}) {
    const Ran ran = Admin(args, {{"WALLABY_ENDPOINT", port.endpoint()}});
    EXPECT_EQ(ran.status, 1) << testing::PrintToString(args);
    ExpectOneLine(ran);
    EXPECT_THAT(ran.err, HasSubstr("no server answers at " + port.endpoint())) << testing::PrintToString(args);
  }
}

TEST_F(AdminTest, AServerThatIsSilentIsGivenUp) {
  const Port port(true);
  const Ran ran = Admin({"flow", "list", "-endpoint", port.endpoint()});
  EXPECT_EQ(ran.status, 1);
  ExpectOneLine(ran);
  EXPECT_THAT(ran.err, HasSubstr("no server answers at " + port.endpoint()));
}

TEST_F(AdminTest, BadCertificatesAreNamed) {
  const Ran missing = Admin({"flow", "list", "-tls-ca", "/nowhere/ca.pem"});
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, HasSubstr("-tls-ca /nowhere/ca.pem: No such file or directory"));
  const Ran named = Admin({"flow", "list"}, {{"WALLABY_ADMIN_TLS_CA", "/nowhere/env.pem"}});
  EXPECT_THAT(named.err, HasSubstr("-tls-ca /nowhere/env.pem: No such file or directory"));
  const Ran wrong = Admin({"flow", "list", "-tls-ca", WriteFile("ca.pem", "hello")});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.err, HasSubstr("holds no certificate in PEM form"));
}

TEST_F(AdminTest, BadFlowFilesNeedNoServerToBeRefused) {
  const Ran missing = Admin({"flow", "create", "-file", "/nowhere/flow.yaml"});
  EXPECT_EQ(missing.status, 1);
  ExpectOneLine(missing);
  EXPECT_THAT(missing.err, HasSubstr("cannot open /nowhere/flow.yaml: No such file or directory"));

  const std::string broken = WriteFile("broken.yaml", "name: [orders\n");
  const Ran syntax = Admin({"flow", "create", "-file", broken});
  EXPECT_EQ(syntax.status, 1);
  EXPECT_THAT(syntax.err, HasSubstr(broken));

  const std::string unknown = WriteFile("unknown.yaml",
                                        "name: orders\n"
                                        "source: {name: s, type: postgres, options: {dsn: 'host=x', slot: s, "
                                        "publication: p, sloot: s}}\n"
                                        "destinations: [{name: d, type: duckdb, options: {dsn: /tmp/x.duckdb}}]\n");
  for (const std::string command : {"create", "validate"}) {
    const Ran ran = Admin({"flow", command, "-file", unknown});
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.err, HasSubstr(unknown));
    EXPECT_THAT(ran.err, HasSubstr("sloot"));
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  }
}

TEST_F(AdminTest, FindingsAreJsonForScripts) {
  const std::string file =
      WriteFile("flow.json", R"({"name": "orders", "source": {"type": "oracle"}, "destinations": []})");
  const Ran ran = Admin({"flow", "validate", "-file", file, "-json"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.out, StartsWith("{\"valid\":false,\"findings\":[{\"severity\":\"error\",\"subject\":\"flow\","));
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 1);
  EXPECT_THAT(Admin({"flow", "validate", "-file", file, "-pretty"}).out, StartsWith("{\n \"valid\": false,\n"));
}

TEST_F(AdminTest, UpdateNeedsToKnowWhichFlow) {
  const std::string body =
      "name: orders\n"
      "source: {name: s, type: postgres, options: {dsn: 'host=x', slot: s, publication: p}}\n"
      "destinations: [{name: d, type: duckdb, options: {dsn: /tmp/x.duckdb}}]\n";
  const Ran none = Admin({"flow", "update", "-file", WriteFile("a.yaml", body)});
  EXPECT_EQ(none.status, 1);
  EXPECT_THAT(none.err, HasSubstr("which flow? Give -flow-id"));
  const Ran two = Admin({"flow", "update", "-file", WriteFile("b.yaml", "id: a\n" + body), "-flow-id", "b"});
  EXPECT_EQ(two.status, 1);
  EXPECT_THAT(two.err, HasSubstr("is of the flow 'a', -flow-id says 'b'"));
}

TEST_F(AdminTest, PasswordsAreNotRepeated) {
  const Port port(false);
  const std::string host_port = port.endpoint();
  const Ran ran = Admin({"slot", "list", "-dsn", "postgresql://me:hunter2@" + host_port + "/db"});
  EXPECT_EQ(ran.status, 1);
  ExpectOneLine(ran);
  EXPECT_THAT(ran.err, Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace wallaby
