// RelationCache: what a codec made for each relation that it met.
#ifndef WALLABY_CODEC_RELATION_CACHE_H_
#define WALLABY_CODEC_RELATION_CACHE_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "change/relation.h"

namespace wallaby {

// Entries hold their relation. A relation of the same shape and version is the same one, so that a source that
// reconnects, and announces its tables again, adds nothing.
template <typename Entry>
class RelationCache {
 public:
  // The entry for `relation`, made by `make(relation)` -> StatusOr<std::unique_ptr<Entry>> when there is none. It stays
  // where it is for the life of the cache.
  template <typename Make>
  absl::StatusOr<Entry*> Find(const RelationPtr& relation, Make make) {
    if (last_ != nullptr && last_->relation == relation) return last_->entry.get();
    for (const auto& slot : slots_) {
      const bool same = slot->relation == relation ||
                        (slot->relation->version == relation->version && slot->relation->SameShape(*relation));
      if (!same) continue;
      slot->relation = relation;
      last_ = slot.get();
      return last_->entry.get();
    }
    absl::StatusOr<std::unique_ptr<Entry>> made = make(relation);
    if (!made.ok()) return made.status();
    slots_.push_back(std::make_unique<Slot>(Slot{relation, *std::move(made)}));
    last_ = slots_.back().get();
    return last_->entry.get();
  }

 private:
  struct Slot {
    RelationPtr relation;
    std::unique_ptr<Entry> entry;
  };
  std::vector<std::unique_ptr<Slot>> slots_;
  Slot* last_ = nullptr;
};

}  // namespace wallaby

#endif  // WALLABY_CODEC_RELATION_CACHE_H_
