#include "service/stream_lag.h"

#include <algorithm>
#include <utility>

#include "telemetry/metric_table.h"

namespace wallaby {

StreamLag::StreamLag(StreamCatalog* catalog, absl::Duration interval) : catalog_(catalog) {
  thread_ = std::thread([this, interval] {
    do Look();
    while (!end_.Wait(interval));
  });
}

StreamLag::~StreamLag() {
  end_.Set();
  thread_.join();
}

std::vector<StreamReader> StreamLag::ReadersOf(const std::string& flow_id) const {
  std::lock_guard lock(mutex_);
  const auto found = readers_.find(flow_id);
  return found == readers_.end() ? std::vector<StreamReader>() : found->second;
}

void StreamLag::Look() {
  const auto places = catalog_->All();
  if (!places.ok()) return;
  MetricRegistry& metrics = MetricRegistry::Process();
  std::set<Labels> seen;
  std::map<std::string, std::vector<StreamReader>> readers;
  for (const StreamPlace& place : *places) {
    if (!place.trouble.ok()) continue;
    if (end_.Wait(absl::ZeroDuration())) return;
    const auto groups = catalog_->Groups(place);
    if (!groups.ok()) continue;
    for (const GroupState& group : *groups) {
      const Labels labels = {{"stream", place.name}, {"consumer_group", group.name}};
      metrics.GetGauge(kStreamLagMessages, labels).Set(static_cast<double>(group.lag_messages));
      metrics.GetGauge(kStreamLagSeconds, labels).Set(absl::ToDoubleSeconds(group.lag));
      seen.insert(labels);
      readers[place.flow_id].push_back({place.destination, place.name, group});
    }
  }
  for (auto& [flow_id, all] : readers) {
    std::stable_sort(all.begin(), all.end(),
                     [](const StreamReader& a, const StreamReader& b) { return a.group.lag > b.group.lag; });
  }
  {
    std::lock_guard lock(mutex_);
    readers_ = std::move(readers);
  }
  // What is not known any more is not shown.
  for (const Labels& labels : shown_) {
    if (seen.contains(labels)) continue;
    metrics.GetGauge(kStreamLagMessages, labels).SetUnknown();
    metrics.GetGauge(kStreamLagSeconds, labels).SetUnknown();
  }
  shown_ = std::move(seen);
}

}  // namespace wallaby
