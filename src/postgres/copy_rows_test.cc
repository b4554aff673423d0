#include "postgres/copy_rows.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "change/tuple.h"

namespace wallaby {
namespace {

using std::string_literals::operator""s;

const std::string kHeader = "PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"s;
const std::string kTwoRows = kHeader + "\0\2\0\0\0\3one\xff\xff\xff\xff"s + "\0\2\0\0\0\0\0\0\0\1x"s + "\xff\xff"s;

// "t:one|null" a row, rows separated by newlines.
std::string Shown(const std::string& arena, const std::vector<uint64_t>& rows) {
  std::string out;
  for (const uint64_t offset : rows) {
    for (TupleCursor c(arena.data() + offset); !c.done(); c.Next()) {
      absl::StrAppend(&out, c.index() > 0 ? "|" : "",
                      c.field().is_null() ? "null"
                                          : absl::StrCat(std::string(1, static_cast<char>(c.field().kind)), ":",
                                                         std::string(c.field().bytes)));
    }
    out += "\n";
  }
  return out;
}

std::string Read(bool binary, int columns, const std::string& bytes, size_t piece) {
  CopyRows reader(binary, columns);
  std::string arena;
  std::vector<uint64_t> rows;
  for (size_t i = 0; i < bytes.size(); i += piece) {
    const absl::Status status = reader.Feed(std::string_view(bytes).substr(i, piece), &arena, &rows);
    if (!status.ok()) return status.ToString();
  }
  const absl::Status status = reader.Finish();
  return status.ok() ? Shown(arena, rows) : status.ToString();
}

TEST(CopyRowsTest, BinaryCutAnywhere) {
  for (size_t piece = 1; piece <= kTwoRows.size(); ++piece) {
    EXPECT_EQ(Read(true, 2, kTwoRows, piece), "b:one|null\nb:|b:x\n") << piece;
  }
}

TEST(CopyRowsTest, BinaryIsChecked) {
  const auto refused = [](const std::string& bytes, int columns = 2) {
    return Read(true, columns, bytes, bytes.size()).starts_with("DATA_LOSS");
  };
  EXPECT_TRUE(refused(kTwoRows, 3));
  EXPECT_TRUE(refused("PGCOPX\n\xff\r\n\0\0\0\0\0\0\0\0\0"s));
  EXPECT_TRUE(refused(kTwoRows.substr(0, kTwoRows.size() - 2)));
  EXPECT_TRUE(refused(kTwoRows + "more"));
  EXPECT_TRUE(refused(kHeader + "\0\2\x80\0\0\0"s));
}

TEST(CopyRowsTest, TextCutAnywhere) {
  const std::string text = "one\t\\N\n\t\\\\N\n\\b\\f\\n\\r\\t\\v\\\\\t\xc3\xa4\n";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    EXPECT_EQ(Read(false, 2, text, piece), "t:one|null\nt:|t:\\N\nt:\b\f\n\r\t\v\\|t:\xc3\xa4\n") << piece;
  }
}

TEST(CopyRowsTest, TextIsChecked) {
  EXPECT_TRUE(Read(false, 2, "one\n", 4).starts_with("DATA_LOSS"));
  EXPECT_TRUE(Read(false, 1, "a\tb\n", 4).starts_with("DATA_LOSS"));
  EXPECT_TRUE(Read(false, 1, "a", 1).starts_with("DATA_LOSS"));
  EXPECT_EQ(Read(false, 1, "\n", 1), "t:\n");
  EXPECT_EQ(Read(false, 0, "\n\n", 1), "\n\n");
}

}  // namespace
}  // namespace wallaby
