// Flags: the command line of the three programs.
//
// Every flag is taken with one dash or two, as `-flag value` or `-flag=value`; a boolean may stand alone, and "--" ends
// the flags. -h, -help and -version are always there. Free of gRPC, so that every main can use it.
//
//   std::string flow_id;
//   Flags flags("wallaby-worker", "runs one flow");
//   flags.String("flow-id", &flow_id, "ID", "the flow to run");
//   flags.Require("flow-id");
//   if (const std::optional<int> status = flags.Parse(argc, argv)) return *status;
#ifndef WALLABY_CLI_FLAGS_H_
#define WALLABY_CLI_FLAGS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace wallaby {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

// "0.1.0".
std::string_view WallabyVersion();

// The one of `known` that `word` was most likely meant to be; "" when none is near.
std::string NearestWord(std::string_view word, const std::vector<std::string>& known);

// One use, one thread. Pointers must live until Parse returns; what they hold at declaration is the default and is
// shown in the help.
class Flags {
 public:
  // `program` as typed ("wallaby-admin flow list"), `summary` one line of what it does.
  Flags(std::string program, std::string summary);

  // `value` is the placeholder in the help: "FILE".
  void String(std::string name, std::string* target, std::string value, std::string help);
  void Int(std::string name, int64_t* target, std::string value, std::string help);
  void Int(std::string name, int* target, std::string value, std::string help);
  void Bool(std::string name, bool* target, std::string help);
  // "200ms", "5s", "1m".
  void Duration(std::string name, absl::Duration* target, std::string help);
  // Comma separated; the flag may be repeated.
  void List(std::string name, std::vector<std::string>* target, std::string value, std::string help);

  // From here on declared flags stand under this heading in the help.
  void Section(std::string title);
  // Parse refuses a command line without this flag.
  void Require(std::string name);
  // Arguments that are not flags: at most `max`, shown as `usage` in the help. Without this call there may be none.
  void AllowPositional(int max, std::string usage);

  // Nothing: go on. Else the exit status: help or version was printed to stdout (0), or the mistake to stderr (2).
  std::optional<int> Parse(int argc, const char* const* argv);
  std::optional<int> Parse(const std::vector<std::string>& args);
  // For a mistake that only the caller can see: prints it like those of Parse and returns 2.
  int UsageError(std::string_view what) const;

  const std::vector<std::string>& positional() const { return positional_; }
  // Whether the flag stood on the command line.
  bool Given(std::string_view name) const { return given_.count(std::string(name)) > 0; }
  std::string Help() const;

 private:
  struct Flag {
    std::string name;
    std::string value;  // placeholder; empty for a boolean
    std::string help;
    std::string shown_default;
    std::string section;
    bool required = false;
    std::function<absl::Status(const std::string&)> set;
  };

  void Add(std::string name, std::string value, std::string help, std::string shown_default,
           std::function<absl::Status(const std::string&)> set);
  absl::Status Read(const std::vector<std::string>& args, bool* help, bool* version);
  absl::Status ReadFlag(const std::vector<std::string>& args, size_t* at, bool* help, bool* version);
  Flag* Find(std::string_view name);
  // Whether `argument` is a flag that is declared here.
  bool IsKnownFlag(const std::string& argument);
  absl::Status Unknown(const std::string& name) const;

  const std::string program_;
  const std::string summary_;
  std::string section_;
  std::string positional_usage_;
  size_t max_positional_ = 0;
  std::vector<Flag> flags_;
  std::vector<std::string> positional_;
  std::set<std::string> given_;
};

}  // namespace wallaby

#endif  // WALLABY_CLI_FLAGS_H_
