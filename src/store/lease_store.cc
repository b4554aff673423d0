// Leases: at most one worker of a flow at a time, and each later one with a higher generation.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

absl::Status Fenced(const Lease& lease, std::string_view now) {
  return absl::FailedPreconditionError(absl::StrCat("fenced: the lease of flow '", lease.flow_id, "' with generation ",
                                                    lease.generation, " is no longer held by ", lease.holder, "; ",
                                                    now));
}

// Why a statement on the lease found no row.
absl::Status WhyFenced(SqlSession& session, const Lease& lease) {
  ASSIGN_OR_RETURN(const SqlRows rows,
                   session.Query("SELECT holder, generation FROM @leases WHERE flow_id = $1", {lease.flow_id}));
  if (rows.empty()) return Fenced(lease, "there is no lease of this flow");
  const std::string& holder = rows.Text(0, 0);
  return Fenced(lease, holder.empty() ? absl::StrCat("it was given back, last generation ", rows.Int(0, 1))
                                      : absl::StrCat("it is held by ", holder, " with generation ", rows.Int(0, 1)));
}

absl::Status HeldBySomebodyElse(SqlSession& session, const std::string& flow_id) {
  ASSIGN_OR_RETURN(const SqlRows rows,
                   session.Query("SELECT holder, generation, (expires_at - {now}) / 1000 FROM @leases "
                                 "WHERE flow_id = $1",
                                 {flow_id}));
  if (rows.empty()) return absl::UnavailableError(absl::StrCat("the lease of flow '", flow_id, "' was just removed"));
  return absl::FailedPreconditionError(absl::StrCat(
      "flow '", flow_id, "' has a worker: ", rows.Text(0, 0), " holds its lease with generation ", rows.Int(0, 1),
      " for ", rows.Int(0, 2), " ms more; stop the flow (wallaby-admin flow stop -flow-id ", flow_id,
      ") or that worker, or wait until the lease ends"));
}

// A first generation is the clock's seconds rather than 1: when the store is lost and made anew, its generations are
// still higher than those that destinations remember.
constexpr std::string_view kAcquire =
    "INSERT INTO @leases AS held (flow_id, holder, generation, expires_at) "
    "VALUES ($1, $2, {now} / 1000000, {now} + $3) "
    "ON CONFLICT (flow_id) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, "
    "generation = CASE WHEN held.holder = excluded.holder THEN held.generation ELSE held.generation + 1 END "
    "WHERE held.holder = excluded.holder OR held.holder = '' OR held.expires_at <= {now} "
    "OR held.expires_at > {now} + $4 "
    "RETURNING generation, expires_at";

}  // namespace

absl::Status FencedGeneration(const std::string& flow_id, int64_t generation, int64_t newer,
                              const std::string& holder) {
  return absl::FailedPreconditionError(absl::StrCat("fenced: generation ", generation, " of flow '", flow_id,
                                                    "' changes nothing any more: generation ", newer, " runs it now",
                                                    holder.empty() ? "" : absl::StrCat(", held by ", holder)));
}

// The row is locked, so that no new worker can take the lease, read what is stored and start before this is committed.
absl::Status CheckGeneration(SqlSession& session, const std::string& flow_id, int64_t generation) {
  ASSIGN_OR_RETURN(const SqlRows rows,
                   session.Query("SELECT generation, holder FROM @leases WHERE flow_id = $1 {for_share}", {flow_id}));
  if (rows.empty() || rows.Int(0, 0) <= generation) return absl::OkStatus();
  return FencedGeneration(flow_id, generation, rows.Int(0, 0), rows.Text(0, 1));
}

absl::Status SqlStore::Write(SqlDatabase::Body body) {
  return database_->Transact(SqlAccess::kWrite, [&](SqlSession& session) -> absl::Status {
    if (fence_) RETURN_IF_ERROR(CheckGeneration(session, fence_->flow_id, fence_->generation));
    return body(session);
  });
}

absl::StatusOr<Lease> SqlStore::AcquireLease(const std::string& flow_id, const std::string& holder,
                                             absl::Duration ttl) {
  if (holder.empty()) return absl::InvalidArgumentError("holder: is missing; a lease needs one");
  WALLABY_CHECK(ttl <= kLongestLease, "a lease is not taken for so long");
  Lease lease{.flow_id = flow_id, .holder = holder};
  RETURN_IF_ERROR(Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(RequireFlow(session, flow_id));
    ASSIGN_OR_RETURN(const SqlRows rows, session.Query(kAcquire, {flow_id, holder, absl::ToInt64Microseconds(ttl),
                                                                  absl::ToInt64Microseconds(kLongestLease)}));
    if (rows.empty()) return HeldBySomebodyElse(session, flow_id);
    lease.generation = rows.Int(0, 0);
    lease.expires = TimeFromMicros(rows.Int(0, 1));
    return absl::OkStatus();
  }));
  return lease;
}

absl::Status SqlStore::RenewLease(const Lease& lease, absl::Duration ttl) {
  return Write([&](SqlSession& session) -> absl::Status {
    // One that has run out may still be renewed, as long as nobody has taken it.
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query("UPDATE @leases SET expires_at = {now} + $4 "
                                   "WHERE flow_id = $1 AND holder = $2 AND generation = $3 RETURNING expires_at",
                                   {lease.flow_id, lease.holder, lease.generation, absl::ToInt64Microseconds(ttl)}));
    return rows.empty() ? WhyFenced(session, lease) : absl::OkStatus();
  });
}

absl::Status SqlStore::ReleaseLease(const Lease& lease) {
  return Write([&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query("UPDATE @leases SET holder = '', expires_at = 0 "
                                   "WHERE flow_id = $1 AND holder = $2 AND generation = $3 RETURNING flow_id",
                                   {lease.flow_id, lease.holder, lease.generation}));
    return rows.empty() ? WhyFenced(session, lease) : absl::OkStatus();
  });
}

absl::StatusOr<std::optional<Lease>> SqlStore::GetLease(const std::string& flow_id) {
  std::optional<Lease> lease;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    lease.reset();
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query("SELECT holder, generation, expires_at, expires_at - {now} FROM @leases "
                                   "WHERE flow_id = $1 AND holder <> ''",
                                   {flow_id}));
    if (rows.empty()) return absl::OkStatus();
    const absl::Duration left = absl::Microseconds(rows.Int(0, 3));
    lease = Lease{flow_id, rows.Text(0, 0), rows.Int(0, 1), TimeFromMicros(rows.Int(0, 2)),
                  left > kLongestLease ? absl::ZeroDuration() : std::max(left, absl::ZeroDuration())};
    return absl::OkStatus();
  }));
  return lease;
}

}  // namespace wallaby
