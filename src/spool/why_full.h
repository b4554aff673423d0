// Why a spool may not grow, as its writer found: the file FULL in its folder, for the flows that follow the writer.
#ifndef WALLABY_SPOOL_WHY_FULL_H_
#define WALLABY_SPOOL_WHY_FULL_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "spool/spool.h"

namespace wallaby {

// What a flow's activity says before the reason.
inline constexpr std::string_view kSpoolIsFull = "the spool is full: ";

// By the writer. "": it has room.
absl::Status NoteWhySpoolFull(const SpoolOptions& options, const SpoolName& name, const std::string& why);
// "" when it has room, or nobody has said.
std::string WhySpoolFull(const SpoolOptions& options, const SpoolName& name);

}  // namespace wallaby

#endif  // WALLABY_SPOOL_WHY_FULL_H_
