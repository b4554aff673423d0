// What librdkafka reaches alone: messages in transactions, as many, as large and with as many headers as a flow's.
//
//   produce_messages BROKERS TOPIC MESSAGES PER_TRANSACTION
//
// Settings are those of the kafka destination (src/destination/kafka/producer.cc).
#include <librdkafka/rdkafka.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

void Check(rd_kafka_error_t* error) {
  if (error == nullptr) return;
  std::fprintf(stderr, "produce_messages: %s\n", rd_kafka_error_string(error));
  std::exit(1);
}

rd_kafka_t* MakeProducer(const char* brokers, const char* topic) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  const char* const settings[][2] = {{"bootstrap.servers", brokers},         {"transactional.id", topic},
                                     {"compression.codec", "lz4"},           {"partitioner", "murmur2_random"},
                                     {"batch.num.messages", "1000000"},      {"queue.buffering.max.messages", "0"},
                                     {"queue.buffering.max.kbytes", "32768"}};
  char why[256];
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK) continue;
    std::fprintf(stderr, "produce_messages: %s\n", why);
    std::exit(1);
  }
  rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void*) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) std::fprintf(stderr, "%s\n", rd_kafka_err2str(message->err));
  });
  return rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
}

rd_kafka_headers_t* Headers(const char* lsn, const char* seq) {
  rd_kafka_headers_t* headers = rd_kafka_headers_new(8);
  const char* const all[][2] = {
      {"wallaby-format", "json"},         {"wallaby-schema", "narrow"},   {"wallaby-namespace", "public"},
      {"wallaby-schema-version", "1"},    {"wallaby-lsn", lsn},           {"wallaby-seq", seq},
      {"wallaby-transaction-id", "7000"}, {"wallaby-operation", "insert"}};
  for (const auto& [name, value] : all) rd_kafka_header_add(headers, name, -1, value, -1);
  return headers;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::fprintf(stderr, "usage: produce_messages BROKERS TOPIC MESSAGES PER_TRANSACTION\n"), 2;
  const long messages = std::atol(argv[3]), per_transaction = std::atol(argv[4]);
  rd_kafka_t* producer = MakeProducer(argv[1], argv[2]);
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer, argv[2], nullptr);
  Check(rd_kafka_init_transactions(producer, 30'000));
  for (long i = 0; i < messages; ++i) {
    if (i % per_transaction == 0) {
      if (i > 0) Check(rd_kafka_commit_transaction(producer, 60'000));
      Check(rd_kafka_begin_transaction(producer));
    }
    char key[64], value[1024], lsn[24], seq[24];
    const int key_size = std::snprintf(key, sizeof(key), "{\"id\":%ld}", i);
    std::snprintf(lsn, sizeof(lsn), "%ld", 20'000'000 + i / 1000 * 200);
    std::snprintf(seq, sizeof(seq), "%ld", i % 1000);
    const int value_size = std::snprintf(
        value, sizeof(value),
        "{\"operation\":\"insert\",\"namespace\":\"public\",\"table\":\"narrow\",\"schema_version\":1,\"lsn\":%s,"
        "\"seq\":%s,"
        "\"transaction_id\":7000,\"commit_time\":\"2024-05-01T12:34:56.789012+00:00\",\"key\":%s,\"before\":null,"
        "\"after\":"
        "{\"id\":%ld,\"quantity\":%ld,\"placed\":\"2024-01-01T%02ld:%02ld:%02ld+00:00\",\"amount\":\"%ld.%02ld\","
        "\"note\":\"%016lx%016lx a note\",\"paid\":true,\"status\":\"returned\"},\"unchanged\":[]}",
        lsn, seq, key, i, i * 7919 % 1000, i / 3600 % 24, i / 60 % 60, i % 60, i * 31 % 10'000, i % 100,
        static_cast<unsigned long>(i) * 0x9e3779b97f4a7c15ul, static_cast<unsigned long>(i) * 0xc2b2ae3d27d4eb4ful);
    rd_kafka_headers_t* headers = Headers(lsn, seq);
    for (;;) {
      const auto code = rd_kafka_producev(producer, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                          RD_KAFKA_V_KEY(key, static_cast<size_t>(key_size)),
                                          RD_KAFKA_V_VALUE(value, static_cast<size_t>(value_size)),
                                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR) break;
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) return std::fprintf(stderr, "%s\n", rd_kafka_err2str(code)), 1;
      rd_kafka_poll(producer, 100);
    }
  }
  Check(rd_kafka_commit_transaction(producer, 60'000));
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer);
}
