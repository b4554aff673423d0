#include "dispatch/dbos/admin.h"

#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "nlohmann/json.hpp"
#include "telemetry/log.h"

namespace wallaby {
namespace {

using nlohmann::json;

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

DbosAnswer Error(int status, std::string_view message) {
  return {status, Dump({{"error", std::string(message)}})};
}

DbosAnswer FromStatus(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return Error(404, status.message());
    case absl::StatusCode::kInvalidArgument:
      return Error(400, status.message());
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
      return Error(409, status.message());
    default:
      return Error(IsTransient(status) ? 503 : 500, status.message());
  }
}

DbosAnswer FromJson(const absl::StatusOr<std::string>& text) {
  return text.ok() ? DbosAnswer{200, *text} : FromStatus(text.status());
}

// An empty body is an empty object.
absl::StatusOr<json> ParseObject(const std::string& body) {
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) return json::object();
  json value = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (value.is_object()) return value;
  return absl::InvalidArgumentError("the body must be a JSON object, or empty");
}

absl::Status Wrong(const char* key, const char* allowed) {
  return absl::InvalidArgumentError(absl::StrCat(key, ": must be ", allowed));
}

absl::Status ReadText(const json& object, const char* key, std::string* out) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return absl::OkStatus();
  if (!found->is_string()) return Wrong(key, "a text");
  *out = found->get<std::string>();
  return absl::OkStatus();
}

// One text or several.
absl::Status ReadTexts(const json& object, const char* key, std::vector<std::string>* out) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return absl::OkStatus();
  const json list = found->is_array() ? *found : json::array({*found});
  for (const json& item : list) {
    if (!item.is_string()) return Wrong(key, "a text or a list of texts");
    out->push_back(item.get<std::string>());
  }
  return absl::OkStatus();
}

absl::Status ReadInt(const json& object, const char* key, std::optional<int64_t>* out) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return absl::OkStatus();
  if (!found->is_number_integer() || found->get<int64_t>() < 0) return Wrong(key, "a whole number of 0 or more");
  *out = found->get<int64_t>();
  return absl::OkStatus();
}

absl::Status ReadFlag(const json& object, const char* key, bool* out) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return absl::OkStatus();
  if (!found->is_boolean()) return Wrong(key, "true or false");
  *out = found->get<bool>();
  return absl::OkStatus();
}

absl::StatusOr<DbosStore::Filter> ReadFilter(const std::string& body, bool queued) {
  ASSIGN_OR_RETURN(const json object, ParseObject(body));
  DbosStore::Filter filter;
  filter.queued_only = queued;
  RETURN_IF_ERROR(ReadTexts(object, "workflow_uuids", &filter.ids));
  RETURN_IF_ERROR(ReadTexts(object, "status", &filter.statuses));
  if (queued && filter.statuses.empty()) filter.statuses = {"ENQUEUED", "PENDING", "DELAYED"};
  const std::pair<const char*, std::string*> texts[] = {{"workflow_name", &filter.name},
                                                        {"authenticated_user", &filter.user},
                                                        {"start_time", &filter.start_time},
                                                        {"end_time", &filter.end_time},
                                                        {"application_version", &filter.version},
                                                        {"workflow_id_prefix", &filter.id_prefix},
                                                        {"queue_name", &filter.queue},
                                                        {"forked_from", &filter.forked_from},
                                                        {"fork_from", &filter.forked_from},
                                                        {"parent_workflow_id", &filter.parent}};
  for (const auto& [key, out] : texts) RETURN_IF_ERROR(ReadText(object, key, out));
  std::optional<int64_t> limit, offset;
  RETURN_IF_ERROR(ReadInt(object, "limit", &limit));
  RETURN_IF_ERROR(ReadInt(object, "offset", &offset));
  filter.limit = limit.value_or(0);
  filter.offset = offset.value_or(0);
  RETURN_IF_ERROR(ReadFlag(object, "sort_desc", &filter.descending));
  RETURN_IF_ERROR(ReadFlag(object, "load_input", &filter.input));
  RETURN_IF_ERROR(ReadFlag(object, "load_output", &filter.output));
  return filter;
}

}  // namespace

