#include "service/stream_catalog.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "flow/secret_reference.h"
#include "store/for_each_flow.h"

namespace wallaby {
namespace {

// For so long a flow that was changed or deleted still counts as it was.
constexpr absl::Duration kRemembered = absl::Seconds(5);
constexpr char kDefaultSchema[] = "wallaby";

std::string Option(const Options& options, const std::string& name, std::string otherwise) {
  const auto option = options.find(name);
  return option == options.end() || option->second.empty() ? std::move(otherwise) : option->second;
}

bool SamePlace(const StreamPlace& a, const StreamPlace& b) {
  return a.dsn == b.dsn && a.schema == b.schema;
}

}  // namespace

StreamCatalog::StreamCatalog(ControlStore* store, std::string store_dsn)
    : store_(store), store_dsn_(std::move(store_dsn)) {}

absl::StatusOr<std::vector<StreamPlace>> StreamCatalog::OfFlows() {
  std::vector<StreamPlace> places;
  RETURN_IF_ERROR(ForEachFlow(*store_, [&](const StoredFlow& stored) {
    for (const Endpoint& endpoint : stored.flow.destinations) {
      if (endpoint.type != "pgstream") continue;
      StreamPlace place;
      place.name = Option(endpoint.options, "stream", "");
      place.schema = Option(endpoint.options, "schema", kDefaultSchema);
      place.flow_id = stored.flow.id;
      place.destination = endpoint.name;
      const auto resolved = ResolvedOptions(endpoint, EndpointKind::kDestination);
      place.trouble = resolved.status();
      if (resolved.ok()) place.dsn = Option(*resolved, "dsn", store_dsn_);
      places.push_back(std::move(place));
    }
    return absl::OkStatus();
  }));
  return places;
}

absl::StatusOr<std::vector<StreamPlace>> StreamCatalog::OfStore() {
  std::vector<StreamPlace> places;
  if (store_dsn_.empty()) return places;
  const StreamTables tables(kDefaultSchema);
  RETURN_IF_ERROR(Database(store_dsn_)->Run([&](PgConnection& sql) -> absl::Status {
    places.clear();
    ASSIGN_OR_RETURN(const PgRows there, sql.Query(tables.AreThereSql()));
    if (!there.Bool(0, 0)) return absl::OkStatus();
    ASSIGN_OR_RETURN(const PgRows rows, sql.Query(absl::StrCat("SELECT name FROM ", tables.streams())));
    for (int i = 0; i < rows.size(); ++i) {
      places.push_back({std::string(rows.Text(i, 0)), store_dsn_, kDefaultSchema, "", ""});
    }
    return absl::OkStatus();
  }));
  return places;
}

absl::StatusOr<std::vector<StreamPlace>> StreamCatalog::All() {
  ASSIGN_OR_RETURN(std::vector<StreamPlace> places, OfFlows());
  ASSIGN_OR_RETURN(const std::vector<StreamPlace> others, OfStore());
  for (const StreamPlace& other : others) {
    const bool known = std::any_of(places.begin(), places.end(), [&](const StreamPlace& place) {
      return place.name == other.name && SamePlace(place, other);
    });
    if (!known) places.push_back(other);
  }
  std::stable_sort(places.begin(), places.end(),
                   [](const StreamPlace& a, const StreamPlace& b) { return a.name < b.name; });
  return places;
}

absl::StatusOr<StreamPlace> StreamCatalog::Find(const std::string& name) {
  {
    std::lock_guard lock(mutex_);
    const auto found = found_.find(name);
    if (found != found_.end() && absl::Now() - found->second.first < kRemembered) return found->second.second;
  }
  ASSIGN_OR_RETURN(const std::vector<StreamPlace> all, All());
  const StreamPlace* found = nullptr;
  std::vector<std::string> names;
  for (const StreamPlace& place : all) {
    names.push_back(place.name);
    if (place.name != name) continue;
    if (found != nullptr && !SamePlace(*found, place)) {
      return absl::FailedPreconditionError(absl::StrCat("stream: flows '", found->flow_id, "' and '", place.flow_id,
                                                        "' have streams named '", name,
                                                        "' in different places; give one of them another name"));
    }
    if (found == nullptr) found = &place;
  }
  if (found == nullptr) {
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return absl::NotFoundError(absl::StrCat("stream: there is no stream '", name, "'; ",
                                            names.empty() ? "a flow makes one with a destination of type pgstream"
                                                          : absl::StrCat("there are: ", absl::StrJoin(names, ", "))));
  }
  RETURN_IF_ERROR(found->trouble);
  std::lock_guard lock(mutex_);
  found_[name] = {absl::Now(), *found};
  return *found;
}

absl::StatusOr<std::vector<GroupState>> StreamCatalog::Groups(const StreamPlace& place) {
  const StreamTables tables(place.schema);
  std::vector<GroupState> groups;
  RETURN_IF_ERROR(Database(place.dsn)->Run([&](PgConnection& sql) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<int64_t> id, FindStreamId(sql, tables, place.name));
    if (!id) return absl::OkStatus();
    ASSIGN_OR_RETURN(groups, ListGroups(sql, tables, *id));
    return absl::OkStatus();
  }));
  return groups;
}

std::shared_ptr<StreamDatabase> StreamCatalog::Database(const std::string& dsn) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<StreamDatabase>& database = databases_[dsn];
  if (database == nullptr) {
    database = std::make_shared<StreamDatabase>(dsn);
    if (ended_) database->Wake(/*end=*/true);
  }
  return database;
}

void StreamCatalog::End() {
  std::lock_guard lock(mutex_);
  ended_ = true;
  for (const auto& [dsn, database] : databases_) database->Wake(/*end=*/true);
}

}  // namespace wallaby
