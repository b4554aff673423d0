// Percent-encoding of text that becomes a part of a URL's path or of a header (RFC 3986, sections 2.1 and 2.3).
#ifndef WALLABY_BASE_URL_ENCODE_H_
#define WALLABY_BASE_URL_ENCODE_H_

#include <string>
#include <string_view>

namespace wallaby {

// Letters, digits and - . _ ~ stay; every other byte becomes %XX.
std::string UrlEncode(std::string_view text);

}  // namespace wallaby

#endif  // WALLABY_BASE_URL_ENCODE_H_
