#include "destination/objects/xml_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wallaby {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(XmlTextTest, TextsOfElements) {
  const std::string xml =
      "<?xml version=\"1.0\"?><R><Contents><Key>a &amp; "
      "b</Key></Contents><Contents><Key>c&#x2F;d&#233;</Key></Contents>"
      "<Empty></Empty><Bad>1 &lt 2 &what; &#xZZ;</Bad><Open>never";
  EXPECT_THAT(XmlTexts(xml, "Key"), ElementsAre("a & b", "c/d\xc3\xa9"));
  EXPECT_EQ(XmlText(xml, "Empty"), "");
  EXPECT_EQ(XmlText(xml, "Bad"), "1 &lt 2 &what; &#xZZ;");
  EXPECT_THAT(XmlTexts(xml, "Open"), IsEmpty());
  EXPECT_THAT(XmlTexts("", "Key"), IsEmpty());
}

TEST(XmlTextTest, EscapesWhatItMust) {
  EXPECT_EQ(XmlEscape("\"a\" <&> b"), "\"a\" &lt;&amp;&gt; b");
}

}  // namespace
}  // namespace wallaby
