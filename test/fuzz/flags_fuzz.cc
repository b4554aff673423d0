// The command line: arguments with zero bytes between them. A line that is taken means the same with two dashes, and
// with its lists and texts given as -flag=value.
#include <cstdio>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "fuzz.h"

namespace wallaby {
namespace {

struct Line {
  std::string text = "default";
  int64_t number = 7;
  int small = 0;
  bool flag = false;
  absl::Duration duration = absl::Seconds(10);
  std::vector<std::string> list;
  std::vector<std::string> positional;
  std::optional<int> exit;
};

Line Parse(const std::vector<std::string>& arguments) {
  Line line;
  Flags flags("wallaby-fuzz", "a program");
  flags.String("text", &line.text, "TEXT", "a text");
  flags.Int("number", &line.number, "N", "a number");
  flags.Int("small", &line.small, "N", "a small number");
  flags.Bool("flag", &line.flag, "a flag");
  flags.Section("More");
  flags.Duration("duration", &line.duration, "a duration");
  flags.List("list", &line.list, "A,B", "a list");
  flags.AllowPositional(2, "WHAT");
  line.exit = flags.Parse(arguments);
  line.positional = flags.positional();
  REQUIRE(!line.exit || *line.exit == kExitDone || *line.exit == kExitUsage, "an exit status");
  return line;
}

// One of the flags above, with one dash. All else with a dash may be a value.
bool IsFlag(std::string_view argument) {
  const std::string_view name = argument.substr(0, argument.find('='));
  for (const char* known : {"-text", "-number", "-small", "-flag", "-duration", "-list"}) {
    if (name == known) return true;
  }
  return false;
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  // Help and mistakes are printed: not into the output of a fuzzer.
  static FILE* const nowhere = [] {
    FILE* file = std::fopen("/dev/null", "w");
    stdout = file;
    return file;
  }();
  FILE* const was = stderr;
  stderr = nowhere;
  fuzz::Input in(data, size);
  std::vector<std::string> arguments;
  while (!in.empty()) arguments.emplace_back(in.Until('\0'));
  const Line line = Parse(arguments);
  std::vector<std::string> doubled;
  bool ended = false;
  for (const std::string& argument : arguments) {
    ended |= argument == "--";
    doubled.push_back(!ended && IsFlag(argument) ? "-" + argument : argument);
  }
  const Line same = Parse(doubled);
  std::string joined;
  for (const std::string& item : line.list) joined += (joined.empty() ? "" : ",") + item;
  const Line rebuilt = Parse({"-text=" + line.text, "-number=" + std::to_string(line.number),
                              "-small=" + std::to_string(line.small), line.flag ? "-flag" : "-flag=false",
                              "-duration=" + absl::FormatDuration(line.duration), "-list=" + joined});
  stderr = was;
  if (line.exit) return 0;
  REQUIRE(!rebuilt.exit, "a line that was taken is not taken again");
  REQUIRE(rebuilt.text == line.text && rebuilt.number == line.number && rebuilt.small == line.small &&
              rebuilt.flag == line.flag && rebuilt.duration == line.duration && rebuilt.list == line.list,
          "given as -flag=value, the line means something else");
  REQUIRE(!same.exit && same.text == line.text && same.number == line.number && same.flag == line.flag &&
              same.list == line.list && same.positional == line.positional,
          "with two dashes, the line means something else");
  return 0;
}