DbosAnswer DbosAdmin::Answer(const std::string& method, const std::string& path, const std::string& body) {
  struct Endpoint {
    const char* method;
    std::function<DbosAnswer()> answer;
  };
  const std::map<std::string, Endpoint> endpoints = {
      {"/dbos-healthz",
       {"GET",
        [] {
          return DbosAnswer{200, R"({"status":"healthy"})"};
        }}},
      {"/dbos-workflow-recovery", {"POST", [&] { return Recover(body); }}},
      {"/deactivate",
       {"GET",
        [this] {
          scheduler_->Deactivate();
          return DbosAnswer{200, "deactivated", /*plain=*/true};
        }}},
      {"/conductor",
       {"GET",
        [] {
          return DbosAnswer{200, R"({"status":true})"};
        }}},
      {"/dbos-workflow-queues-metadata", {"GET", [this] { return FromJson(dbos_->QueuesJson()); }}},
      {"/workflows", {"POST", [&] { return Workflows(body, /*queued=*/false); }}},
      {"/queues", {"POST", [&] { return Workflows(body, /*queued=*/true); }}},
      {"/dbos-global-timeout", {"POST", [&] { return GlobalTimeout(body); }}},
      {"/dbos-garbage-collect", {"POST", [&] { return GarbageCollect(body); }}},
  };
  const auto wrong_method = [&](const char* allowed) {
    return Error(405, absl::StrCat(path, " is for ", allowed, ", not ", method));
  };
  if (const auto found = endpoints.find(path); found != endpoints.end()) {
    return method == found->second.method ? found->second.answer() : wrong_method(found->second.method);
  }
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  if (parts.size() < 3 || parts.size() > 4 || parts[1] != "workflows" || parts[2].empty()) {
    return Error(404, absl::StrCat("there is nothing at ", path));
  }
  if (parts.size() == 3) return method == "GET" ? Workflow(parts[2]) : wrong_method("GET");
  if (parts[3] == "steps") return method == "GET" ? FromJson(dbos_->StepsJson(parts[2])) : wrong_method("GET");
  for (const char* action : {"cancel", "resume", "fork", "restart", "rewind"}) {
    if (parts[3] == action) return method == "POST" ? Act(parts[2], action, body) : wrong_method("POST");
  }
  return Error(404, absl::StrCat("there is nothing at ", path));
}

DbosAnswer DbosAdmin::Recover(const std::string& body) {
  absl::StatusOr<std::vector<std::string>> recovered = std::vector<std::string>();
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) {
    // Nobody was named: all of whom it is proven that they are gone.
    recovered = dbos_->RecoverDead("");
  } else {
    const json list = json::parse(body, nullptr, /*allow_exceptions=*/false);
    std::vector<std::string> executors;
    bool good = list.is_array();
    for (size_t i = 0; good && i < list.size(); ++i) {
      good = list[i].is_string();
      if (good) executors.push_back(list[i].get<std::string>());
    }
    if (!good) return Error(400, "the body must be a JSON list of executor ids, or empty for all that are gone");
    recovered = dbos_->Recover(executors);
  }
  if (!recovered.ok()) return FromStatus(recovered.status());
  for (const std::string& id : *recovered) Log(LogLevel::kInfo, "workflow recovered on request", {{"workflow_id", id}});
  if (!recovered->empty()) executor_->Wake();
  return {200, Dump(json(*recovered))};
}

DbosAnswer DbosAdmin::Workflows(const std::string& body, bool queued) {
  const absl::StatusOr<DbosStore::Filter> filter = ReadFilter(body, queued);
  return filter.ok() ? FromJson(dbos_->ListJson(*filter)) : FromStatus(filter.status());
}

