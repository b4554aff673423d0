// The DBOS endpoints: method, path and body, as the listener hands them on. The database is not there, so that what is
// seen is the handlers' own reading. Lines: method, path; the rest is the body.
#include <string>

#include "dispatch/dbos/admin.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  static DbosDatabase database("host=/nonexistent");
  static DbosStore store(&database, MakeDbosIdentity("app", "queue"));
  static DbosExecutor executor(&database, &store, DbosRun::Context{}, DbosExecutorOptions{});
  static DbosScheduler scheduler(&store, "", nullptr);
  fuzz::Input in(data, size);
  const std::string method(in.Until('\n'));
  const std::string path(in.Until('\n'));
  const DbosAnswer answer = DbosAdmin(&store, &executor, &scheduler).Answer(method, path, std::string(in.Rest()));
  REQUIRE(answer.status >= 200 && answer.status < 600, "an HTTP status");
  return 0;
}
