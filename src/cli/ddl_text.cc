#include "cli/ddl_text.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "cli/render.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using Json = nlohmann::ordered_json;

// Of a command, in a table.
constexpr size_t kShown = 60;

// What a person wants of a plan. Empty where a plan of a newer server cannot be read.
struct Plan {
  struct Place {
    std::string name;
    std::vector<std::string> statements;
  };
  std::vector<std::string> steps;
  std::vector<std::string> added;  // columns
  bool only_adds = false;          // columns, and nothing else
  bool copy = false;
  std::vector<Place> destinations;
};

std::string TextOf(const Json& json, const char* key) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

const Json& PartOf(const Json& json, const char* key) {
  static const Json kEmpty;
  if (!json.is_object()) return kEmpty;
  const auto found = json.find(key);
  return found == json.end() ? kEmpty : *found;
}

Json Parse(std::string_view text) {
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

Plan ReadPlan(const std::string& text) {
  const Json json = Parse(text);
  Plan plan;
  const Json& steps = PartOf(json, "steps");
  if (steps.is_array()) {
    for (const Json& step : steps) {
      plan.steps.push_back(TextOf(step, "description"));
      if (TextOf(step, "step") == "add_column") plan.added.push_back(TextOf(step, "column"));
    }
  }
  plan.only_adds = !plan.steps.empty() && plan.added.size() == plan.steps.size();
  plan.copy = PartOf(json, "copy") == true;
  const Json& destinations = PartOf(json, "destinations");
  if (!destinations.is_object()) return plan;
  for (const auto& [name, lines] : destinations.items()) {
    Plan::Place& place = plan.destinations.emplace_back();
    place.name = name;
    if (!lines.is_array()) continue;
    for (const Json& line : lines) {
      if (line.is_string()) place.statements.push_back(line.get<std::string>());
    }
  }
  return plan;
}

absl::Time TimeOf(const google::protobuf::Timestamp& stamp) {
  return absl::FromUnixSeconds(stamp.seconds()) + absl::Nanoseconds(stamp.nanos());
}

// The first line that says something, cut where a table would become too wide.
std::string FirstLine(std::string_view ddl) {
  ddl = absl::StripLeadingAsciiWhitespace(ddl);
  const std::string_view line = absl::StripTrailingAsciiWhitespace(ddl.substr(0, ddl.find_first_of("\r\n")));
  size_t bytes = 0, characters = 0;
  while (bytes < line.size() && characters < kShown) {
    ++bytes;
    while (bytes < line.size() && (static_cast<unsigned char>(line[bytes]) & 0xC0) == 0x80) ++bytes;
    ++characters;
  }
  const bool whole = bytes == absl::StripTrailingAsciiWhitespace(ddl).size();
  return absl::StrCat(line.substr(0, bytes), whole ? "" : " ...");
}

std::string Section(std::string_view title, std::string_view lines) {
  return absl::StrCat("\n", title, ":\n", Indented(lines));
}

// What runs there, or that it has run.
std::string PlaceText(const Plan::Place& place, const std::map<std::string, absl::Time>& receipts) {
  std::string lines = absl::StrJoin(place.statements, "\n");
  const auto receipt = receipts.find(place.name);
  if (receipt != receipts.end()) {
    absl::StrAppend(&lines, lines.empty() ? "" : "\n", "applied at ", TimeText(receipt->second));
  }
  if (lines.empty()) lines = "nothing to show";
  return Section(absl::StrCat("destination ", place.name), lines);
}

std::string PlacesText(const v1::DDLEvent& event, Plan plan) {
  std::map<std::string, absl::Time> receipts;
  for (const v1::DDLReceipt& receipt : event.receipts()) {
    receipts[receipt.destination()] = TimeOf(receipt.applied_at());
    const bool known = std::any_of(plan.destinations.begin(), plan.destinations.end(),
                                   [&](const Plan::Place& place) { return place.name == receipt.destination(); });
    if (!known) plan.destinations.push_back({receipt.destination(), {}});
  }
  std::string text;
  for (const Plan::Place& place : plan.destinations) absl::StrAppend(&text, PlaceText(place, receipts));
  return text;
}

void TakePlan(Json* event) {
  if (!event->is_object() || !event->contains("plan_json")) return;
  Json taken = Json::object();
  for (auto& [key, value] : event->items()) {
    if (key != "plan_json") {
      taken[key] = std::move(value);
      continue;
    }
    Json plan = value.is_string() ? Parse(value.get<std::string>()) : Json();
    taken["plan"] = plan.is_discarded() ? value : std::move(plan);
  }
  *event = std::move(taken);
}

}  // namespace

