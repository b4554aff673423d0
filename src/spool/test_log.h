// For tests: what a slot sends, and what a reader gives of it, as lines of text.
#ifndef WALLABY_SPOOL_TEST_LOG_H_
#define WALLABY_SPOOL_TEST_LOG_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "pgoutput/test_bytes.h"
#include "spool/spool.h"
#include "spool/spool_reader.h"
#include "spool/spool_writer.h"

namespace wallaby::spool {

using pgoutput::Big;

inline std::string BeginMessage(uint64_t commit) {
  return "B" + Big(commit, 8) + Big(0, 8) + Big(7, 4);
}
inline std::string CommitMessage(uint64_t commit, uint64_t end) {
  return "C" + Big(0, 1) + Big(commit, 8) + Big(end, 8) + Big(0, 8);
}
// Not whole: the spool looks at the oid only.
inline std::string RelationMessage(uint32_t oid, const std::string& text) {
  return "R" + Big(oid, 4) + text;
}
inline std::string InsertMessage(uint32_t oid, const std::string& text) {
  return "I" + Big(oid, 4) + text;
}
inline std::string TruncateMessage(const std::vector<uint32_t>& oids) {
  std::string out = "T" + Big(oids.size(), 4) + Big(0, 1);
  for (const uint32_t oid : oids) out += Big(oid, 4);
  return out;
}
inline std::string LogicalMessage(bool transactional, const std::string& text) {
  return "M" + Big(transactional ? 1 : 0, 1) + Big(5, 8) + text;
}

// A transaction: its commit record is at `commit` and 8 bytes long.
inline std::vector<std::string> Transaction(uint64_t commit, std::vector<std::string> messages) {
  messages.insert(messages.begin(), BeginMessage(commit));
  messages.push_back(CommitMessage(commit, commit + 8));
  return messages;
}

// "B 100", "C 108", "R 1 text", "I 1 text", "T", "M text", "idle 108".
inline std::string Line(const SpoolReader::Item& item) {
  if (item.kind == SpoolReader::Item::Kind::kNone) return "none";
  if (item.kind == SpoolReader::Item::Kind::kIdle) return absl::StrCat("idle ", item.wal_end.value);
  const auto number = [&](size_t at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = at; i < at + bytes; ++i) value = value << 8 | static_cast<unsigned char>(item.message[i]);
    return value;
  };
  const std::string type(item.message.substr(0, 1));
  if (type == "B") return absl::StrCat("B ", number(1, 8));
  if (type == "C") return absl::StrCat("C ", number(10, 8));
  if (type == "T") return type;
  if (type == "M") return absl::StrCat("M ", item.message.substr(10));
  return absl::StrCat(type, " ", number(1, 4), " ", item.message.substr(5));
}

// All there is; the last line is an error's code, when there is one.
inline std::vector<std::string> ReadAll(SpoolReader& reader) {
  std::vector<std::string> lines;
  while (true) {
    const auto item = reader.Next();
    if (!item.ok()) {
      lines.push_back(absl::StatusCodeToString(item.status().code()));
      return lines;
    }
    if (item->kind == SpoolReader::Item::Kind::kNone) return lines;
    lines.push_back(Line(*item));
  }
}

class SpoolTest : public testing::Test {
 protected:
  SpoolTest() {
    // In memory where there is such a place: many files are made durable here.
    std::string pattern = std::string(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + "/wallaby_spool_XXXXXX";
    options_.root = mkdtemp(pattern.data());
  }
  ~SpoolTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(options_.root, ignored);
  }

  std::unique_ptr<SpoolWriter> Writer() { return Value(SpoolWriter::Open(options_, name_, "pub", Lsn{100})); }
  std::unique_ptr<SpoolReader> Reader(uint64_t from) {
    return Value(SpoolReader::Open(options_, name_, "pub", Lsn{from}));
  }
  std::vector<std::string> Read(uint64_t from) { return ReadAll(*Reader(from)); }
  std::string Folder() const { return SpoolFolder(options_, name_); }

  template <typename T>
  static T Value(absl::StatusOr<T> value) {
    EXPECT_TRUE(value.ok()) << value.status();
    if (!value.ok()) std::abort();
    return *std::move(value);
  }
  static void Append(SpoolWriter& writer, const std::vector<std::string>& messages) {
    for (const std::string& message : messages) ASSERT_TRUE(writer.Append(message).ok());
  }

  SpoolOptions options_;
  SpoolName name_{"7301", "orders"};
};

}  // namespace wallaby::spool

#endif  // WALLABY_SPOOL_TEST_LOG_H_
