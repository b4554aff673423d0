#include "destination/push/acknowledged.h"

#include <map>

namespace wallaby {

AcknowledgedRecords& AcknowledgedRecords::Of(const std::string& flow_id, const std::string& destination) {
  // Never destroyed: lanes may still run when the process ends.
  static auto* mutex = new std::mutex;
  static auto* all = new std::map<std::pair<std::string, std::string>, AcknowledgedRecords>;
  std::lock_guard lock(*mutex);
  return (*all)[{flow_id, destination}];
}

void AcknowledgedRecords::Add(std::span<const RecordId> records, absl::Duration now, absl::Duration window) {
  std::lock_guard lock(mutex_);
  for (const RecordId& record : records) {
    at_[record] = now;
    order_.emplace_back(now, record);
  }
  while (!order_.empty() && (order_.size() > kMost || order_.front().first + window < now)) {
    const auto found = at_.find(order_.front().second);
    if (found != at_.end() && found->second == order_.front().first) at_.erase(found);
    order_.pop_front();
  }
}

bool AcknowledgedRecords::Has(const RecordId& record, absl::Duration now, absl::Duration window) const {
  std::lock_guard lock(mutex_);
  const auto found = at_.find(record);
  return found != at_.end() && found->second + window >= now;
}

}  // namespace wallaby
