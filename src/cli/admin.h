// wallaby-admin: the operator's commands. A command is two words, its group's and its own ("flow get"), or one
// ("doctor"); each group has a file of its own. The words may stand anywhere among the flags.
#ifndef WALLABY_CLI_ADMIN_H_
#define WALLABY_CLI_ADMIN_H_

#include <string>
#include <string_view>
#include <vector>

namespace wallaby {

// One call of a command.
struct Invocation {
  std::string program;            // "wallaby-admin flow get"
  std::string summary;            // of the command
  std::vector<std::string> args;  // the command line without the command's words
};

struct Command {
  std::string_view name;
  std::string_view summary;                  // one line, for the group's help and the command's own
  int (*run)(const Invocation& invocation);  // gives the exit status (cli/flags.h)
};

struct CommandGroup {
  std::string_view name;
  std::string_view summary;
  std::vector<Command> commands;
};

Command DoctorCommand();
CommandGroup FlowCommands();
CommandGroup DdlCommands();
CommandGroup CheckpointCommands();
CommandGroup DeadLetterCommands();
CommandGroup SlotCommands();
CommandGroup PublicationCommands();
CommandGroup StreamCommands();
CommandGroup TraceCommands();
Command WhyCommand();

// The whole program; gives its exit status. Nothing that was printed is lost unnoticed: a full disk behind stdout is 1.
int RunAdmin(int argc, const char* const* argv);

}  // namespace wallaby

#endif  // WALLABY_CLI_ADMIN_H_
