#include "spool/segment.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/status.h"
#include "spool/lsn_file.h"

namespace wallaby::spool {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".segment";
constexpr std::string_view kUnfinished = "next.unfinished";
constexpr std::string_view kNotAsWritten = "is not as it was written";

std::optional<BlockCipher> CipherOf(std::string_view key, Lsn segment) {
  if (key.empty()) return std::nullopt;
  return BlockCipher(key, segment);
}

absl::Status DamagedBlock(const std::string& path, uint64_t offset, std::string_view why) {
  return absl::DataLossError(absl::StrCat("spool: segment ", path, " is damaged: the block at byte ", offset, " ", why,
                                          "; the source may no longer have what it held, see docs/spool.md"));
}

}  // namespace

std::string SegmentPath(const std::string& folder, Lsn start) {
  return absl::StrCat(folder, "/", LsnDigits(start), kExtension);
}

absl::StatusOr<std::vector<Lsn>> ListSegments(const std::string& folder) {
  std::vector<Lsn> starts;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    Lsn start;
    if (name.ends_with(kExtension) &&
        ParseLsnDigits(std::string_view(name).substr(0, name.size() - kExtension.size()), &start)) {
      starts.push_back(start);
    }
  }
  if (error) return FileError("list", folder, error.value());
  std::sort(starts.begin(), starts.end());
  return starts;
}

SegmentReader::SegmentReader(File file, Lsn start, std::string_view key)
    : file_(std::move(file)), start_(start), cipher_(CipherOf(key, start)) {}

absl::StatusOr<SegmentReader> SegmentReader::Open(const std::string& folder, Lsn start, std::string_view key) {
  ASSIGN_OR_RETURN(File file, File::Open(SegmentPath(folder, start), O_RDONLY));
  return SegmentReader(std::move(file), start, key);
}

absl::StatusOr<bool> SegmentReader::ReadHeader(uint64_t offset, BlockHeader* header) const {
  char bytes[kHeaderBytes];
  ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(offset, bytes, kHeaderBytes));
  return got == kHeaderBytes && DecodeHeader(bytes, start_, offset, header);
}

absl::StatusOr<bool> SegmentReader::ReadPayload(uint64_t offset, const BlockHeader& header) {
  payload_ = {};
  if (capacity_ < header.payload_bytes || capacity_ > 2 * std::max<size_t>(header.payload_bytes, kBlockBytes)) {
    // A length is believed when the bytes are there.
    ASSIGN_OR_RETURN(const uint64_t size, file_.Size());
    if (size < header.end(offset)) return false;
    capacity_ = std::max<size_t>(header.payload_bytes, kBlockBytes + kTagBytes);
    memory_ = std::make_unique_for_overwrite<char[]>(capacity_);
  }
  ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(offset + kHeaderBytes, memory_.get(), header.payload_bytes));
  const std::string_view stored(memory_.get(), got);
  if (got < header.payload_bytes || Checksum(stored) != header.payload_checksum) return false;
  payload_ = stored;
  if (header.encrypted() != cipher_.has_value()) return Damaged(offset, "is encrypted where others are not");
  if (cipher_.has_value()) {
    const absl::Status status = cipher_->Open(header, offset, stored, memory_.get());
    if (absl::IsDataLoss(status)) return Damaged(offset, status.message());
    RETURN_IF_ERROR(status);
    payload_.remove_suffix(kTagBytes);
  }
  return true;
}

absl::Status SegmentReader::Damaged(uint64_t offset, std::string_view why) const {
  return DamagedBlock(file_.path(), offset, why);
}

SegmentWriter::SegmentWriter(File file, Lsn start, std::string_view key, uint64_t end)
    : file_(std::move(file)), start_(start), end_(end), cipher_(CipherOf(key, start)) {}

