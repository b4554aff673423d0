#include "cli/admin.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cli/flags.h"

namespace wallaby {
namespace {

constexpr std::string_view kProgram = "wallaby-admin";

// Flags that stand alone, of all commands: they do not swallow a command's word that follows them.
constexpr std::array<std::string_view, 11> kStandAlone = {"h",     "help",  "version", "insecure", "json", "pretty",
                                                          "start", "pause", "resume",  "snapshot", "all"};

bool IsStandAlone(std::string_view flag) {
  flag.remove_prefix(flag.starts_with("--") ? 2 : 1);
  return std::find(kStandAlone.begin(), kStandAlone.end(), flag) != kStandAlone.end();
}

struct Words {
  std::vector<std::string> words;   // at most two
  std::vector<std::string> others;  // flags, their values, and what is too much
};

Words FindWords(int argc, const char* const* argv) {
  Words out;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.size() < 2 || argument[0] != '-') {
      (out.words.size() < 2 ? out.words : out.others).push_back(argument);
      continue;
    }
    out.others.push_back(argument);
    if (argument.find('=') != std::string::npos || i + 1 == argc) continue;
    const std::string_view next = argv[i + 1];
    if (!IsStandAlone(argument) || next == "true" || next == "false") out.others.emplace_back(argv[++i]);
  }
  return out;
}

bool Wants(const std::vector<std::string>& args, std::string_view flag) {
  return std::any_of(args.begin(), args.end(), [&](std::string_view argument) {
    if (!argument.starts_with("-")) return false;
    argument.remove_prefix(argument.starts_with("--") ? 2 : 1);
    return argument == flag;
  });
}

bool WantsHelp(const std::vector<std::string>& args) {
  return Wants(args, "h") || Wants(args, "help");
}

// Of groups or commands.
template <typename Entry>
std::string Listed(const std::vector<Entry>& entries) {
  size_t width = 0;
  for (const Entry& entry : entries) width = std::max(width, entry.name.size());
  std::string lines;
  for (const Entry& entry : entries) {
    absl::StrAppend(&lines, "  ", entry.name, std::string(width - entry.name.size() + 2, ' '), entry.summary, "\n");
  }
  return lines;
}

template <typename Entry>
std::string HelpPage(std::string_view usage, std::string_view summary, std::string_view title,
                     const std::vector<Entry>& entries) {
  return absl::StrCat("Usage: ", usage, "\n", summary, "\n\n", title, ":\n", Listed(entries));
}

template <typename Entry>
std::vector<std::string> Names(const std::vector<Entry>& entries) {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.emplace_back(entry.name);
  return names;
}

template <typename Entry>
const Entry* Find(const std::vector<Entry>& entries, std::string_view name) {
  for (const Entry& entry : entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

int UsageError(std::string_view program, std::string_view what) {
  std::fputs(absl::StrCat(program, ": ", what, "; see ", program, " -help\n").c_str(), stderr);
  return kExitUsage;
}

int UnknownWord(std::string_view program, std::string_view what, const std::string& word,
                const std::vector<std::string>& known) {
  const std::string nearest = NearestWord(word, known);
  std::string allowed;
  for (const std::string& name : known) absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", name);
  return UsageError(program, absl::StrCat("unknown ", what, " '", word, "'; ",
                                          nearest.empty() ? absl::StrCat("there are: ", allowed)
                                                          : absl::StrCat("did you mean ", nearest, "?")));
}

int RunCommand(const Command& command, const std::string& program, Words words) {
  Invocation invocation;
  invocation.program = program;
  invocation.summary = command.summary;
  invocation.args = std::move(words.others);
  return command.run(invocation);
}

int RunGroup(const CommandGroup& group, Words words) {
  const std::string program = absl::StrCat(kProgram, " ", group.name);
  const std::vector<std::string> names = Names(group.commands);
  if (words.words.size() < 2) {
    if (WantsHelp(words.others)) {
      std::fputs(HelpPage(program + " COMMAND [flags]", group.summary, "Commands", group.commands).c_str(), stdout);
      return kExitDone;
    }
    return UsageError(program, "which command?");
  }
  const Command* command = Find(group.commands, words.words[1]);
  if (command == nullptr) return UnknownWord(program, "command", words.words[1], names);
  return RunCommand(*command, absl::StrCat(program, " ", command->name), std::move(words));
}

int Run(int argc, const char* const* argv) {
  Words words = FindWords(argc, argv);
  if (!words.words.empty() && words.words[0] == "help") {
    words.words.erase(words.words.begin());
    words.others = {"-help"};
  }
  if (Wants(words.others, "version")) {
    std::printf("%s %s\n", std::string(kProgram).c_str(), std::string(WallabyVersion()).c_str());
    return kExitDone;
  }
  const std::vector<CommandGroup> groups = {FlowCommands(),       DdlCommands(),         CheckpointCommands(),
                                            SlotCommands(),       PublicationCommands(), StreamCommands(),
                                            DeadLetterCommands(), TraceCommands()};
  const std::vector<Command> commands = {DoctorCommand(), WhyCommand()};
  if (words.words.empty()) {
    if (!WantsHelp(words.others)) return UsageError(kProgram, "which command?");
    std::fputs(HelpPage(absl::StrCat(kProgram, " GROUP COMMAND [flags]"),
                        "Commands of the operator, against a running `wallaby`.", "Groups", groups)
                   .c_str(),
               stdout);
    std::fputs(absl::StrCat("\nCommands of one word:\n", Listed(commands)).c_str(), stdout);
    std::fputs("\nEach group and each command has -help. Flags stand before or after the words.\n", stdout);
    return kExitDone;
  }
  if (const Command* command = Find(commands, words.words[0])) {
    words.others.insert(words.others.begin(), words.words.begin() + 1, words.words.end());  // one too many
    return RunCommand(*command, absl::StrCat(kProgram, " ", command->name), std::move(words));
  }
  const CommandGroup* group = Find(groups, words.words[0]);
  if (group == nullptr) {
    std::vector<std::string> known = Names(groups);
    for (std::string& name : Names(commands)) known.push_back(std::move(name));
    return UnknownWord(kProgram, "group of commands", words.words[0], known);
  }
  return RunGroup(*group, std::move(words));
}

}  // namespace

int RunAdmin(int argc, const char* const* argv) {
  const int status = Run(argc, argv);
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  std::fprintf(stderr, "%s: the output could not be written; is its disk full?\n", std::string(kProgram).c_str());
  return kExitFailed;
}

}  // namespace wallaby
