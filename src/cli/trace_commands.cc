// wallaby-admin trace ...: works on files and talks to no server.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/admin.h"
#include "cli/flags.h"
#include "telemetry/trace_check.h"

namespace wallaby {
namespace {

absl::StatusOr<TraceSummary> CheckFile(const std::string& file) {
  if (file == "-") return CheckTrace(std::cin);
  std::ifstream in(file, std::ios::binary);
  if (!in) return absl::NotFoundError(absl::StrCat("cannot open ", file, "; it is what WALLABY_TRACE_PATH named"));
  auto summary = CheckTrace(in);
  if (!summary.ok()) return Annotate(summary.status(), file);
  return summary;
}

int Check(const Invocation& invocation) {
  std::string file;
  Flags flags(invocation.program, invocation.summary);
  flags.String("file", &file, "FILE", "what WALLABY_TRACE_PATH named; - reads stdin");
  flags.Require("file");
  if (const auto status = flags.Parse(invocation.args)) return *status;
  const absl::StatusOr<TraceSummary> summary = CheckFile(file);
  if (!summary.ok()) {
    std::fputs(absl::StrCat(invocation.program, ": ", summary.status().message(), "\n").c_str(), stderr);
    return kExitFailed;
  }
  std::string text = absl::StrCat("The trace keeps to the model: ", summary->events, " events of ", summary->flows,
                                  summary->flows == 1 ? " flow" : " flows");
  for (const auto& [action, count] : summary->counts) absl::StrAppend(&text, "\n  ", action, " ", count);
  std::fputs(absl::StrCat(text, "\n").c_str(), stdout);
  return kExitDone;
}

}  // namespace

CommandGroup TraceCommands() {
  return {"trace",
          "Runtime traces, which WALLABY_TRACE_PATH asks for.",
          {{"check", "compare a trace with the delivery model", Check}}};
}

}  // namespace wallaby
