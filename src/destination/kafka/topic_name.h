// Names of topics: the option `topic`, where {schema} and {table} stand for a table's.
#ifndef WALLABY_DESTINATION_KAFKA_TOPIC_NAME_H_
#define WALLABY_DESTINATION_KAFKA_TOPIC_NAME_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace wallaby {

// INVALID_ARGUMENT says what is allowed: Kafka's rule for names (letters, digits, '.', '_', '-', at most 249), and the
// two placeholders.
absl::Status CheckTopicTemplate(std::string_view text);

// What Kafka does not allow in a topic's name becomes '_' in the table's, as Debezium has it.
std::string TopicName(std::string_view topic_template, std::string_view schema, std::string_view table);

// INVALID_ARGUMENT for a name that is too long, "." or "..".
absl::Status CheckTopicName(std::string_view name);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_KAFKA_TOPIC_NAME_H_
