// Flows, their states and events.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "store/lock_numbers.h"
#include "store/sql_store.h"

namespace wallaby {
namespace {

constexpr std::string_view kColumns = "id, definition, state, reason, last_error, revision, updated_at, name";
constexpr int kMaxPage = 1000;
constexpr std::string_view kAnew = "define it anew: flow update with its whole file, secrets too, or flow delete";
constexpr int64_t kKeptEvents = 1000;  // per flow

absl::Status NoFlow(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("there is no flow '", id, "'; flow list shows those that there are"));
}

absl::Status NameTaken(const Flow& flow, const std::string& holder) {
  return absl::AlreadyExistsError(
      absl::StrCat("the name '", flow.name, "' is in use by flow '", holder, "'; choose another"));
}

// The id of another flow that has the name; "" when there is none.
absl::StatusOr<std::string> HolderOfName(SqlSession& session, const Flow& flow) {
  ASSIGN_OR_RETURN(const SqlRows rows,
                   session.Query("SELECT id FROM @flows WHERE name = $1 AND id <> $2", {flow.name, flow.id}));
  return rows.empty() ? "" : rows.Text(0, 0);
}

absl::Status AddEvent(SqlSession& session, const std::string& id, std::string_view from, std::string_view to,
                      const std::string& reason) {
  RETURN_IF_ERROR(session
                      .Query("INSERT INTO @state_events (flow_id, from_state, to_state, reason, at) "
                             "VALUES ($1, $2, $3, $4, {now})",
                             {id, std::string(from), std::string(to), reason})
                      .status());
  RETURN_IF_ERROR(session
                      .Query("INSERT INTO @state_changes AS t (from_state, to_state, total) VALUES ($1, $2, 1) "
                             "ON CONFLICT (from_state, to_state) DO UPDATE SET total = t.total + 1",
                             {std::string(from), std::string(to)})
                      .status());
  return session
      .Query(
          "DELETE FROM @state_events WHERE flow_id = $1 AND id <= (SELECT id FROM @state_events WHERE flow_id = $1 "
          "ORDER BY id DESC LIMIT 1 OFFSET $2)",
          {id, kKeptEvents})
      .status();
}

// Text that is kept for people: no more than a screen of it.
std::string Bounded(const std::string& text) {
  constexpr size_t kMax = 4096;
  if (text.size() <= kMax) return text;
  size_t end = kMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // whole characters only
  return text.substr(0, end) + "...";
}

}  // namespace

absl::Status RequireFlow(SqlSession& session, const std::string& id) {
  ASSIGN_OR_RETURN(const SqlRows rows, session.Query("SELECT 1 FROM @flows WHERE id = $1", {id}));
  return rows.empty() ? NoFlow(id) : absl::OkStatus();
}

absl::StatusOr<std::string> SqlStore::Definition(const Flow& flow) const {
  if (flow.id.empty()) return absl::InvalidArgumentError("id: is missing; a stored flow needs one");
  std::string json = FlowToJson(flow);
  if (options_.box) return options_.box->Seal(json, flow.id);
  if (options_.refuse_secrets && HoldsSecret(flow)) {
    return absl::FailedPreconditionError(
        absl::StrCat("flow '", flow.id,
                     "' holds a password, and this control store is shared: set WALLABY_SECRET_KEY (for example "
                     "from 'openssl rand -hex 32') for all WALlaby programs, so that it is stored encrypted, or give "
                     "a reference in its place: env:NAME or file:/PATH"));
  }
  return json;
}

absl::StatusOr<Flow> SqlStore::ReadDefinition(const std::string& id, const std::string& text) const {
  std::string json = text;
  if (SecretBox::IsSealed(text)) {
    if (!options_.box) {
      return absl::FailedPreconditionError(
          absl::StrCat("flow '", id, "' is stored encrypted; set WALLABY_SECRET_KEY to the key it was stored with"));
    }
    absl::StatusOr<std::string> opened = options_.box->Open(text, id);
    if (!opened.ok()) return Annotate(opened.status(), absl::StrCat("flow '", id, "'"));
    json = *std::move(opened);
  } else if (options_.box) {
    return absl::FailedPreconditionError(absl::StrCat(
        "flow '", id, "' is not sealed with WALLABY_SECRET_KEY as the store's flows are, so somebody else ",
        "may have written it; ", kAnew));
  }
  absl::StatusOr<Flow> flow = ParseFlow(json);
  if (flow.ok()) return flow;
  return absl::DataLossError(absl::StrCat("flow '", id, "' in the control store ", database_->description(),
                                          " cannot be read: ", flow.status().message(), "; ", kAnew));
}

