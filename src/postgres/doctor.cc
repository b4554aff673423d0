#include "postgres/doctor.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "postgres/doctor_tables.h"
#include "postgres/publication_plan.h"
#include "postgres/server_checks.h"
#include "postgres/slot.h"
#include "postgres/source_checks.h"
#include "postgres/table_checks.h"

namespace wallaby {
namespace {

using Severity = Finding::Severity;

struct CheckSpec {
  std::string_view name;
  std::string_view fine;  // what there is to say when nothing was found
};

// In the order of the report: what concerns the whole server first.
constexpr auto kChecks = std::to_array<CheckSpec>({
    {"connection", "the server answers"},
    {"server_version", "the version is one that is read"},
    {"wal_level", "wal_level is logical"},
    {"replication_slots", "there are replication slots left"},
    {"wal_senders", "there are WAL senders left"},
    {"output_plugin_libraries", "pgoutput may be used as an output plugin"},
    {"standby", "this server is a primary"},
    {"wal_keep_limit", "slots keep a bounded amount of WAL"},
    {"idle_slot_timeout", "no slot is given up for being idle"},
    {"pooler", "no connection pooler stands between"},
    {"role", "the role may replicate"},
    {"replication_connection", "a replication connection can be made"},
    {"event_trigger", "schema changes can be captured"},
    {"slot", "no slot is lost or of another kind"},
    {"slot_in_use", "nobody else reads the slot"},
    {"failover", "no standby needs a failover slot"},
    {"long_transactions", "no transaction is open for long"},
    {"prepared_transactions", "no prepared transaction waits for long"},
    {"publication", "the publication carries what it is to carry"},
    {"publication_rights", "the role need not make, or may make, the publication"},
    {"partitions", "partitioned tables arrive under the name of their root"},
    {"replica_identity", "UPDATE and DELETE are identified in every table"},
    {"toast_fetch", "the tables fit the option toast_fetch"},
    {"table_rights", "the role may read every table"},
    {"row_security", "no policy hides rows from the role"},
    {"unlogged_tables", "every table is in the WAL"},
    {"foreign_tables", "no foreign table is passed over"},
    {"generated_columns", "no generated column is left out"},
    {"column_lists", "no column list leaves columns out"},
    {"row_filters", "no row filter leaves rows out"},
    {"own_tables", "no table of WALlaby's own is published"},
    {"types", "every column's type has its like at every destination"},
});

// What can be mended is worth a warning; what merely is so is not. A table whose UPDATE and DELETE fail for its users,
// now or once it is published, is a problem, though a flow can run; one where they would if more was published, is not.
Health HealthOf(const Finding& finding) {
  const bool identity = finding.check == "replica_identity";
  if (finding.severity == Severity::kError) return Health::kProblem;
  if (identity && finding.severity == Severity::kWarning) return Health::kProblem;
  if (finding.severity == Severity::kWarning || identity || !finding.sql.empty()) return Health::kWarning;
  return Health::kOk;
}

Diagnosis DiagnosisOf(const Finding& finding) {
  Diagnosis diagnosis{finding.check, finding.subject, HealthOf(finding), finding.message, finding.sql, finding.run_as};
  const bool says = absl::StrContains(finding.message, finding.remedy);
  if (finding.sql.empty() && !finding.remedy.empty() && !says) {
    absl::StrAppend(&diagnosis.sentence, "; ", finding.remedy);
  }
  return diagnosis;
}

// What was found while several publications were looked at: a table of two of them is told of once.
struct FoundIn {
  Finding finding;
  std::vector<std::string> publications;
};

void Gather(const std::string& publication, std::vector<Finding> findings, std::vector<FoundIn>* all) {
  for (Finding& finding : findings) {
    const auto same = std::find_if(all->begin(), all->end(), [&](const FoundIn& one) {
      const Finding& other = one.finding;
      return std::tie(other.check, other.subject, other.message, other.sql) ==
             std::tie(finding.check, finding.subject, finding.message, finding.sql);
    });
    if (same == all->end()) {
      all->push_back({std::move(finding), {publication}});
    } else if (same->publications.back() != publication) {
      same->publications.push_back(publication);
    }
  }
}

// With the publications that it is of, where it does not say so itself.
Finding Named(FoundIn found) {
  const auto says = [&](std::string_view text) { return absl::StrContains(text, "publication "); };
  if (!says(found.finding.subject) && !says(found.finding.message)) {
    absl::StrAppend(&found.finding.message, " (publication", found.publications.size() > 1 ? "s " : " ",
                    absl::StrJoin(found.publications, ", "), ")");
  }
  return std::move(found.finding);
}

class Doctor {
 public:
  Doctor(PgConnection& sql, const DoctorOptions& options)
      : sql_(sql), options_(options), source_(options.source), checker_(sql_, source_, server_, &findings_) {}
  absl::Status Run();
  std::vector<Diagnosis> Report();

