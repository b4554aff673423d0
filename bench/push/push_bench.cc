// For `./dev bench --only push`:
//
//   push_bench receive http|grpc PORT [FILE]        answers each request at once until SIGTERM, then prints how many
//   there
//                                                   were; with FILE, keeps their payloads there
//   push_bench send http|grpc PORT FILE PARALLEL    sends the payloads of FILE by the client library alone, PARALLEL at
//   a
//                                                   time: the ceiling for a destination that sends the same
#include <curl/curl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "httplib.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace {

using wallaby::v1::IngestBatchRequest;
using wallaby::v1::IngestBatchResponse;
using wallaby::v1::IngestService;

[[noreturn]] void Fail(const std::string& what) {
  std::cerr << "push_bench: " << what << "\n";
  std::exit(1);
}

// Counts payloads, and keeps them where a file is given: four bytes of length, then the bytes.
class Taken {
 public:
  explicit Taken(const char* path) {
    if (path != nullptr) file_.open(path, std::ios::binary);
  }
  void Add(const std::string& payload) {
    ++count_;
    if (!file_.is_open()) return;
    const auto size = static_cast<uint32_t>(payload.size());
    std::lock_guard lock(mutex_);
    file_.write(reinterpret_cast<const char*>(&size), sizeof(size));
    file_.write(payload.data(), static_cast<std::streamsize>(payload.size()));
  }
  int64_t count() const { return count_; }

 private:
  std::atomic<int64_t> count_{0};
  std::mutex mutex_;
  std::ofstream file_;
};

class Ingest final : public IngestService::Service {
 public:
  explicit Ingest(Taken* taken) : taken_(taken) {}
  grpc::Status IngestBatch(grpc::ServerContext*, const IngestBatchRequest* request,
                           IngestBatchResponse* response) override {
    taken_->Add(request->payload());
    response->set_accepted(true);
    return grpc::Status::OK;
  }

 private:
  Taken* const taken_;
};

void Receive(const std::string& kind, int port, const char* file) {
  Taken taken(file);
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  int signal = 0;
  if (kind == "http") {
    httplib::Server server;
    server.set_tcp_nodelay(true);
    server.set_keep_alive_max_count(SIZE_MAX);
    server.new_task_queue = [] { return new httplib::ThreadPool(32); };
    server.Post(".*", [&](const httplib::Request& request, httplib::Response& response) {
      taken.Add(request.body);
      response.status = 200;
    });
    std::thread waiter([&] {
      sigwait(&ends, &signal);
      server.stop();
    });
    if (!server.listen("127.0.0.1", port)) Fail("cannot listen");
    waiter.join();
  } else {
    Ingest service(&taken);
    grpc::ServerBuilder builder;
    int bound = 0;
    builder.SetMaxReceiveMessageSize(-1);
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(), &bound);
    builder.RegisterService(&service);
    const auto server = builder.BuildAndStart();
    if (server == nullptr || bound == 0) Fail("cannot listen");
    sigwait(&ends, &signal);
    server->Shutdown();
  }
  std::cout << taken.count() << "\n";
}

std::vector<std::string> ReadPayloads(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> payloads;
  for (uint32_t size = 0; file.read(reinterpret_cast<char*>(&size), sizeof(size));) {
    std::string& payload = payloads.emplace_back(size, '\0');
    if (!file.read(payload.data(), size)) Fail("the file of payloads is cut");
  }
  return payloads;
}

size_t Discard(char*, size_t size, size_t count, void*) {
  return size * count;
}

void SendHttp(int port, const std::vector<std::string>& payloads, size_t from, size_t step) {
  CURL* const easy = curl_easy_init();
  const std::string url = "http://127.0.0.1:" + std::to_string(port) + "/";
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Expect:");
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Discard);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  for (size_t i = from; i < payloads.size(); i += step) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, payloads[i].data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(payloads[i].size()));
    if (const CURLcode code = curl_easy_perform(easy); code != CURLE_OK) Fail(curl_easy_strerror(code));
  }
  curl_slist_free_all(headers);
  curl_easy_cleanup(easy);
}

void SendGrpc(int port, const std::vector<std::string>& payloads, size_t from, size_t step) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto stub = IngestService::NewStub(
      grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(), arguments));
  for (size_t i = from; i < payloads.size(); i += step) {
    grpc::ClientContext context;
    IngestBatchRequest request;
    request.set_payload(payloads[i]);
    IngestBatchResponse response;
    const grpc::Status status = stub->IngestBatch(&context, request, &response);
    if (!status.ok()) Fail(status.error_message());
  }
}

void Send(const std::string& kind, int port, const char* file, size_t parallel) {
  const std::vector<std::string> payloads = ReadPayloads(file);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < parallel; ++i) {
    threads.emplace_back([&, i] { (kind == "http" ? SendHttp : SendGrpc)(port, payloads, i, parallel); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "", kind = argc > 2 ? argv[2] : "";
  if ((kind != "http" && kind != "grpc") || argc < 4) Fail("see the top of push_bench.cc");
  if (what == "receive") {
    Receive(kind, std::atoi(argv[3]), argc > 4 ? argv[4] : nullptr);
  } else if (what == "send" && argc == 6) {
    Send(kind, std::atoi(argv[3]), argv[4], static_cast<size_t>(std::atoi(argv[5])));
  } else {
    Fail("see the top of push_bench.cc");
  }
  return 0;
}
