// Session: one connection to the destination's database and the transaction that is open on it.
//
// Small statements are gathered and travel in one round trip, at the latest with the commit. An error leaves the
// session unusable: drop it, and the server rolls back.
#ifndef WALLABY_DESTINATION_POSTGRES_SESSION_H_
#define WALLABY_DESTINATION_POSTGRES_SESSION_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "postgres/connection.h"
#include "postgres/session_watch.h"

namespace wallaby {

class Session {
 public:
  static absl::StatusOr<std::unique_ptr<Session>> Connect(const std::string& dsn);

  bool in_transaction() const { return in_transaction_; }
  int server_major() const { return connection_->server_major(); }

  // Begins a transaction with the next statement, unless one is open.
  void Begin();
  // Adds a statement (without semicolon) that needs no answer. `table` is for the error, should it fail. The statement
  // is sent with a later one, or at once when much has gathered.
  absl::Status Add(std::string_view statement, std::string_view table);
  // Sends what has gathered, then runs `sql` and returns its rows.
  absl::StatusOr<PgRows> Query(const std::string& sql, std::string_view table = "");
  absl::StatusOr<PgRows> Select(const std::string& sql, const std::vector<SqlParam>& params);
  // Sends what has gathered together with `last` (statements separated by semicolons) and the commit.
  absl::Status Commit(std::string_view last);

  // COPY ... FROM STDIN.
  absl::Status BeginCopy(const std::string& sql);
  absl::Status PutCopy(std::string_view data) { return connection_->PutCopyData(data); }
  absl::StatusOr<int64_t> EndCopy() { return connection_->EndCopyIn(); }
  void AbortCopy(const std::string& reason) { connection_->AbortCopyIn(reason); }

  // `status` of a statement on `table`, as the destination reports it: the column that the server names in its context,
  // no SQL (it may hold data), and the remedy.
  absl::Status Explain(const absl::Status& status, std::string_view table) const;

  // An expression that is 0 while `condition` holds and else ends the statement with an error that Explain() reads as
  // `mark` with `about`. So a check travels with the statements around it.
  static std::string Check(std::string_view condition, std::string_view mark, std::string_view about);
  static constexpr std::string_view kNoRow = "wallaby_no_row";
  static constexpr std::string_view kMissing = "wallaby_missing";
  static constexpr std::string_view kFenced = "wallaby_fenced";

 private:
  Session(std::unique_ptr<PgConnection> connection, std::unique_ptr<SessionWatch> watch)
      : connection_(std::move(connection)), watch_(std::move(watch)) {}
  absl::Status Send();
  std::string Prefix();

  std::unique_ptr<PgConnection> connection_;
  std::unique_ptr<SessionWatch> watch_;
  bool in_transaction_ = false;
  bool begun_ = false;  // BEGIN has been sent or stands in pending_
  std::string pending_;
  std::vector<std::string> pending_tables_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_POSTGRES_SESSION_H_
