// PgConnection::Connect: the startup packet, and what its failure means.
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "postgres/connection.h"
#include "postgres/sqlstate.h"

namespace wallaby {
namespace {

// What fixes the text forms of values (change/type.h).
constexpr std::pair<const char*, const char*> kFixedSettings[] = {
    {"DateStyle", "ISO"},    {"IntervalStyle", "postgres"}, {"extra_float_digits", "3"},
    {"bytea_output", "hex"}, {"TimeZone", "UTC"},           {"standard_conforming_strings", "on"},
};

// A peer that is gone is noticed after about a minute: by unanswered probes while nothing is on its way to it, else by
// what it does not confirm.
constexpr std::pair<const char*, const char*> kKeepalives[] = {
    {"keepalives", "1"},
    {"keepalives_idle", "30"},
    {"keepalives_interval", "10"},
    {"keepalives_count", "3"},
};
constexpr const char* kUserTimeout = "tcp_user_timeout";  // milliseconds
constexpr absl::Duration kUserTimeoutDefault = absl::Minutes(1);

using Parameters = std::map<std::string, std::string>;

// libpq quotes a part of the DSN in its complaint, which may be a part of the password: only the complaint about a
// keyword is passed on.
absl::Status BadDsn(std::string_view complaint) {
  for (std::string_view known : {"invalid connection option \"", "invalid URI query parameter: \""}) {
    const size_t at = complaint.find(known);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = complaint.substr(at + known.size());
    return absl::InvalidArgumentError(absl::StrCat("the DSN has the unknown keyword \"", rest.substr(0, rest.find('"')),
                                                   "\"; use libpq's keywords: host, port, dbname, user, password, "
                                                   "sslmode, ..."));
  }
  return absl::InvalidArgumentError(
      "the DSN cannot be read; write postgres://user:password@host:port/database with special characters of the "
      "password percent-encoded, or key=value pairs with single quotes around values that hold spaces");
}

absl::StatusOr<Parameters> ParseDsn(const std::string& dsn) {
  Parameters parameters;
  // A DSN without any '=' and not a URI would be taken for nothing at all.
  char* complaint = nullptr;
  PQconninfoOption* options = PQconninfoParse(dsn.c_str(), &complaint);
  if (options == nullptr) {
    const absl::Status status = BadDsn(complaint != nullptr ? complaint : "");
    PQfreemem(complaint);
    return status;
  }
  for (PQconninfoOption* o = options; o->keyword != nullptr; ++o) {
    if (o->val != nullptr && *o->val != '\0') parameters[o->keyword] = o->val;
  }
  PQconninfoFree(options);
  return parameters;
}

// "-c name=value" as the server splits it: spaces and backslashes are escaped by a backslash.
std::string SessionSetting(std::string_view name, std::string_view value) {
  return absl::StrCat(" -c ", name, "=", absl::StrReplaceAll(value, {{"\\", "\\\\"}, {" ", "\\ "}}));
}

void AddOwn(const ConnectOptions& options, Parameters* parameters) {
  std::string& session = (*parameters)["options"];
  for (const auto& [name, value] : options.settings) session += SessionSetting(name, value);
  for (const auto& [name, value] : kFixedSettings) session += SessionSetting(name, value);
  (*parameters)["client_encoding"] = "UTF8";
  parameters->erase("replication");
  if (options.replication) (*parameters)["replication"] = "database";
  parameters->emplace("application_name", options.application_name);
  const bool has_keepalives = std::any_of(std::begin(kKeepalives), std::end(kKeepalives),
                                          [&](const auto& k) { return parameters->contains(k.first); });
  if (!has_keepalives) parameters->insert(std::begin(kKeepalives), std::end(kKeepalives));
  parameters->emplace(kUserTimeout, absl::StrCat(absl::ToInt64Milliseconds(kUserTimeoutDefault)));
}

absl::Duration SilenceLimit(const Parameters& parameters) {
  int millis = 0;
  if (!absl::SimpleAtoi(parameters.at(kUserTimeout), &millis)) return kUserTimeoutDefault;  // libpq refuses it
  return millis > 0 ? absl::Milliseconds(millis) : absl::InfiniteDuration();
}

constexpr std::string_view kPooler =
    "a connection pooler stands between; put the address of the PostgreSQL server itself into the DSN";

// "FATAL:  28P01: text\nLOCATION: ..." as verbose errors are printed; libpq's own have no SQLSTATE.
absl::Status ConnectError(const PGconn* conn) {
  std::string_view text = PQerrorMessage(conn);
  text = absl::StripTrailingAsciiWhitespace(text.substr(0, text.rfind("\nLOCATION")));
  std::string_view state;
  std::string message;
  const size_t fatal = text.rfind(":  ");
  if (fatal != std::string_view::npos && text.size() > fatal + 10 && text[fatal + 8] == ':') {
    state = text.substr(fatal + 3, 5);
    message = absl::StrCat(text.substr(fatal + 10), " (SQLSTATE ", state, ")");
  } else {
    message = std::string(text);
  }
  absl::StatusCode code = StatusCodeFromSqlState(state);
  if (absl::StrContains(message, "unsupported startup parameter")) {
    // A pooler's SQLSTATE would let it be tried again for ever.
    code = absl::StatusCode::kFailedPrecondition;
    absl::StrAppend(&message, "; ", kPooler);
  }
  const char* user = PQuser(conn);
  const char* port = PQport(conn);
  return absl::Status(code,
                      absl::StrCat("connecting to PostgreSQL at ", PQhost(conn) != nullptr ? PQhost(conn) : "?", ":",
                                   port != nullptr ? port : "?", "/", PQdb(conn) != nullptr ? PQdb(conn) : "?", " as ",
                                   user != nullptr ? user : "?", ": ", absl::StrReplaceAll(message, {{"\n", "; "}})));
}

// Drives the non-blocking connect, which is the way to have SQLSTATEs in its errors.
absl::Status WaitConnected(PGconn* conn, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED || PQstatus(conn) == CONNECTION_BAD) return ConnectError(conn);
    pollfd fd = {PQsocket(conn), static_cast<short>(state == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    const int ready = left > 0 ? poll(&fd, 1, static_cast<int>(std::min<int64_t>(left, 1 << 30))) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return absl::DeadlineExceededError(absl::StrCat("connecting to PostgreSQL at ", PQhost(conn), ":", PQport(conn),
                                                      ": no answer within ", absl::FormatDuration(timeout)));
    }
    state = PQconnectPoll(conn);
  }
  return absl::OkStatus();
}

// A pooler may drop the startup packet's settings, and values would silently be read in a wrong form. The server
// reports these settings by itself, so that looking costs nothing.
absl::Status CheckSettings(const PGconn* conn) {
  for (const auto& [name, value] : kFixedSettings) {
    const char* reported = PQparameterStatus(conn, name);
    if (reported == nullptr || std::string_view(reported).starts_with(value)) continue;
    return absl::FailedPreconditionError(absl::StrCat("PostgreSQL at ", PQhost(conn), ":", PQport(conn), " has ", name,
                                                      " = ", reported, " though ", value, " was asked for; ", kPooler));
  }
  return absl::OkStatus();
}

// A list of hosts, addresses or ports whose first element is its last now.
std::string Rotated(const std::string& list) {
  std::vector<std::string> elements = absl::StrSplit(list, ',');
  std::rotate(elements.begin(), elements.begin() + 1, elements.end());
  return absl::StrJoin(elements, ",");
}

size_t HostCount(const Parameters& parameters) {
  size_t count = 1;
  for (const char* list : {"host", "hostaddr"}) {
    const auto found = parameters.find(list);
    if (found == parameters.end()) continue;
    count = std::max(count, 1 + static_cast<size_t>(std::count(found->second.begin(), found->second.end(), ',')));
  }
  return count;
}

void IgnoreNotice(void*, const PGresult*) {}

absl::StatusOr<PGconn*> Open(const Parameters& parameters, absl::Duration timeout) {
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : parameters) {
    if (value.empty()) continue;
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* conn = PQconnectStartParams(keywords.data(), values.data(), /*expand_dbname=*/0);
  if (conn == nullptr) return absl::ResourceExhaustedError("connecting to PostgreSQL: out of memory");
  PQsetNoticeReceiver(conn, IgnoreNotice, nullptr);
  PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
  absl::Status status = WaitConnected(conn, timeout);
  if (status.ok()) status = CheckSettings(conn);
  if (!status.ok()) {
    PQfinish(conn);
    return status;
  }
  PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
  return conn;
}

// libpq goes on to the next host by itself when one refuses, but not when one is silent: then the next one is the
// first.
absl::StatusOr<PGconn*> OpenOneOf(Parameters parameters, absl::Duration timeout) {
  const size_t hosts = HostCount(parameters);
  absl::StatusOr<PGconn*> conn;
  for (size_t i = 0; i < hosts; ++i) {
    conn = Open(parameters, timeout);
    if (!absl::IsDeadlineExceeded(conn.status())) return conn;
    for (const char* list : {"host", "hostaddr", "port"}) {
      if (parameters.contains(list)) parameters[list] = Rotated(parameters[list]);
    }
  }
  return absl::UnavailableError(conn.status().message());
}

}  // namespace

