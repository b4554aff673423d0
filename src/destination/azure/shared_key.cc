#include "destination/azure/shared_key.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/hmac.h"

namespace wallaby {

std::string SharedKeyAuthorization(const AzureRequest& request, std::string_view account, std::string_view key) {
  const auto header = [&](const char* name) {
    const auto found = request.headers.find(name);
    return found == request.headers.end() ? "" : found->second;
  };
  const std::string size = request.body_size == 0 ? "" : absl::StrCat(request.body_size);
  // The empty line is Date, for which x-ms-date stands.
  std::string text = absl::StrCat(request.method, "\n", header("content-encoding"), "\n", header("content-language"),
                                  "\n", size, "\n", header("content-md5"), "\n", header("content-type"), "\n\n");
  for (const char* name : {"if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"}) {
    absl::StrAppend(&text, header(name), "\n");
  }
  for (const auto& [name, value] : request.headers) {
    if (name.starts_with("x-ms-")) absl::StrAppend(&text, name, ":", value, "\n");
  }
  absl::StrAppend(&text, "/", account, request.path);
  for (const auto& [name, value] : request.query) absl::StrAppend(&text, "\n", name, ":", value);
  return absl::StrCat("SharedKey ", account, ":", absl::Base64Escape(HmacSha256(key, text)));
}

}  // namespace wallaby