StoredFlow SqlStore::ReadFlow(const SqlRows& rows, int row) const {
  StoredFlow stored;
  absl::StatusOr<Flow> flow = ReadDefinition(rows.Text(row, 0), rows.Text(row, 1));
  if (flow.ok()) {
    stored.flow = *std::move(flow);
  } else {
    stored.definition = flow.status();
    stored.flow.id = rows.Text(row, 0);
    stored.flow.name = rows.Text(row, 7);
  }
  const auto state = ParseFlowState(rows.Text(row, 2));
  if (!state.ok()) stored.definition.Update(state.status());
  stored.state = state.value_or(FlowState::kUnspecified);
  stored.reason = rows.Text(row, 3);
  stored.last_error = rows.Text(row, 4);
  stored.revision = rows.Int(row, 5);
  stored.updated_at = TimeFromMicros(rows.Int(row, 6));
  return stored;
}

absl::Status SqlStore::Ping() {
  return database_->Transact(
      SqlAccess::kRead, [](SqlSession& session) { return session.Query("SELECT 1 FROM @flows LIMIT 1").status(); });
}

absl::Status SqlStore::CreateFlow(const Flow& flow) {
  ASSIGN_OR_RETURN(const std::string definition, Definition(flow));
  const std::string created(FlowStateName(FlowState::kCreated));
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(session.Lock(kDefinitionLock));
    if (RequireFlow(session, flow.id).ok()) {
      return absl::AlreadyExistsError(
          absl::StrCat("there is a flow '", flow.id, "' already; update it, or choose another id"));
    }
    ASSIGN_OR_RETURN(const std::string holder, HolderOfName(session, flow));
    if (!holder.empty()) return NameTaken(flow, holder);
    RETURN_IF_ERROR(session
                        .Query("INSERT INTO @flows (id, name, definition, state, updated_at) "
                               "VALUES ($1, $2, $3, $4, {now})",
                               {flow.id, flow.name, definition, created})
                        .status());
    return AddEvent(session, flow.id, FlowStateName(FlowState::kUnspecified), created, "");
  });
}

absl::Status SqlStore::UpdateFlow(const Flow& flow) {
  ASSIGN_OR_RETURN(const std::string definition, Definition(flow));
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(session.Lock(kDefinitionLock));
    RETURN_IF_ERROR(RequireFlow(session, flow.id));
    ASSIGN_OR_RETURN(const std::string holder, HolderOfName(session, flow));
    if (!holder.empty()) return NameTaken(flow, holder);
    return session
        .Query(
            "UPDATE @flows SET name = $2, definition = $3, revision = revision + 1, updated_at = {now} WHERE id = $1",
            {flow.id, flow.name, definition})
        .status();
  });
}

absl::StatusOr<StoredFlow> SqlStore::GetFlow(const std::string& id) {
  ASSIGN_OR_RETURN(StoredFlow stored, FindFlow(id));
  RETURN_IF_ERROR(stored.definition);
  return stored;
}

absl::StatusOr<StoredFlow> SqlStore::FindFlow(const std::string& id) {
  SqlRows rows;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(rows, session.Query(absl::StrCat("SELECT ", kColumns, " FROM @flows WHERE id = $1"), {id}));
    return absl::OkStatus();
  }));
  if (rows.empty()) return NoFlow(id);
  return ReadFlow(rows, 0);
}

absl::StatusOr<std::vector<StoredFlow>> SqlStore::ListFlows(const std::string& after_id, int limit) {
  const int64_t count = limit <= 0 ? kMaxPage : std::min(limit, kMaxPage);
  SqlRows rows;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(rows,
                     session.Query(absl::StrCat("SELECT ", kColumns, " FROM @flows WHERE id > $1 ORDER BY id LIMIT $2"),
                                   {after_id, count}));
    return absl::OkStatus();
  }));
  std::vector<StoredFlow> flows;
  for (int row = 0; row < rows.size(); ++row) flows.push_back(ReadFlow(rows, row));
  return flows;
}