std::string DdlListText(const v1::ListDDLResponse& events, std::string_view status, std::string_view flow) {
  if (events.events().empty()) {
    return absl::StrCat("There are no ", status, status.empty() ? "" : " ", "DDL events",
                        flow.empty() ? "" : absl::StrCat(" of flow ", flow), ".\n");
  }
  Table out({">ID", "FLOW", "STATUS", "TABLE", "LSN", "CREATED", "DDL"});
  for (const v1::DDLEvent& event : events.events()) {
    out.Add({absl::StrCat(event.id()), event.flow_id(), event.status(), event.table(), event.lsn(),
             TimeText(TimeOf(event.created_at())), FirstLine(event.ddl())});
  }
  return out.Text();
}

std::string DdlText(const v1::DDLEvent& event) {
  const Plan plan = ReadPlan(event.plan_json());
  Fields fields;
  fields.Add("id", absl::StrCat(event.id()));
  fields.Add("flow", event.flow_id());
  fields.Add("status", event.status());
  fields.Add("table", event.table());
  fields.Add("lsn", event.lsn());
  fields.Add("created", TimeText(TimeOf(event.created_at())));
  fields.Add("paused the flow", event.gated() ? "yes" : "no");
  fields.Add("copies the table", plan.copy ? "yes, again, when the flow goes on" : "no");
  fields.Add("last error", event.error());
  fields.Add("next", DdlNext(event));
  std::string steps;
  for (const std::string& step : plan.steps) absl::StrAppend(&steps, steps.empty() ? "" : "\n", step);
  return absl::StrCat(fields.Text(), Section("command", event.ddl()), Section("steps", steps), PlacesText(event, plan));
}

std::string DdlOutcome(const v1::DDLEvent& event) {
  const Plan plan = ReadPlan(event.plan_json());
  std::string text = absl::StrCat("event ", event.id(), " ", event.status());
  if (event.status() == "rejected") {
    if (plan.only_adds)
      return absl::StrCat(text, ": ", absl::StrJoin(plan.added, ", "), " stays out of the destinations");
    return absl::StrCat(text, ", and flow ", event.flow_id(), " is held: what follows cannot be delivered without it");
  }
  if (event.status() == "applied") {
    const auto name = [](std::string* out, const v1::DDLReceipt& receipt) { out->append(receipt.destination()); };
    if (!event.receipts().empty()) absl::StrAppend(&text, " at ", absl::StrJoin(event.receipts(), ", ", name));
    if (plan.copy) absl::StrAppend(&text, "; ", event.table(), " is copied again when the flow goes on");
  }
  return text;
}

std::string DdlNext(const v1::DDLEvent& event) {
  const std::string& status = event.status();
  const bool to_approve = status == "pending" || (status == "rejected" && !ReadPlan(event.plan_json()).only_adds);
  if (to_approve) return absl::StrCat("wallaby-admin ddl approve -id ", event.id());
  if (status == "approved" || status == "applying" || status == "failed") {
    return absl::StrCat("wallaby-admin ddl apply -id ", event.id());
  }
  return "";
}

std::string WithPlans(std::string_view document, bool pretty) {
  Json json = Parse(document);
  TakePlan(&json);
  if (json.is_object() && json.contains("events")) {
    for (Json& event : json["events"]) TakePlan(&event);
  }
  return json.dump(pretty ? 1 : -1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace wallaby
