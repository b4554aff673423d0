// Runs the real wallaby-admin, as a shell would.
#ifndef WALLABY_CLI_PROGRAM_TEST_BASE_H_
#define WALLABY_CLI_PROGRAM_TEST_BASE_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace wallaby {

struct Ran {
  int status = -1;  // exit status
  std::string out;
  std::string err;
};

class ProgramTest : public testing::Test {
 protected:
  // With these variables, and those of the test's own that are not ours (WALLABY_...).
  Ran Admin(const std::vector<std::string>& args, const std::map<std::string, std::string>& env = {});
  // Starts the real `wallaby` with a data folder of its own; Admin() talks to it from now on. It ends with the test.
  void StartServer();
  // A file that lives as long as the test.
  std::string WriteFile(const std::string& name, const std::string& text);
  // Of the server that was started.
  std::string StorePath() { return Folder() + "/data/wallaby.db"; }
  ~ProgramTest() override;

 private:
  std::string Folder();
  std::string folder_;
  std::string endpoint_;
  pid_t server_ = 0;
};

}  // namespace wallaby

#endif  // WALLABY_CLI_PROGRAM_TEST_BASE_H_
