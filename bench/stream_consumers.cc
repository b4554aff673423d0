// Consumers of a stream, for the benchmark: each pulls and acknowledges over a connection of its own until the group
// has acknowledged so many messages.
//
//   stream_consumers ENDPOINT STREAM GROUP CONSUMERS MAX TOTAL
//
// MAX messages a pull. Prints one JSON object: seconds from the first message to the last acknowledgement, messages,
// pulls and payload bytes.
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {
namespace {

using Steady = std::chrono::steady_clock;

struct Shared {
  std::string endpoint;
  v1::StreamPullRequest pull;
  int64_t total = 0;
  std::atomic<int64_t> acked{0};
  std::atomic<int64_t> pulls{0};
  std::atomic<int64_t> bytes{0};
  std::once_flag began;
  Steady::time_point begin;
};

bool Failed(const grpc::Status& status, const char* what) {
  if (status.ok()) return false;
  std::fprintf(stderr, "%s: %s\n", what, status.error_message().c_str());
  std::exit(1);
}

void Consume(Shared* shared, int number) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  const auto channel = grpc::CreateCustomChannel(shared->endpoint, grpc::InsecureChannelCredentials(), arguments);
  const auto stub = v1::StreamService::NewStub(channel);
  v1::StreamPullRequest request = shared->pull;
  request.set_consumer_id(std::to_string(number));
  while (shared->acked < shared->total) {
    v1::StreamPullResponse pulled;
    grpc::ClientContext context;
    Failed(stub->Pull(&context, request, &pulled), "Pull");
    if (pulled.messages().empty()) continue;
    std::call_once(shared->began, [shared] { shared->begin = Steady::now(); });
    ++shared->pulls;
    v1::StreamAckRequest ack;
    ack.set_stream(request.stream());
    ack.set_consumer_group(request.consumer_group());
    for (const v1::StreamMessage& message : pulled.messages()) {
      ack.add_ids(message.id());
      shared->bytes += static_cast<int64_t>(message.payload().size());
    }
    v1::StreamAckResponse acked;
    grpc::ClientContext ack_context;
    Failed(stub->Ack(&ack_context, ack, &acked), "Ack");
    shared->acked += acked.acked();
  }
}

int Main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "usage: stream_consumers ENDPOINT STREAM GROUP CONSUMERS MAX TOTAL\n");
    return 2;
  }
  Shared shared;
  shared.endpoint = argv[1];
  shared.pull.set_stream(argv[2]);
  shared.pull.set_consumer_group(argv[3]);
  shared.pull.set_max_messages(std::atoi(argv[5]));
  shared.pull.set_visibility_timeout_seconds(60);
  shared.pull.set_wait_milliseconds(500);
  shared.total = std::atoll(argv[6]);
  std::vector<std::thread> consumers;
  for (int i = 0; i < std::atoi(argv[4]); ++i) consumers.emplace_back(Consume, &shared, i);
  for (std::thread& consumer : consumers) consumer.join();
  const std::chrono::duration<double> took = Steady::now() - shared.begin;
  std::printf("{\"seconds\": %.3f, \"messages\": %lld, \"pulls\": %lld, \"bytes\": %lld}\n", took.count(),
              static_cast<long long>(shared.acked), static_cast<long long>(shared.pulls),
              static_cast<long long>(shared.bytes));
  return 0;
}

}  // namespace
}  // namespace wallaby

int main(int argc, char** argv) {
  return wallaby::Main(argc, argv);
}
