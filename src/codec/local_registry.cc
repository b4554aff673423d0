#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/url_encode.h"
#include "codec/registries.h"

namespace wallaby {
namespace {

namespace fs = std::filesystem;

struct Entry {
  int32_t id = 0;
  int version = 0;
  SchemaType type = SchemaType::kAvro;
  fs::path path;
};

// "3-17.avsc": version 3, id 17.
std::optional<Entry> EntryOf(const fs::path& path) {
  Entry entry{.path = path};
  const std::string name = path.filename();
  const char* const end = name.data() + name.size();
  const auto [dash, version_error] = std::from_chars(name.data(), end, entry.version);
  if (version_error != std::errc() || dash == end || *dash != '-') return std::nullopt;
  const auto [dot, id_error] = std::from_chars(dash + 1, end, entry.id);
  const std::string_view extension(dot, static_cast<size_t>(end - dot));
  if (id_error != std::errc() || entry.version < 1 || entry.id < 1) return std::nullopt;
  if (extension != ".avsc" && extension != ".proto") return std::nullopt;
  entry.type = extension == ".avsc" ? SchemaType::kAvro : SchemaType::kProtobuf;
  return entry;
}

absl::Status FileError(std::string_view doing, const fs::path& path, int error) {
  const std::string text = absl::StrCat("schema registry: ", doing, " ", path.string(), ": ", std::strerror(error));
  switch (error) {
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(text);
    case ENOTDIR:
    case EROFS:
      return absl::FailedPreconditionError(text);
    default:
      return absl::UnavailableError(text);
  }
}

absl::StatusOr<std::string> ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return FileError("reading", path, errno);
  return text;
}

std::vector<Entry> EntriesIn(const fs::path& folder) {
  std::vector<Entry> entries;
  std::error_code none;
  for (fs::directory_iterator at(folder, none), end; !none && at != end; at.increment(none)) {
    if (auto entry = EntryOf(at->path())) entries.push_back(*std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.version < b.version; });
  return entries;
}

class LocalRegistry : public SchemaRegistry {
 public:
  explicit LocalRegistry(std::string folder) : folder_(std::move(folder)) {}

  absl::StatusOr<RegisteredSchema> Register(const std::string& subject, SchemaType type,
                                            const std::string& schema) override {
    std::error_code error;
    fs::create_directories(FolderOf(subject), error);
    if (error) return FileError("making", FolderOf(subject), error.value());
    // Other processes and other objects of this one wait here; the lock goes with the descriptor.
    const fs::path lock_path = fs::path(folder_) / ".lock";
    const int lock = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0) return FileError("opening", lock_path, errno);
    const absl::Cleanup close_lock = [lock] { close(lock); };
    while (flock(lock, LOCK_EX) != 0) {
      if (errno != EINTR) return FileError("locking", lock_path, errno);
    }
    absl::StatusOr<RegisteredSchema> known = Lookup(subject, type, schema);
    if (known.ok() || !absl::IsNotFound(known.status())) return known;
    RETURN_IF_ERROR(Check(subject, type, schema));
    return Add(subject, type, schema);
  }

  absl::StatusOr<RegisteredSchema> Lookup(const std::string& subject, SchemaType type,
                                          const std::string& schema) override {
    const std::vector<Entry> entries = EntriesIn(FolderOf(subject));
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (entry->type != type) continue;
      ASSIGN_OR_RETURN(const std::string text, ReadAll(entry->path));
      if (text == schema) return ConfluentSchema(entry->id, entry->version);
    }
    return absl::NotFoundError(absl::StrCat("there is no such schema in ", FolderOf(subject).string()));
  }

  absl::Status Check(const std::string& subject, SchemaType type, const std::string& schema) override {
    const std::vector<Entry> entries = EntriesIn(FolderOf(subject));
    if (entries.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::string last, ReadAll(entries.back().path));
    return MayFollow(subject, type, schema, entries.back().type == type, last);
  }

 private:
  fs::path FolderOf(const std::string& subject) const {
    // A subject of dots alone would be a folder that is there already.
    const std::string name = UrlEncode(subject);
    return fs::path(folder_) / (name.find_first_not_of('.') == std::string::npos ? "%" + name : name);
  }

  absl::StatusOr<RegisteredSchema> Add(const std::string& subject, SchemaType type, const std::string& schema) const {
    int32_t id = 1;
    int version = 1;
    std::error_code none;
    for (fs::directory_iterator at(folder_, none), end; !none && at != end; at.increment(none)) {
      for (const Entry& entry : EntriesIn(at->path())) {
        if (entry.id == std::numeric_limits<int32_t>::max()) {
          return absl::FailedPreconditionError(
              absl::StrCat("schema registry: no id is left after ", entry.path.string()));
        }
        id = std::max(id, entry.id + 1);
        if (at->path() == FolderOf(subject)) version = std::max(version, entry.version + 1);
      }
    }
    const fs::path path =
        FolderOf(subject) / absl::StrCat(version, "-", id, type == SchemaType::kAvro ? ".avsc" : ".proto");
    RETURN_IF_ERROR(WriteWhole(path, schema));
    return ConfluentSchema(id, version);
  }

  // Under a name that is no entry's until it is on the disk.
  static absl::Status WriteWhole(const fs::path& path, const std::string& text) {
    const std::string unfinished = absl::StrCat(path.string(), ".new");
    const int fd = open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return FileError("making", path, errno);
    size_t written = 0;
    int error = 0;
    while (error == 0 && written < text.size()) {
      const ssize_t n = write(fd, text.data() + written, text.size() - written);
      if (n >= 0) written += static_cast<size_t>(n);
      if (n < 0 && errno != EINTR) error = errno;
    }
    if (error == 0 && fsync(fd) != 0) error = errno;
    close(fd);
    if (error == 0 && rename(unfinished.c_str(), path.c_str()) != 0) error = errno;
    if (error == 0) {
      const int folder = open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (folder < 0 || fsync(folder) != 0) error = errno;
      if (folder >= 0) close(folder);
    }
    return error == 0 ? absl::OkStatus() : FileError("writing", path, error);
  }

  const std::string folder_;
};

}  // namespace

std::unique_ptr<SchemaRegistry> MakeLocalRegistry(const RegistryOptions& options) {
  constexpr std::string_view kScheme = "file://";
  return std::make_unique<LocalRegistry>(options.url.starts_with(kScheme) ? options.url.substr(kScheme.size())
                                                                          : options.url);
}

}  // namespace wallaby
