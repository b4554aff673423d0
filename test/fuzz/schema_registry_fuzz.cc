// What a schema registry answers, and schemas that others put into one: a newer schema, a zero byte, an older one.
#include <string>

#include "codec/avro_compatibility.h"
#include "codec/registry_http.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  const std::string newer(in.Until('\0')), older(in.Rest());
  for (const char* place : {"id", "version/contentId", "versions/0/version", ""}) {
    const auto number = NumberInAnswer(newer, place);
    REQUIRE(!number.ok() || *number > 0, "a number that is none");
  }
  const absl::Status status = AvroCanRead(newer, older);
  REQUIRE(status.ok() || absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status), status.message());
  if (!absl::IsInvalidArgument(status)) (void)AvroCanRead(older, newer);
  return 0;
}
