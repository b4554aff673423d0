#include "destination/grpc/ingest_message.h"

#include <gtest/gtest.h>

#include "wallaby/v1/services.pb.h"

namespace wallaby {
namespace {

TEST(IngestMessage, RequestsAreReadByTheGeneratedClasses) {
  PushRequest request;
  request.format = WireFormat::kAvro;
  request.payload = std::string(300, '\0');
  request.last = {Lsn{0x16B3748}, 4};
  v1::IngestBatchRequest parsed;
  ASSERT_TRUE(parsed.ParseFromString(EncodeIngestRequest("flow", "hook", request)));
  EXPECT_EQ(parsed.flow_id(), "flow");
  EXPECT_EQ(parsed.destination(), "hook");
  EXPECT_EQ(parsed.wire_format(), v1::WIRE_FORMAT_AVRO);
  EXPECT_EQ(parsed.payload(), request.payload);
  EXPECT_EQ(parsed.checkpoint().lsn(), "0/16B3748");
}

TEST(IngestMessage, ResponsesOfTheGeneratedClassesAreRead) {
  v1::IngestBatchResponse response;
  EXPECT_FALSE(DecodeIngestResponse(response.SerializeAsString())->accepted);
  response.set_accepted(true);
  EXPECT_TRUE(DecodeIngestResponse(response.SerializeAsString())->accepted);
  response.set_accepted(false);
  response.set_message(std::string(1000, 'x'));
  EXPECT_EQ(DecodeIngestResponse(response.SerializeAsString())->message, response.message());
  // Fields of a later version, of every wire type.
  EXPECT_TRUE(DecodeIngestResponse(std::string("\x19"
                                               "12345678"
                                               "\x25"
                                               "1234"
                                               "\x2a\x01"
                                               "x"
                                               "\x30\x80\x01"
                                               "\x08\x01",
                                               22))
                  ->accepted);
}

TEST(IngestMessage, BytesThatAreNoResponseAreRefused) {
  for (const std::string bytes : {"\x08", "\x12\x05x", "\x80", "\x0b",
                                  "\x09"
                                  "123"}) {
    EXPECT_FALSE(DecodeIngestResponse(bytes).has_value()) << bytes.size();
  }
}

}  // namespace
}  // namespace wallaby
