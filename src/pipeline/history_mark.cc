#include "pipeline/history_mark.h"

#include <array>
#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace wallaby {
namespace {

constexpr char kNone[] = "none";

}  // namespace

HistoryMark HistoryMark::After(const Transaction& t) const {
  const std::array<uint64_t, 4> link = {known ? hash : 0, t.commit.value, static_cast<uint64_t>(t.commit_time_micros),
                                        t.xid};
  return {.known = true,
          .commit = t.commit,
          .xid = t.xid,
          .commit_time_micros = t.commit_time_micros,
          .hash = XXH3_64bits(link.data(), sizeof(link))};
}

std::string HistoryMark::ToString() const {
  if (!commit.valid()) return kNone;
  return absl::StrCat(commit.ToString(), " xid ", xid, " at ", commit_time_micros, " hash ",
                      absl::Hex(hash, absl::kZeroPad16));
}

absl::StatusOr<HistoryMark> HistoryMark::Parse(std::string_view text) {
  HistoryMark mark{.known = true};
  if (text == kNone) return mark;
  const std::vector<std::string> words = absl::StrSplit(absl::string_view(text.data(), text.size()), ' ');
  const bool shaped = words.size() == 7 && words[1] == "xid" && words[3] == "at" && words[5] == "hash";
  if (!shaped || !absl::SimpleAtoi(words[2], &mark.xid) || !absl::SimpleAtoi(words[4], &mark.commit_time_micros) ||
      !absl::SimpleHexAtoi(words[6], &mark.hash)) {
    return absl::InvalidArgumentError(absl::StrCat("not the mark of a transaction: ", text));
  }
  ASSIGN_OR_RETURN(mark.commit, Lsn::Parse(words[0]));
  return mark;
}

}  // namespace wallaby
