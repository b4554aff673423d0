#include "codec/json_text.h"

#include <gtest/gtest.h>

#include <limits>

#include "absl/strings/escaping.h"

namespace wallaby {
namespace {

std::string Json(std::string_view text) {
  std::string out;
  return AppendJsonString(text, &out) ? out : "refused" + out;
}

TEST(JsonTextTest, Strings) {
  EXPECT_EQ(Json(""), R"("")");
  EXPECT_EQ(Json("a text of more than eight bytes"), R"("a text of more than eight bytes")");
  EXPECT_EQ(Json("12345678\"12345678\\"), R"("12345678\"12345678\\")");
  EXPECT_EQ(Json(std::string_view("\0\x01\x1f\b\f\n\r\t\x7f", 9)), "\"\\u0000\\u0001\\u001f\\b\\f\\n\\r\\t\x7f\"");
  EXPECT_EQ(Json("größer 語 🦘"), "\"größer 語 🦘\"");
}

// A plain byte and one that is to be escaped at each place of eight.
TEST(JsonTextTest, EveryPlace) {
  for (int place = 0; place < 16; ++place) {
    for (const char c : {'\0', '\x1f', '"', '\\', ' ', '!', '#', '[', ']', '\x7f'}) {
      std::string text(16, 'a');
      text[static_cast<size_t>(place)] = c;
      std::string expected = "\"" + text + "\"";
      const char* escaped = c == '\0'     ? "\\u0000"
                            : c == '\x1f' ? "\\u001f"
                            : c == '"'    ? "\\\""
                            : c == '\\'   ? "\\\\"
                                          : nullptr;
      if (escaped != nullptr) expected.replace(static_cast<size_t>(place) + 1, 1, escaped);
      EXPECT_EQ(Json(text), expected);
    }
  }
}

TEST(JsonTextTest, OnlyUtf8) {
  for (const char* bad : {"\x80", "a\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                          "\xf8", "12345678\xe8\xaa", "\xf0\x9f\xa6"}) {
    EXPECT_EQ(Json(bad), "refused") << absl::CHexEscape(bad);
  }
}

TEST(JsonTextTest, Numbers) {
  for (const char* good : {"0", "-0", "1.5", "-12e+20", "1E-7", "0.001", "9223372036854775807"}) {
    EXPECT_TRUE(IsJsonNumber(good)) << good;
  }
  for (const char* bad : {"", "-", "01", "1.", ".5", "1e", "+1", "NaN", "Infinity", "0x1", "1 ", "1e+"}) {
    EXPECT_FALSE(IsJsonNumber(bad)) << bad;
  }
}

TEST(JsonTextTest, Base64) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    std::string out;
    AppendBase64(bytes, &out);
    EXPECT_EQ(out, std::string(absl::Base64Escape(bytes)));
    bytes.push_back(static_cast<char>(i * 37));
  }
}

std::string Value(uint32_t oid, std::string_view text, int32_t typmod = -1) {
  std::string scratch, out;
  const absl::Status status = AppendJsonValue({FieldKind::kText, text}, BuiltinType(oid, typmod), &scratch, &out);
  return status.ok() ? out : status.ToString();
}

TEST(JsonTextTest, Values) {
  EXPECT_EQ(Value(16, "t"), "true");
  EXPECT_EQ(Value(20, "-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Value(26, "4294967295"), "4294967295");
  EXPECT_EQ(Value(701, "1e+300"), "1e+300");
  EXPECT_EQ(Value(701, "-0"), "-0.0");
  EXPECT_EQ(Value(701, "NaN"), R"("NaN")");
  EXPECT_EQ(Value(700, "-Infinity"), R"("-Infinity")");
  EXPECT_EQ(Value(1700, "123456789012345678901234567890.10"), R"("123456789012345678901234567890.10")");
  EXPECT_EQ(Value(17, "\\x0001ff"), R"("AAH/")");
  EXPECT_EQ(Value(1082, "2024-05-01"), R"("2024-05-01")");
  EXPECT_EQ(Value(1114, "2024-05-01 12:34:56.7"), R"("2024-05-01T12:34:56.7")");
  EXPECT_EQ(Value(1184, "2024-05-01 12:34:56+00"), R"("2024-05-01T12:34:56+00:00")");
  EXPECT_EQ(Value(1184, "0044-03-15 12:00:00+00 BC"), R"("0044-03-15T12:00:00+00:00 BC")");
  EXPECT_EQ(Value(1184, "-infinity"), R"("-infinity")");
  EXPECT_EQ(Value(3802, "{\"a\": null}"), R"("{\"a\": null}")");
}

TEST(JsonTextTest, RefusesWhatIsNoneOfItsType) {
  EXPECT_EQ(Value(16, "yes").substr(0, 16), "INVALID_ARGUMENT");
  EXPECT_EQ(Value(23, "1,2").substr(0, 16), "INVALID_ARGUMENT");
  EXPECT_EQ(Value(701, "1\"").substr(0, 16), "INVALID_ARGUMENT");
  EXPECT_EQ(Value(1184, "2024-05-01 12:34:56+02").substr(0, 16), "INVALID_ARGUMENT");
  EXPECT_EQ(Value(25, "\xff").substr(0, 16), "INVALID_ARGUMENT");
}

TEST(JsonTextTest, Times) {
  std::string out;
  AppendJsonTime(1'714'566'896'789'012, &out);
  EXPECT_EQ(out, R"("2024-05-01T12:34:56.789012+00:00")");
  out.clear();
  AppendJsonTime(0, &out);
  EXPECT_EQ(out, R"("1970-01-01T00:00:00+00:00")");
  for (const int64_t odd : {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    out.clear();
    AppendJsonTime(odd, &out);
    EXPECT_FALSE(out.empty());
  }
}

}  // namespace
}  // namespace wallaby