DbosAnswer DbosAdmin::Workflow(const std::string& id) {
  DbosStore::Filter filter;
  filter.ids = {id};
  const absl::StatusOr<std::string> list = dbos_->ListJson(filter);
  if (!list.ok()) return FromStatus(list.status());
  if (*list == "[]") return Error(404, absl::StrCat("Workflow ", id, " not found"));
  return {200, list->substr(1, list->size() - 2)};
}

absl::StatusOr<bool> DbosAdmin::Exists(const std::string& id) {
  DbosStore::Filter filter;
  filter.ids = {id};
  filter.input = filter.output = false;
  ASSIGN_OR_RETURN(const std::string list, dbos_->ListJson(filter));
  return list != "[]";
}

DbosAnswer DbosAdmin::Act(const std::string& id, const std::string& action, const std::string& body) {
  const absl::StatusOr<bool> exists = Exists(id);
  if (!exists.ok()) return FromStatus(exists.status());
  if (!*exists) return Error(404, absl::StrCat("Workflow ", id, " not found"));
  const absl::StatusOr<json> object = ParseObject(body);
  if (!object.ok()) return FromStatus(object.status());
  std::optional<int64_t> start_step;
  std::string new_id, version;
  absl::Status status = ReadInt(*object, "start_step", &start_step);
  if (status.ok() && start_step > std::numeric_limits<int>::max()) status = Wrong("start_step", "the number of a step");
  if (status.ok()) status = ReadText(*object, "new_workflow_id", &new_id);
  if (status.ok()) status = ReadText(*object, "application_version", &version);
  if (!status.ok()) return FromStatus(status);
  if (action == "fork") return Fork(id, static_cast<int>(start_step.value_or(1)), new_id, version);
  if (action == "restart") return Fork(id, 1, "", "");
  if (action == "cancel") status = dbos_->Cancel({id}).status();
  if (action == "resume") status = dbos_->Resume(id).status();
  if (action == "rewind") status = dbos_->Rewind(id, static_cast<int>(start_step.value_or(1)));
  if (!status.ok()) return FromStatus(status);
  executor_->Wake();
  return {204, ""};
}

DbosAnswer DbosAdmin::Fork(const std::string& id, int start_step, const std::string& new_id,
                           const std::string& version) {
  const absl::StatusOr<std::string> fork = dbos_->Fork(id, start_step, new_id, version);
  if (!fork.ok()) return FromStatus(fork.status());
  executor_->Wake();
  return {200, Dump({{"workflow_id", *fork}})};
}

DbosAnswer DbosAdmin::GlobalTimeout(const std::string& body) {
  const absl::StatusOr<json> object = ParseObject(body);
  std::optional<int64_t> cutoff;
  absl::Status status = object.status();
  if (status.ok()) status = ReadInt(*object, "cutoff_epoch_timestamp_ms", &cutoff);
  if (status.ok() && !cutoff)
    status = Wrong("cutoff_epoch_timestamp_ms", "given: what was made before it is cancelled");
  if (status.ok()) status = dbos_->CancelStartedBefore(*cutoff).status();
  if (!status.ok()) return FromStatus(status);
  executor_->Wake();
  return {204, ""};
}

DbosAnswer DbosAdmin::GarbageCollect(const std::string& body) {
  const absl::StatusOr<json> object = ParseObject(body);
  std::optional<int64_t> cutoff, rows;
  absl::Status status = object.status();
  if (status.ok()) status = ReadInt(*object, "cutoff_epoch_timestamp_ms", &cutoff);
  if (status.ok()) status = ReadInt(*object, "rows_threshold", &rows);
  if (!status.ok()) return FromStatus(status);
  while (cutoff || rows) {
    const auto deleted = dbos_->DeleteEnded(absl::FromUnixMillis(cutoff.value_or(0)), rows.value_or(0));
    if (!deleted.ok()) return FromStatus(deleted.status());
    if (*deleted == 0) break;
  }
  return {204, ""};
}

}  // namespace wallaby
