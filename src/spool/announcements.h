// Announcements: which relation messages whoever reads has been given, as a walsender remembers it for its session.
#ifndef WALLABY_SPOOL_ANNOUNCEMENTS_H_
#define WALLABY_SPOOL_ANNOUNCEMENTS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "pgoutput/messages.h"
#include "spool/segment.h"

namespace wallaby::spool {

class Announcements {
 public:
  // The newest message of its relation; `told`: the reader's user has it. The preamble of a segment repeats what is
  // known from the one before.
  void Keep(std::string_view message, bool told) {
    Known& known = relations_[RelationOid(message)];
    known.told = told || (known.told && known.message == message);
    known.message = message;
  }
  // A relation message that must come before this one; empty when there is none (any more).
  std::string_view Before(std::string_view message) {
    switch (static_cast<pgoutput::MessageType>(message[0])) {
      case pgoutput::MessageType::kInsert:
      case pgoutput::MessageType::kUpdate:
      case pgoutput::MessageType::kDelete:
        return Tell(RelationOid(message));
      case pgoutput::MessageType::kTruncate:
        // Type, number of relations (4 bytes), options (1), oids.
        for (size_t at = 6; at + 4 <= message.size(); at += 4) {
          if (const auto relation = Tell(RelationOid(message.substr(at - 1))); !relation.empty()) {
            return relation;
          }
        }
        return {};
      default:
        return {};
    }
  }

 private:
  struct Known {
    std::string message;
    bool told = false;
  };

  std::string_view Tell(uint32_t oid) {
    const auto found = relations_.find(oid);
    if (found == relations_.end() || found->second.told) return {};
    found->second.told = true;
    return found->second.message;
  }

  absl::flat_hash_map<uint32_t, Known> relations_;
};

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_ANNOUNCEMENTS_H_
