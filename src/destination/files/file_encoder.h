// FileEncoder: the rows of one file on their way into its format. They gather in memory and leave it at Flush().
//
// Two shapes: Parquet and Arrow take rows of the table's columns (change/append_rows.h), JSON and Avro take changes as
// their codecs write them (codec/codec.h).
#ifndef WALLABY_DESTINATION_FILES_FILE_ENCODER_H_
#define WALLABY_DESTINATION_FILES_FILE_ENCODER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "codec/arrow_rows.h"
#include "codec/codec.h"
#include "destination/files/file_store.h"
#include "destination/files/files_options.h"

namespace wallaby {

class FileEncoder {
 public:
  virtual ~FileEncoder() = default;

  // The one of the two that goes with the format. Errors name table, column and value.
  virtual absl::Status AppendRow(const char* tuple, const RowExtras& extras);
  virtual absl::Status AppendSlice(const BatchSlice& slice);

  // About how many bytes are in memory, of how many rows; and the rows of the file as a whole.
  virtual int64_t gathered() const = 0;
  virtual bool empty() const = 0;
  virtual int64_t rows() const = 0;

  // Writes what is gathered. `out` is the same at each call.
  virtual absl::Status Flush(FileOutput* out) = 0;
  // Flushes and ends the format's file. `out` itself is the caller's to finish.
  virtual absl::Status Finish(FileOutput* out) = 0;
};

// True where files take rows, not slices.
bool IsColumnar(WireFormat format);

// `notes` become the file's metadata. The relation must outlive the object.
std::unique_ptr<FileEncoder> MakeColumnarEncoder(const Relation& relation, const std::vector<ArrowColumn>& columns,
                                                 const FilesOptions& options, std::map<std::string, std::string> notes);
// The codec must outlive the object.
std::unique_ptr<FileEncoder> MakePayloadEncoder(RelationPtr relation, Codec* codec, FileCompression compression);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_FILES_FILE_ENCODER_H_