absl::StatusOr<std::unique_ptr<PgConnection>> PgConnection::Connect(const std::string& dsn,
                                                                    const ConnectOptions& options) {
  if (dsn.empty()) return absl::InvalidArgumentError("the DSN is empty");
  ASSIGN_OR_RETURN(Parameters parameters, ParseDsn(dsn));
  AddOwn(options, &parameters);
  const absl::Duration silence_limit = SilenceLimit(parameters);
  const absl::Duration answer_limit = options.answer_limit == kSilenceLimit ? silence_limit : options.answer_limit;
  if (answer_limit != absl::InfiniteDuration()) {
    parameters["options"] += SessionSetting("lock_timeout", absl::StrCat(absl::ToInt64Milliseconds(answer_limit / 2)));
  }
  absl::Duration timeout = options.connect_timeout;
  int seconds = 0;
  if (absl::SimpleAtoi(parameters["connect_timeout"], &seconds) && seconds > 0) timeout = absl::Seconds(seconds);
  ASSIGN_OR_RETURN(PGconn* const conn, OpenOneOf(std::move(parameters), timeout));
  return std::unique_ptr<PgConnection>(
      new PgConnection(conn, silence_limit, answer_limit));  // NOLINT: the constructor is private
}

std::string DatabaseOfDsn(const std::string& dsn) {
  const auto parameters = ParseDsn(dsn);
  if (!parameters.ok()) return "";
  const auto database = parameters->find("dbname");
  return database == parameters->end() ? "" : database->second;
}

std::string ServerOfDsn(const std::string& dsn) {
  const auto parameters = ParseDsn(dsn);
  if (!parameters.ok()) return "";
  const auto value = [&](const char* name) {
    const auto found = parameters->find(name);
    return found == parameters->end() ? std::string() : found->second;
  };
  std::string host = absl::AsciiStrToLower(value("hostaddr").empty() ? value("host") : value("hostaddr"));
  if (host.empty() || host == "127.0.0.1" || host == "::1") host = "localhost";
  const std::string port = value("port");
  return absl::StrCat(host, ":", port.empty() ? "5432" : port);
}

}  // namespace wallaby
