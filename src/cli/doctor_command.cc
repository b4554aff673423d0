// wallaby-admin doctor: of a source by -dsn, straight from here; of a flow or a flow file by the server, which can
// reach what the flow names.
#include <algorithm>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "cli/admin.h"
#include "cli/command_line.h"
#include "cli/flow_file_input.h"
#include "cli/render.h"
#include "cli/source_connection.h"
#include "postgres/doctor.h"
#include "service/doctor_convert.h"

namespace wallaby {
namespace {

struct Options {
  std::string dsn;
  std::string slot;
  std::string publication;
  std::string flow_id;
  std::string file;
  absl::Duration long_transaction = DoctorOptions().long_transaction;
};

std::optional<int> ParseFlags(CommandLine& line, Options* options) {
  Flags& flags = line.flags();
  flags.String("dsn", &options->dsn, "DSN", "a source, looked at from here; PGPASSWORD may hold the password");
  flags.String("slot", &options->slot, "NAME", "with -dsn: this slot; else all of pgoutput in the database");
  flags.String("publication", &options->publication, "NAME", "with -dsn: this publication; else all, or all tables");
  line.FlowId(&options->flow_id, /*required=*/false);
  flags.String("file", &options->file, "FILE", "a flow file, YAML or JSON; - is standard input");
  flags.Duration("long-transaction", &options->long_transaction, "tell of transactions that are open for so long");
  if (const auto status = line.Parse()) return status;
  int given = 0;
  for (const std::string* value : {&options->dsn, &options->flow_id, &options->file}) given += value->empty() ? 0 : 1;
  if (given != 1) return flags.UsageError("of what? Give one of -dsn DSN, -flow-id ID and -file FILE");
  if (options->dsn.empty() && !(options->slot.empty() && options->publication.empty())) {
    return flags.UsageError("-slot and -publication go with -dsn; a flow names its own");
  }
  return std::nullopt;
}

v1::DoctorReport ReportOnSource(const Options& options) {
  v1::DoctorReport report;
  const auto sql = ConnectToSource(options.dsn);
  absl::Status failed = sql.status();
  if (sql.ok()) {
    DoctorOptions how;
    how.source.dsn = options.dsn;
    how.source.slot = options.slot;
    how.source.publication = options.publication;
    // A flow that makes what is missing is another question: here what was named is to be there.
    how.source.create_slot = how.source.ensure_publication = false;
    how.long_transaction = options.long_transaction;
    const auto diagnoses = ExamineSource(**sql, how);
    failed = diagnoses.status();
    if (diagnoses.ok()) AddToReport(*diagnoses, &report);
  }
  if (!failed.ok()) AddToReport(DiagnoseNoConnection(failed), &report);
  return report;
}

absl::StatusOr<v1::DoctorReport> Ask(CommandLine& line, const Options& options) {
  if (!options.dsn.empty()) return ReportOnSource(options);
  const double seconds = absl::ToDoubleSeconds(options.long_transaction);
  if (!options.flow_id.empty()) {
    v1::DiagnoseFlowRequest request;
    request.set_long_transaction_seconds(seconds);
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    return CallOnFlow(*client, request, options.flow_id);
  }
  ASSIGN_OR_RETURN(const Flow flow, ReadFlowFile(options.file));
  RETURN_IF_ERROR(CheckFlowFile(options.file, flow));
  v1::DiagnoseDefinitionRequest request;
  ASSIGN_OR_RETURN(*request.mutable_flow(), ToRequest(options.file, flow));
  request.set_long_transaction_seconds(seconds);
  ASSIGN_OR_RETURN(Client* const client, line.Connect());
  return client->Call(request);
}

// ---- what people read ----

// Names come from the source: none may end a comment's line.
std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return text;
}

// What changes publications, which may make tables' UPDATE and DELETE need an identity, comes after what gives them
// one.
bool IsOfPublication(const v1::DoctorCheck& check) {
  return check.check() == "publication" || check.check() == "publication_rights";
}

// To be given to psql as it is. What mends several findings stands once.
std::string SqlText(const v1::DoctorReport& report) {
  std::string text;
  std::set<std::string> shown;
  for (const bool of_publication : {false, true}) {
    for (const v1::DoctorCheck& check : report.checks()) {
      if (check.sql().empty() || IsOfPublication(check) != of_publication || !shown.insert(check.sql()).second)
        continue;
      absl::StrAppend(&text, "\n-- ",
                      OneLine(absl::StrCat(check.check(), check.object().empty() ? "" : ", ", check.object(),
                                           ". To be run by ", check.run_as())),
                      ":\n", check.sql(), check.sql().ends_with('\n') ? "" : "\n");
    }
  }
  return text;
}

int Count(const v1::DoctorReport& report, std::string_view status) {
  return static_cast<int>(std::count_if(report.checks().begin(), report.checks().end(),
                                        [&](const v1::DoctorCheck& check) { return check.status() == status; }));
}

std::string Counts(int count, std::string_view what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

std::string ReportText(const v1::DoctorReport& report) {
  Table table({"STATUS", "CHECK", "OBJECT", "WHAT"});
  for (const v1::DoctorCheck& check : report.checks()) {
    table.Add({check.status(), check.check(), check.object(), check.sentence()});
  }
  return absl::StrCat(table.Text(), SqlText(report), "\n-- ", Counts(Count(report, "problem"), "problem"), ", ",
                      Counts(Count(report, "warning"), "warning"), ".\n");
}

absl::Status Verdict(const v1::DoctorReport& report) {
  for (const v1::DoctorCheck& check : report.checks()) {
    if (check.status() != "problem") continue;
    return absl::FailedPreconditionError(
        absl::StrCat(Counts(Count(report, "problem"), "problem"), "; the first: ", check.check(),
                     check.object().empty() ? "" : ", ", check.object(), ": ", check.sentence()));
  }
  return absl::OkStatus();
}

int Run(const Invocation& invocation) {
  CommandLine line(invocation);
  Options options;
  if (const auto status = ParseFlags(line, &options)) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(const v1::DoctorReport report, Ask(line, options));
    RETURN_IF_ERROR(line.Print(report, ReportText(report)));
    return Verdict(report);
  }());
}

}  // namespace

Command DoctorCommand() {
  return {"doctor", "checks of a source or a flow, with the SQL that mends what they find; changes nothing", Run};
}

}  // namespace wallaby