absl::StatusOr<SegmentWriter> SegmentWriter::Make(const std::string& folder, Lsn start, Lsn last_commit,
                                                  std::string_view key, std::string_view last_begin,
                                                  const Relations& relations) {
  const std::string unfinished = absl::StrCat(folder, "/", kUnfinished);
  const std::string path = SegmentPath(folder, start);
  ASSIGN_OR_RETURN(File file, File::Open(unfinished, O_CREAT | O_TRUNC | O_RDWR));
  SegmentWriter segment(std::move(file), start, key, 0);
  const Place place{kBoundary | kPreamble, start, last_commit, start};
  BlockBuffer buffer;
  if (!last_begin.empty()) buffer.Add(last_begin);
  for (const auto& [oid, message] : relations) {
    if (buffer.size() > 0 && buffer.size() + BlockBuffer::Needed(message) > kBlockBytes) {
      RETURN_IF_ERROR(segment.WriteBlock(place, &buffer, buffer.size()));
    }
    buffer.Add(message);
  }
  RETURN_IF_ERROR(segment.WriteBlock(place, &buffer, buffer.size()));
  RETURN_IF_ERROR(segment.Sync());
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSpoolSegment));
  RETURN_IF_ERROR(RenameFile(unfinished, path));
  return Open(folder, start, key, segment.end());
}

absl::StatusOr<SegmentWriter> SegmentWriter::Open(const std::string& folder, Lsn start, std::string_view key,
                                                  uint64_t end) {
  ASSIGN_OR_RETURN(File file, File::Open(SegmentPath(folder, start), O_RDWR));
  return SegmentWriter(std::move(file), start, key, end);
}

absl::StatusOr<std::string_view> SegmentWriter::Encode(const Place& place, BlockBuffer* buffer, size_t payload_bytes) {
  BlockHeader header;
  header.flags = place.flags | (cipher_.has_value() ? uint32_t{kEncrypted} : 0);
  header.position = place.position;
  header.last_commit = place.last_commit;
  header.durable = place.durable;
  header.payload_bytes = static_cast<uint32_t>(payload_bytes);
  std::string_view payload = buffer->payload(payload_bytes);
  char* block = buffer->header();
  if (cipher_.has_value()) {
    header.payload_bytes += kTagBytes;
    sealed_.resize(kHeaderBytes + header.payload_bytes);
    block = sealed_.data();
    RETURN_IF_ERROR(cipher_->Seal(&header, end_, payload, block + kHeaderBytes));
    payload = std::string_view(block + kHeaderBytes, header.payload_bytes);
  }
  header.payload_checksum = Checksum(payload);
  EncodeHeader(header, start_, end_, block);
  return std::string_view(block, kHeaderBytes + header.payload_bytes);
}

absl::Status SegmentWriter::WriteBlock(const Place& place, BlockBuffer* buffer, size_t payload_bytes) {
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSpoolWrite));
  ASSIGN_OR_RETURN(const std::string_view block, Encode(place, buffer, payload_bytes));
  RETURN_IF_ERROR(file_.WriteAt(end_, block));
  end_ += block.size();
  buffer->RemoveFront(payload_bytes);
  if (sealed_.capacity() > 2 * kBlockBytes) sealed_ = std::string();
  return absl::OkStatus();
}

absl::Status SegmentWriter::Cut(uint64_t end) {
  RETURN_IF_ERROR(file_.Truncate(end));
  end_ = end;
  return absl::OkStatus();
}

absl::Status SegmentWriter::Sync() {
  RETURN_IF_ERROR(ReachFailpoint(Failpoint::kSpoolSync));
  return file_.Sync();
}

absl::Status SegmentWriter::WriteAgain(uint64_t from) {
  while (from < end_) {
    char bytes[kHeaderBytes];
    BlockHeader header;
    ASSIGN_OR_RETURN(size_t got, file_.ReadAt(from, bytes, kHeaderBytes));
    if (got < kHeaderBytes || !DecodeHeader(bytes, start_, from, &header) || header.end(from) > end_) {
      return DamagedBlock(path(), from, kNotAsWritten);
    }
    std::string block(kHeaderBytes + header.payload_bytes, '\0');
    ASSIGN_OR_RETURN(got, file_.ReadAt(from, block.data(), block.size()));
    if (got < block.size() || Checksum(std::string_view(block).substr(kHeaderBytes)) != header.payload_checksum) {
      return DamagedBlock(path(), from, kNotAsWritten);
    }
    RETURN_IF_ERROR(file_.WriteAt(from, block));
    from = header.end(from);
  }
  return absl::OkStatus();
}

}  // namespace wallaby::spool