 private:
  // Notes that `check` could not be made; an error only when the connection is lost.
  absl::Status Note(std::string_view check, const absl::Status& status);
  absl::Status ExamineServer();
  absl::Status ExamineSlots();
  absl::Status ExaminePublications();
  absl::Status ExaminePublication();
  absl::Status ExamineAllTables();
  absl::StatusOr<std::vector<SlotInfo>> SlotsInQuestion();

  PgConnection& sql_;
  const DoctorOptions& options_;
  SourceOptions source_;  // with slot and publication of the one that is looked at
  ServerInfo server_;
  std::vector<SlotInfo> slots_;
  std::vector<Finding> findings_;
  SourceChecker checker_;
};

absl::Status Doctor::Note(std::string_view check, const absl::Status& status) {
  if (status.ok()) return status;
  // The connection that all other checks need still answers, or it does not.
  if (absl::Status alive = sql_.Execute("SELECT 1"); !alive.ok()) return alive;
  const bool places = check == "role" && IsTransient(status);  // all WAL senders in use
  findings_.push_back({Severity::kWarning, "", absl::StrCat("could not be checked: ", status.message()), "",
                       std::string(places ? "replication_connection" : check)});
  return absl::OkStatus();
}

absl::Status Doctor::Run() {
  const int major = sql_.server_major();
  findings_.push_back({major < 14 ? Severity::kError : Severity::kInfo, "",
                       absl::StrCat("PostgreSQL ", major, ".", sql_.server_version() % 10000,
                                    major < 14 ? " is too old; 14 to 18 are read: upgrade the server" : ""),
                       "", "server_version"});
  if (major < 14) return absl::OkStatus();
  auto server = GetServerInfo(sql_);
  if (!server.ok()) return Note("wal_level", server.status());
  server_ = *std::move(server);
  auto slots = SlotsInQuestion();
  RETURN_IF_ERROR(Note("slot", slots.status()));
  if (slots.ok()) slots_ = *std::move(slots);
  RETURN_IF_ERROR(ExamineServer());
  RETURN_IF_ERROR(ExamineSlots());
  return ExaminePublications();
}

absl::Status Doctor::ExamineServer() {
  checker_.CheckServer();
  RETURN_IF_ERROR(Note("role", checker_.CheckRole()));
  if (!server_.role_can_replicate) {
    findings_.push_back(
        {Severity::kInfo, "", "not tried, as the role may not replicate", "", "replication_connection"});
  }
  RETURN_IF_ERROR(Note("pooler", CheckPooler(sql_, &findings_)));
  RETURN_IF_ERROR(Note("output_plugin_libraries", CheckOutputPlugins(sql_, &findings_)));
  RETURN_IF_ERROR(Note("wal_keep_limit", CheckWalLimit(sql_, &findings_)));
  RETURN_IF_ERROR(Note("idle_slot_timeout", CheckIdleTimeout(sql_, &findings_)));
  RETURN_IF_ERROR(Note("event_trigger", CheckCapture(sql_, source_, options_.wants_capture, &findings_)));
  RETURN_IF_ERROR(Note("failover", CheckFailover(sql_, server_, slots_, &findings_)));
  return Note("long_transactions", CheckHolders(sql_, options_.long_transaction, &findings_));
}

// The flow's, or every slot that a flow in this database could read.
absl::StatusOr<std::vector<SlotInfo>> Doctor::SlotsInQuestion() {
  ASSIGN_OR_RETURN(std::vector<SlotInfo> all, ListSlots(sql_));
  std::erase_if(all, [this](const SlotInfo& slot) {
    if (!source_.slot.empty()) return slot.name != source_.slot;
    return slot.temporary || slot.synced || slot.plugin != "pgoutput" || slot.database != server_.database;
  });
  return all;
}

absl::Status Doctor::ExamineSlots() {
  std::vector<std::string> names;
  for (const SlotInfo& slot : slots_) names.push_back(slot.name);
  if (names.empty() && !source_.slot.empty()) names.push_back(source_.slot);  // it is missing
  for (const std::string& name : names) {
    source_.slot = name;
    RETURN_IF_ERROR(Note("slot", checker_.CheckSlot()));
  }
  source_.slot = options_.source.slot;
  CheckPlacesLeft(server_, slots_, &findings_);
  if (options_.slot_may_be_read) {
    std::erase_if(findings_, [](const Finding& finding) { return finding.check == "slot_in_use"; });
  }
  return absl::OkStatus();
}

absl::Status Doctor::ExaminePublications() {
  if (!source_.publication.empty()) return ExaminePublication();
  const auto names = sql_.Query("SELECT pubname FROM pg_catalog.pg_publication ORDER BY 1");
  if (!names.ok()) return Note("publication", names.status());
  if (names->size() == 0) return ExamineAllTables();
  std::vector<Finding> before = std::exchange(findings_, {});
  std::vector<FoundIn> found;
  for (int i = 0; i < names->size(); ++i) {
    source_.publication = names->Text(i, 0);
    RETURN_IF_ERROR(ExaminePublication());
    Gather(source_.publication, std::exchange(findings_, {}), &found);
  }
  source_.publication.clear();
  findings_ = std::move(before);
  for (FoundIn& one : found) findings_.push_back(names->size() > 1 ? Named(std::move(one)) : std::move(one.finding));
  return absl::OkStatus();
}

absl::Status Doctor::ExaminePublication() {
  const std::string& name = source_.publication;
  RETURN_IF_ERROR(Note("publication", checker_.CheckPublication()));
  const auto exists = PublicationExists(sql_, name);
  if (!exists.ok()) return Note("publication", exists.status());
  if (*exists) {
    RETURN_IF_ERROR(Note("partitions", CheckPartitions(sql_, name, &findings_)));
    return Note("types", CheckTypes(sql_, name, options_.only_postgres, &findings_));
  }
  const auto oids = OidsToPublish(sql_, PublicationPlan::From(source_.publication_tables, source_.publication_schemas));
  if (!oids.ok()) return Note("types", oids.status());
  return Note("types", CheckTypesToPublish(sql_, *oids, options_.only_postgres, &findings_));
}

absl::Status Doctor::ExamineAllTables() {
  findings_.push_back(
      {Severity::kInfo, "", "there is no publication yet; all tables were looked at", "", "publication"});
  RETURN_IF_ERROR(Note("publication_rights", CheckMayPublish(sql_, &findings_)));
  const PublicationPlan all;
  RETURN_IF_ERROR(
      Note("replica_identity",
           CheckTablesToPublish(sql_, source_, all, /*by_flow=*/true, /*copy_due=*/false, &findings_).status()));
  const auto oids = OidsToPublish(sql_, all);
  if (!oids.ok()) return Note("types", oids.status());
  return Note("types", CheckTypesToPublish(sql_, *oids, options_.only_postgres, &findings_));
}

std::vector<Diagnosis> Doctor::Report() {
  std::vector<Diagnosis> report;
  for (const CheckSpec& spec : kChecks) {
    const size_t before = report.size();
    for (const Finding& finding : findings_) {
      if (finding.check == spec.name) report.push_back(DiagnosisOf(finding));
    }
    if (report.size() == before) {
      report.push_back({std::string(spec.name), "", Health::kOk, std::string(spec.fine), "", ""});
    }
    std::stable_sort(report.begin() + static_cast<std::ptrdiff_t>(before), report.end(),
                     [](const Diagnosis& a, const Diagnosis& b) { return a.health > b.health; });
  }
  return report;
}

}  // namespace

std::string_view HealthName(Health health) {
  switch (health) {
    case Health::kOk:
      return "ok";
    case Health::kWarning:
      return "warning";
    case Health::kProblem:
      return "problem";
  }
  return "";
}

absl::StatusOr<std::vector<Diagnosis>> ExamineSource(PgConnection& sql, const DoctorOptions& options) {
  Doctor doctor(sql, options);
  RETURN_IF_ERROR(doctor.Run());
  return doctor.Report();
}

std::vector<Diagnosis> DiagnoseNoConnection(const absl::Status& status) {
  const bool pooler = absl::StrContains(status.message(), "pooler");
  return {{pooler ? "pooler" : "connection", "connection", Health::kProblem, std::string(status.message()), "", ""}};
}

}  // namespace wallaby
