#include "codec/schema_registry.h"

#include "absl/strings/str_cat.h"

namespace wallaby {

RegisteredSchema ConfluentSchema(int32_t id, int version) {
  const auto bits = static_cast<uint32_t>(id);
  const char frame[] = {0, static_cast<char>(bits >> 24), static_cast<char>(bits >> 16), static_cast<char>(bits >> 8),
                        static_cast<char>(bits)};
  return {absl::StrCat(id), version, std::string(frame, sizeof(frame))};
}

std::string SubjectNames::Of(std::string_view topic, std::string_view full_name, bool key) const {
  if (!fixed.empty()) return key ? absl::StrCat(fixed, "-key") : fixed;
  switch (mode) {
    case SubjectMode::kTopic:
      return absl::StrCat(topic, key ? "-key" : "-value");
    case SubjectMode::kRecord:
      return std::string(full_name);
    case SubjectMode::kTopicRecord:
      return absl::StrCat(topic, "-", full_name);
  }
  return "";
}

}  // namespace wallaby
