// JsonRows: rows of one relation as JSON objects, straight from their bytes. What the JSON and proto codecs share.
#ifndef WALLABY_CODEC_JSON_ROWS_H_
#define WALLABY_CODEC_JSON_ROWS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "change/change_batch.h"
#include "codec/codec.h"

namespace wallaby {

class JsonRows {
 public:
  // INVALID_ARGUMENT for a column's name that is not UTF-8.
  static absl::StatusOr<JsonRows> Make(const RelationPtr& relation, const CodecOptions& options);

  const RelationPtr& relation() const { return relation_; }

  // {"id":1,"note":null}: without the columns that are absent.
  absl::Status AppendRow(TupleCursor row, std::string* out);
  // {"id":1}: the key's columns. One that is absent from `row` is taken from `old`, which may be null.
  absl::Status AppendKey(TupleCursor row, const char* old, std::string* out);
  // ["note"]: names of the columns that are absent.
  absl::Status AppendUnchanged(TupleCursor row, std::string* out) const;

 private:
  struct Column {
    std::string prefix;  // "name": in JSON
    PgType type;
  };

  absl::Status AppendField(int index, const Field& field, std::string* out);

  RelationPtr relation_;
  std::vector<Column> columns_;
  std::string scratch_;
};

}  // namespace wallaby

#endif  // WALLABY_CODEC_JSON_ROWS_H_
