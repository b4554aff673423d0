#include "cli/flags.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/units.h"

namespace wallaby {
namespace {

// Levenshtein distance.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({replaced, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row[b.size()];
}

std::string DurationText(absl::Duration duration) {
  return duration == absl::ZeroDuration() ? "" : absl::FormatDuration(duration);
}

// `-name` or `--name`, with or without `=value`; "" when it is no flag. "-" and "-5" are none.
std::string_view FlagName(std::string_view argument) {
  if (argument.size() < 2 || argument[0] != '-') return "";
  argument.remove_prefix(argument.substr(0, 2) == "--" ? 2 : 1);
  if (argument.empty() || absl::ascii_isdigit(argument[0])) return "";
  return argument.substr(0, argument.find('='));
}

}  // namespace

std::string_view WallabyVersion() {
  return WALLABY_VERSION;
}

std::string NearestWord(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, std::min<size_t>(3, word.size() / 2)) + 1;
  for (const std::string& candidate : known) {
    size_t distance = Distance(word, candidate);
    if (word.size() >= 2 && candidate.starts_with(word)) distance = 1;  // abbreviations
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

Flags::Flags(std::string program, std::string summary) : program_(std::move(program)), summary_(std::move(summary)) {}

void Flags::Add(std::string name, std::string value, std::string help, std::string shown_default,
                std::function<absl::Status(const std::string&)> set) {
  Flag flag;
  flag.name = std::move(name);
  flag.value = std::move(value);
  flag.help = std::move(help);
  flag.shown_default = std::move(shown_default);
  flag.section = section_;
  flag.set = std::move(set);
  flags_.push_back(std::move(flag));
}

void Flags::String(std::string name, std::string* target, std::string value, std::string help) {
  Add(std::move(name), std::move(value), std::move(help), *target, [target](const std::string& text) {
    *target = text;
    return absl::OkStatus();
  });
}

void Flags::Int(std::string name, int64_t* target, std::string value, std::string help) {
  Add(std::move(name), std::move(value), std::move(help), *target == 0 ? "" : absl::StrCat(*target),
      [target](const std::string& text) {
        if (absl::SimpleAtoi(text, target)) return absl::OkStatus();
        return absl::InvalidArgumentError(absl::StrCat("got '", text, "'; allowed: a whole number"));
      });
}

void Flags::Int(std::string name, int* target, std::string value, std::string help) {
  Add(std::move(name), std::move(value), std::move(help), *target == 0 ? "" : absl::StrCat(*target),
      [target](const std::string& text) {
        if (absl::SimpleAtoi(text, target)) return absl::OkStatus();
        return absl::InvalidArgumentError(
            absl::StrCat("got '", text, "'; allowed: a whole number up to ", std::numeric_limits<int>::max()));
      });
}

void Flags::Bool(std::string name, bool* target, std::string help) {
  Add(std::move(name), "", std::move(help), *target ? "true" : "", [target](const std::string& text) -> absl::Status {
    ASSIGN_OR_RETURN(*target, ParseBool(text));
    return absl::OkStatus();
  });
}

void Flags::Duration(std::string name, absl::Duration* target, std::string help) {
  Add(std::move(name), "DURATION", std::move(help), DurationText(*target),
      [target](const std::string& text) -> absl::Status {
        ASSIGN_OR_RETURN(*target, ParseDuration(text));
        return absl::OkStatus();
      });
}

void Flags::List(std::string name, std::vector<std::string>* target, std::string value, std::string help) {
  Add(std::move(name), std::move(value), std::move(help), "", [target](const std::string& text) {
    for (std::string_view item : absl::StrSplit(text, ',')) {
      item = absl::StripAsciiWhitespace(item);
      if (!item.empty()) target->emplace_back(item);
    }
    return absl::OkStatus();
  });
}

void Flags::Section(std::string title) {
  section_ = std::move(title);
}

void Flags::Require(std::string name) {
  if (Flag* flag = Find(name)) flag->required = true;
}

void Flags::AllowPositional(int max, std::string usage) {
  max_positional_ = static_cast<size_t>(max);
  positional_usage_ = std::move(usage);
}

Flags::Flag* Flags::Find(std::string_view name) {
  const auto found = std::find_if(flags_.begin(), flags_.end(), [&](const Flag& flag) { return flag.name == name; });
  return found == flags_.end() ? nullptr : &*found;
}

bool Flags::IsKnownFlag(const std::string& argument) {
  const std::string_view name = FlagName(argument);
  return name == "h" || name == "help" || name == "version" || (!name.empty() && Find(name) != nullptr);
}

absl::Status Flags::Unknown(const std::string& name) const {
  std::vector<std::string> known = {"help", "version"};
  for (const Flag& flag : flags_) known.push_back(flag.name);
  const std::string nearest = NearestWord(name, known);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown flag -", name, nearest.empty() ? "" : absl::StrCat("; did you mean -", nearest, "?")));
}

absl::Status Flags::ReadFlag(const std::vector<std::string>& args, size_t* at, bool* help, bool* version) {
  const std::string& argument = args[*at];
  const std::string name(FlagName(argument));
  const size_t equals = argument.find('=');
  Flag* flag = Find(name);
  if (flag == nullptr) {
    // Declared flags go first, so that a program may have a -h of its own.
    *help = *help || name == "h" || name == "help";
    *version = *version || name == "version";
    return *help || *version ? absl::OkStatus() : Unknown(name);
  }
  std::string value;
  const bool has_next = *at + 1 < args.size();
  if (equals != std::string::npos) {
    value = argument.substr(equals + 1);
  } else if (flag->value.empty()) {
    const bool next_is_value = has_next && (args[*at + 1] == "true" || args[*at + 1] == "false");
    value = next_is_value ? args[++*at] : "true";
  } else if (has_next && !IsKnownFlag(args[*at + 1])) {
    value = args[++*at];
  } else {
    return absl::InvalidArgumentError(absl::StrCat("flag -", name, " needs a value: -", name, " ", flag->value));
  }
  given_.insert(name);
  return Annotate(flag->set(value), absl::StrCat("flag -", name));
}

absl::Status Flags::Read(const std::vector<std::string>& args, bool* help, bool* version) {
  for (size_t at = 0; at < args.size(); ++at) {
    if (args[at] == "--") {
      positional_.insert(positional_.end(), args.begin() + static_cast<std::ptrdiff_t>(at) + 1, args.end());
      break;
    }
    if (FlagName(args[at]).empty()) {
      positional_.push_back(args[at]);
    } else {
      RETURN_IF_ERROR(ReadFlag(args, &at, help, version));
      if (*help || *version) return absl::OkStatus();
    }
  }
  if (positional_.size() > max_positional_) {
    return absl::InvalidArgumentError(absl::StrCat("unexpected argument '", positional_[max_positional_], "'"));
  }
  for (const Flag& flag : flags_) {
    if (flag.required && !Given(flag.name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("flag -", flag.name, " is missing: -", flag.name, " ", flag.value));
    }
  }
  return absl::OkStatus();
}

std::optional<int> Flags::Parse(int argc, const char* const* argv) {
  return Parse(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
}

std::optional<int> Flags::Parse(const std::vector<std::string>& args) {
  bool help = false;
  bool version = false;
  const absl::Status status = Read(args, &help, &version);
  if (!status.ok()) return UsageError(status.message());
  if (help) {
    std::fputs(Help().c_str(), stdout);
    return kExitDone;
  }
  if (version) {
    std::printf("%s %s\n", program_.substr(0, program_.find(' ')).c_str(), WALLABY_VERSION);
    return kExitDone;
  }
  return std::nullopt;
}

int Flags::UsageError(std::string_view what) const {
  const std::string line = absl::StrCat(program_, ": ", what, "; see ", program_, " -help\n");
  std::fputs(line.c_str(), stderr);
  return kExitUsage;
}

std::string Flags::Help() const {
  std::string usage = absl::StrCat("Usage: ", program_);
  for (const Flag& flag : flags_) {
    if (flag.required) absl::StrAppend(&usage, " -", flag.name, " ", flag.value);
  }
  absl::StrAppend(&usage, " [flags]", positional_usage_.empty() ? "" : " ", positional_usage_, "\n", summary_, "\n");

  size_t width = std::string_view("-h, -help").size();
  const auto left = [](const Flag& flag) {
    return absl::StrCat("-", flag.name, flag.value.empty() ? "" : " ", flag.value);
  };
  for (const Flag& flag : flags_) width = std::max(width, left(flag).size());
  const auto line = [&](const std::string& flag, const std::string& help) {
    return absl::StrCat("  ", flag, std::string(width - flag.size() + 2, ' '), help, "\n");
  };
  std::string out = usage;
  std::string section;
  bool first = true;
  for (const Flag& flag : flags_) {
    if (first || flag.section != section) {
      absl::StrAppend(&out, "\n", flag.section.empty() ? "Flags" : flag.section, ":\n");
    }
    first = false;
    section = flag.section;
    std::string help = flag.help;
    if (flag.required) help += " (required)";
    if (!flag.shown_default.empty()) absl::StrAppend(&help, " (default ", flag.shown_default, ")");
    out += line(left(flag), help);
  }
  if (flags_.empty()) out += "\nFlags:\n";
  return out + line("-h, -help", "this page") + line("-version", "print the version");
}

}  // namespace wallaby
