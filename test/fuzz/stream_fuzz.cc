// What consumers and databases tell about streams: ids to acknowledge, and notices of new messages. First byte: which.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "fuzz.h"
#include "stream/claims.h"
#include "stream/stream_database.h"

namespace wallaby {
namespace {

std::set<int64_t> Ids(const std::vector<Claim>& claims) {
  std::set<int64_t> ids;
  for (const Claim& claim : claims) {
    REQUIRE(claim.ids.first <= claim.ids.last, "an empty claim");
    for (int64_t id = claim.ids.first; id <= claim.ids.last; ++id) {
      REQUIRE(ids.insert(id).second, "claims overlap");
    }
  }
  return ids;
}

void Acknowledge(fuzz::Input in) {
  std::vector<Claim> claims;
  int64_t next = 1;
  for (int i = in.Byte() % 8; i > 0; --i) {
    const int64_t first = next + in.Byte() % 4;
    next = first + 1 + in.Byte() % 32;
    claims.push_back({{first, next - 1}, "c", "t", in.Byte()});
  }
  std::vector<int64_t> ids;
  while (!in.empty()) {
    // Near the claims, or anything.
    ids.push_back(in.Byte() % 2 == 0 ? in.Byte() : static_cast<int64_t>(in.Number(8)));
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::set<int64_t> wanted = Ids(claims);
  const size_t before = wanted.size();
  for (const int64_t id : ids) wanted.erase(id);
  const ClaimChange change = WithoutIds(claims, ids);
  REQUIRE(change.ids == static_cast<int64_t>(before - wanted.size()), "counted wrongly");
  std::erase_if(claims, [&](const Claim& claim) {
    return std::count(change.removed.begin(), change.removed.end(), claim.ids.first) > 0;
  });
  claims.insert(claims.end(), change.added.begin(), change.added.end());
  REQUIRE(Ids(claims) == wanted, "other ids are left");
}

}  // namespace
}  // namespace wallaby

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  if (in.Byte() % 2 == 0) {
    Acknowledge(in);
    return 0;
  }
  const std::string text(in.Rest());
  StreamKey stream;
  int64_t last_id = 0;
  if (!ParseStreamNotice(text, &stream, &last_id)) return 0;
  const std::string again = std::to_string(stream.second) + " " + std::to_string(last_id) + " " + stream.first;
  StreamKey same;
  int64_t same_id = 0;
  REQUIRE(ParseStreamNotice(again, &same, &same_id) && same == stream && same_id == last_id, again);
  return 0;
}