absl::Status SqlStore::DeleteFlow(const std::string& id) {
  return Write([&](SqlSession& session) -> absl::Status {
    RETURN_IF_ERROR(session.Lock(kDefinitionLock));
    RETURN_IF_ERROR(RequireFlow(session, id));
    // First, as every fenced write begins with it. The lease's row stays, see migrations.cc; nobody holds it any more.
    RETURN_IF_ERROR(
        session
            .Query("UPDATE @leases SET holder = '', expires_at = 0, generation = generation + 1 WHERE flow_id = $1",
                   {id})
            .status());
    ASSIGN_OR_RETURN(const SqlRows rows, session.Query("DELETE FROM @flows WHERE id = $1 RETURNING id", {id}));
    if (rows.empty()) return NoFlow(id);
    return session.Query("DELETE FROM @checkpoints WHERE flow_id = $1", {id}).status();
  });
}

absl::Status SqlStore::Transition(const std::string& id, const std::vector<FlowState>& from, FlowState to,
                                  const std::string& reason) {
  return Write([&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(const SqlRows rows, session.Query("SELECT state FROM @flows WHERE id = $1 {for_update}", {id}));
    if (rows.empty()) return NoFlow(id);
    ASSIGN_OR_RETURN(const FlowState current, ParseFlowState(rows.Text(0, 0)));
    if (!from.empty() && std::find(from.begin(), from.end(), current) == from.end()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "flow '", id, "' is ", FlowStateName(current), "; it becomes ", FlowStateName(to), " only from ",
          absl::StrJoin(from, ", ", [](std::string* out, FlowState state) { out->append(FlowStateName(state)); })));
    }
    const std::string name(FlowStateName(to));
    // An error stays to be read until the next start; a flow that fails shows at least the reason.
    RETURN_IF_ERROR(
        session
            .Query("UPDATE @flows SET state = $2, reason = $3, revision = revision + 1, updated_at = {now}, "
                   "last_error = CASE WHEN $2 = 'running' THEN '' "
                   "WHEN $2 = 'failed' AND last_error = '' THEN $3 ELSE last_error END WHERE id = $1",
                   {id, name, Bounded(reason)})
            .status());
    return AddEvent(session, id, FlowStateName(current), name, Bounded(reason));
  });
}

absl::Status SqlStore::SetLastError(const std::string& id, const std::string& error) {
  return Write([&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(const SqlRows rows, session.Query("UPDATE @flows SET last_error = $2 WHERE id = $1 RETURNING id",
                                                       {id, Bounded(error)}));
    return rows.empty() ? NoFlow(id) : absl::OkStatus();
  });
}

absl::StatusOr<std::vector<StateEvent>> SqlStore::StateEvents(const std::string& id, int limit) {
  const int64_t count = limit <= 0 ? kKeptEvents : std::min<int64_t>(limit, kKeptEvents);
  std::vector<StateEvent> events;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    events.clear();
    RETURN_IF_ERROR(RequireFlow(session, id));
    ASSIGN_OR_RETURN(const SqlRows rows,
                     session.Query("SELECT from_state, to_state, reason, at FROM @state_events WHERE flow_id = $1 "
                                   "ORDER BY id DESC LIMIT $2",
                                   {id, count}));
    for (int row = rows.size() - 1; row >= 0; --row) {
      const auto from = ParseFlowState(rows.Text(row, 0));
      ASSIGN_OR_RETURN(const FlowState to, ParseFlowState(rows.Text(row, 1)));
      events.push_back(
          {from.value_or(FlowState::kUnspecified), to, rows.Text(row, 2), TimeFromMicros(rows.Int(row, 3))});
    }
    return absl::OkStatus();
  }));
  return events;
}

absl::StatusOr<std::vector<StateChangeTotal>> SqlStore::StateChangeTotals() {
  std::vector<StateChangeTotal> totals;
  RETURN_IF_ERROR(database_->Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    totals.clear();
    ASSIGN_OR_RETURN(const SqlRows rows, session.Query("SELECT from_state, to_state, total FROM @state_changes"));
    for (int row = 0; row < rows.size(); ++row) {
      ASSIGN_OR_RETURN(const FlowState to, ParseFlowState(rows.Text(row, 1)));
      totals.push_back({ParseFlowState(rows.Text(row, 0)).value_or(FlowState::kUnspecified), to, rows.Int(row, 2)});
    }
    return absl::OkStatus();
  }));
  return totals;
}

}  // namespace wallaby
