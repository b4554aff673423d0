// The doctor: how fit a source is to be read, check by check, each with the SQL that mends what it found. It looks
// further than CheckSource, which only asks whether a flow can run now: also at what will stop it later.
//
// Source of the settings' meaning: PostgreSQL documentation, "Replication" and "Logical Decoding".
#ifndef WALLABY_POSTGRES_DOCTOR_H_
#define WALLABY_POSTGRES_DOCTOR_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "postgres/catalog.h"
#include "postgres/connection.h"
#include "postgres/source_options.h"

namespace wallaby {

struct DoctorOptions {
  // The flow's. Where no flow is known: its dsn, and slot and publication or ""; "" means every slot of pgoutput and
  // every publication of the database, or, where there is none, all tables.
  SourceOptions source;
  bool slot_may_be_read = true;                        // somebody reading the slot is nothing to tell
  bool wants_capture = false;                          // the flow is to see DDL by the event trigger
  bool only_postgres = false;                          // all destinations are PostgreSQL: they know its types
  absl::Duration long_transaction = absl::Minutes(5);  // one that is open for longer is told of
};

enum class Health { kOk, kWarning, kProblem };  // in order of weight
std::string_view HealthName(Health health);     // "ok", "warning", "problem"

struct Diagnosis {
  std::string check;   // fixed for ever, for scripts: "wal_level"
  std::string object;  // "table shop.orders"; "" for the server as a whole
  Health health = Health::kOk;
  std::string sentence;
  std::string sql;     // mends it; statements end in a semicolon. "": no statement does, or nothing is wrong
  std::string run_as;  // who may run it, with the least rights
};

// Every check at least once, in the same order always; a check that cannot be made is a warning. Changes nothing.
// `sql` is a connection to source.dsn. An error only when the connection is lost.
absl::StatusOr<std::vector<Diagnosis>> ExamineSource(PgConnection& sql, const DoctorOptions& options);

// What there is to tell when no connection was had.
std::vector<Diagnosis> DiagnoseNoConnection(const absl::Status& status);

}  // namespace wallaby

#endif  // WALLABY_POSTGRES_DOCTOR_H_
