// TableOwners: which of the source's tables goes under which name at a destination. Never two under one.
#ifndef WALLABY_MAPPING_TABLE_OWNERS_H_
#define WALLABY_MAPPING_TABLE_OWNERS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "change/relation.h"

namespace wallaby {

class TableOwners {
 public:
  absl::Status Claim(const Relation& target, const Relation& source) {
    const auto [entry, added] = owners_.try_emplace(target.QualifiedName(), source.QualifiedName());
    if (added || entry->second == source.QualifiedName()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("mapping: tables ", entry->second, " and ",
                                                      source.QualifiedName(), " would both be ", entry->first,
                                                      " at the destination; give one of them another name with to"));
  }
  void clear() { owners_.clear(); }

 private:
  std::map<std::string, std::string> owners_;  // by the name at the destination
};

}  // namespace wallaby

#endif  // WALLABY_MAPPING_TABLE_OWNERS_H_
