// Claims: ranges of message ids that a consumer group has in flight, and how acknowledgements shrink them. No I/O.
#ifndef WALLABY_STREAM_CLAIMS_H_
#define WALLABY_STREAM_CLAIMS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace wallaby {

struct IdRange {
  int64_t first = 0;
  int64_t last = 0;  // inclusive

  int64_t size() const { return last - first + 1; }
  friend bool operator==(const IdRange&, const IdRange&) = default;
};

// Messages that were handed out together and are not acknowledged. Claims of a group never overlap.
struct Claim {
  IdRange ids;
  std::string consumer;
  std::string visible_at;  // as the server prints it: when others may have them
  int deliveries = 1;      // how often they were handed out

  friend bool operator==(const Claim&, const Claim&) = default;
};

// How a change of claims is stored: those that begin at `removed` go, then `added` come.
struct ClaimChange {
  std::vector<int64_t> removed;
  std::vector<Claim> added;
  int64_t ids = 0;  // that are claimed no more
};

// Takes `ids` (rising, without doubles) out of `claims` (rising). Ids that nothing claims are passed over.
ClaimChange WithoutIds(const std::vector<Claim>& claims, const std::vector<int64_t>& ids);
// Takes all ids from `first` on out of `claims`.
ClaimChange WithoutIdsFrom(const std::vector<Claim>& claims, int64_t first);

// Adds an id behind those that are there: to the last range where it goes on there and was delivered as often.
void Append(int64_t id, const Claim& like, std::vector<Claim>* claims);

}  // namespace wallaby

#endif  // WALLABY_STREAM_CLAIMS_H_
