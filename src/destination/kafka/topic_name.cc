#include "destination/kafka/topic_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace wallaby {
namespace {

constexpr size_t kLongest = 249;  // org.apache.kafka.common.internals.Topic

bool IsAllowed(char c) {
  return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
}

std::string Plain(std::string_view name) {
  std::string plain(name);
  std::replace_if(
      plain.begin(), plain.end(), [](char c) { return !IsAllowed(c); }, '_');
  return plain;
}

}  // namespace

absl::Status CheckTopicTemplate(std::string_view text) {
  const std::string rest = absl::StrReplaceAll(text, {{"{schema}", ""}, {"{table}", ""}});
  if (text.empty() || !std::all_of(rest.begin(), rest.end(), IsAllowed)) {
    return absl::InvalidArgumentError(
        absl::StrCat("got '", text, "'; allowed: letters, digits, '.', '_', '-', {schema} and {table}"));
  }
  return rest.size() == text.size() ? CheckTopicName(text) : absl::OkStatus();
}

std::string TopicName(std::string_view topic_template, std::string_view schema, std::string_view table) {
  return absl::StrReplaceAll(topic_template, {{"{schema}", Plain(schema)}, {"{table}", Plain(table)}});
}

absl::Status CheckTopicName(std::string_view name) {
  if (name.size() <= kLongest && name != "." && name != "..") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("topic '", name, "': Kafka allows names of at most ", kLongest,
                   " characters, and neither . nor ..; choose another with option topic"));
}

}  // namespace wallaby
