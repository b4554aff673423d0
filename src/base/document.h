// Document: a JSON or YAML text as one tree, in which a YAML scalar is always a string, so that `batch_size: 500` and
// `batch_size: "500"` mean the same; and the words for what is wrong in it. No I/O.
#ifndef WALLABY_BASE_DOCUMENT_H_
#define WALLABY_BASE_DOCUMENT_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace wallaby {

struct Document {
  std::string title;  // what the text is, for messages: "flow file"
  nlohmann::json root;
  std::map<std::string, int> lines;  // by path ("source.options.dsn"); YAML only

  // INVALID_ARGUMENT "flow file: line 4: source.type: " and what is wrong there.
  absl::Status Error(const std::string& path, std::string_view what) const;

  // All keys of `map` are known ones.
  absl::Status CheckKeys(const nlohmann::json& map, const std::string& path,
                         const std::vector<std::string_view>& known) const;
  // The text of a scalar; numbers and truth values as JSON writes them.
  absl::StatusOr<std::string> Text(const nlohmann::json& value, const std::string& path) const;
  // The text of map[key]; leaves `out` where there is none.
  absl::Status ReadText(const nlohmann::json& map, const std::string& path, const char* key, std::string* out) const;
};

// "source" and "type": "source.type".
std::string JoinPath(const std::string& path, std::string_view key);

// JSON where it begins with a brace, else YAML. INVALID_ARGUMENT for what is neither, is not UTF-8, has a key twice, or
// is too large, too deep or empty. Quotes nothing of the text but keys.
absl::StatusOr<Document> ReadDocument(std::string_view text, std::string title);

}  // namespace wallaby

#endif  // WALLABY_BASE_DOCUMENT_H_
