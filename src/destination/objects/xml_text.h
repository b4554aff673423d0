// The little XML that the APIs of S3 and Azure speak: flat lists of elements that hold text.
#ifndef WALLABY_DESTINATION_OBJECTS_XML_TEXT_H_
#define WALLABY_DESTINATION_OBJECTS_XML_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

namespace wallaby {

// Texts of all elements of this name, in order, wherever they stand; entities are resolved. Of elements that are not
// closed, nothing.
std::vector<std::string> XmlTexts(std::string_view xml, std::string_view name);
// The first, or "".
std::string XmlText(std::string_view xml, std::string_view name);

// As the text of an element.
std::string XmlEscape(std::string_view text);

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_OBJECTS_XML_TEXT_H_
