// A server that all test processes of one ctest run share.
#ifndef WALLABY_TEST_SUPPORT_SERVER_OF_THE_RUN_H_
#define WALLABY_TEST_SUPPORT_SERVER_OF_THE_RUN_H_

#include <sys/types.h>

#include <functional>
#include <string>

namespace wallaby {

// ctest runs each test in a process of its own. The first of a run calls `start` on behalf of ctest itself, and leaves
// the line that it gives, "ADDRESS<TAB>FOLDER", in a file for the others; `name` tells servers apart. Gives the line;
// "" when this process was not started by ctest. Ends the program when the file cannot be used.
std::string ServerOfTheRun(const std::string& name, const std::function<std::string(pid_t owner)>& start);

// What the command printed; ends the program when it fails.
std::string OutputOf(const std::string& command);

}  // namespace wallaby

#endif  // WALLABY_TEST_SUPPORT_SERVER_OF_THE_RUN_H_
