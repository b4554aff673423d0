// Against a real gRPC server with the generated classes, as a receiver has them.
#include "destination/grpc/grpc_destination.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "codec/test_batches.h"
#include "wallaby/v1/services.grpc.pb.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

struct Seen {
  v1::IngestBatchRequest request;
  std::map<std::string, std::string> metadata;
};

class Receiver final : public v1::IngestService::Service {
 public:
  using Answer = std::function<grpc::Status(const Seen&, v1::IngestBatchResponse*, grpc::ServerContext*, int count)>;
  explicit Receiver(Answer answer = nullptr) : answer_(std::move(answer)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Receiver() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status IngestBatch(grpc::ServerContext* context, const v1::IngestBatchRequest* request,
                           v1::IngestBatchResponse* response) override {
    Seen seen{*request, {}};
    for (const auto& [name, value] : context->client_metadata()) {
      seen.metadata[std::string(name.data(), name.size())] = std::string(value.data(), value.size());
    }
    int count = 0;
    {
      std::lock_guard lock(mutex_);
      count = static_cast<int>(seen_.size());
      seen_.push_back(seen);
    }
    response->set_accepted(true);
    return answer_ ? answer_(seen, response, context, count) : grpc::Status::OK;
  }

  std::string endpoint() const { return absl::StrCat("127.0.0.1:", port_); }
  std::vector<Seen> seen() {
    std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  const Answer answer_;
  std::mutex mutex_;
  std::vector<Seen> seen_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class Letters final : public DeadLetterSink {
 public:
  absl::Status Keep(const DeadLetter& letter) override {
    kept.push_back(letter);
    return absl::OkStatus();
  }
  std::vector<DeadLetter> kept;
};

class GrpcDestinationTest : public testing::Test {
 protected:
  absl::Status Send(const std::string& endpoint, const ChangeBatch& batch,
                    std::map<std::string, std::string> options = {}) {
    DestinationConfig config;
    config.flow_id = "flow";
    config.name = "calls";
    options.insert({{"endpoint", endpoint},
                    {"insecure", "true"},
                    {"payload_mode", "record_json"},
                    {"backoff_base", "1ms"},
                    {"backoff_max", "2ms"},
                    {"max_retries", "3"},
                    {"dedupe_window", "0"}});
    config.options = std::move(options);
    config.dead_letters = &letters_;
    auto made = MakeGrpcDestination(config);
    if (!made.ok()) return made.status();
    destination_ = *std::move(made);
    EXPECT_TRUE(destination_->Open().ok());
    if (absl::Status status = destination_->Write(batch); !status.ok()) return status;
    return destination_->Commit({});
  }
  Letters letters_;
  std::unique_ptr<Destination> destination_;
};

TestBatch Rows(int count, int keys = 3) {
  TestBatch test;
  for (int i = 0; i < count; ++i) test.Update({std::to_string(i % keys), "1.00", std::to_string(i)});
  return test;
}

TEST_F(GrpcDestinationTest, CallsTheService) {
  Receiver receiver;
  const absl::Status sent =
      Send(receiver.endpoint(), Rows(2).batch(), {{"headers", "X-Team:data"}, {"token", "t0ken"}});
  ASSERT_TRUE(sent.ok()) << sent;
  const auto seen = receiver.seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].request.flow_id(), "flow");
  EXPECT_EQ(seen[0].request.destination(), "calls");
  EXPECT_EQ(seen[0].request.wire_format(), v1::WIRE_FORMAT_JSON);
  EXPECT_EQ(seen[0].request.checkpoint().lsn(), "0/16B3748");
  EXPECT_THAT(seen[0].request.payload(), HasSubstr("\"seq\":0"));
  const std::map<std::string, std::string>& metadata = seen[1].metadata;
  EXPECT_EQ(metadata.at("x-wallaby-payload-mode"), "record_json");
  EXPECT_THAT(metadata.at("idempotency-key"), testing::EndsWith("-00000000016b3748-00000001-u"));
  EXPECT_EQ(metadata.at("x-wallaby-transaction-id"), "700");
  EXPECT_EQ(metadata.at("x-wallaby-table"), "orders");
  EXPECT_EQ(metadata.at("x-wallaby-operation"), "update");
  EXPECT_EQ(metadata.at("x-team"), "data");
  EXPECT_EQ(metadata.at("authorization"), "Bearer t0ken");
}

TEST_F(GrpcDestinationTest, WireSendsTheCodecsBatches) {
  Receiver receiver;
  ASSERT_TRUE(Send(receiver.endpoint(), Rows(10).batch(),
                   {{"payload_mode", "wire"}, {"format", "proto"}, {"flow_id", "a"}, {"destination", "b"}})
                  .ok());
  const auto seen = receiver.seen();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].request.flow_id(), "a");
  EXPECT_EQ(seen[0].request.destination(), "b");
  v1::Batch batch;
  ASSERT_TRUE(batch.ParseFromString(seen[0].request.payload()));
  EXPECT_EQ(batch.records_size(), 10);
}

TEST_F(GrpcDestinationTest, AnswersMeanWhatTheDocumentationSays) {
  grpc::Status answer;
  Receiver receiver([&](const Seen&, v1::IngestBatchResponse*, grpc::ServerContext*, int) { return answer; });
  using Code = grpc::StatusCode;
  const auto sent = [&](Code code, const std::string& text = "because") {
    answer = grpc::Status(code, text);
    return Send(receiver.endpoint(), Rows(1).batch(), {{"max_retries", "1"}});
  };
  for (const Code code : {Code::UNAVAILABLE, Code::RESOURCE_EXHAUSTED, Code::ABORTED, Code::INTERNAL, Code::UNKNOWN,
                          Code::DEADLINE_EXCEEDED, Code::CANCELLED}) {
    EXPECT_TRUE(absl::IsUnavailable(sent(code))) << code;
  }
  for (const Code code : {Code::INVALID_ARGUMENT, Code::OUT_OF_RANGE, Code::FAILED_PRECONDITION, Code::DATA_LOSS}) {
    EXPECT_TRUE(absl::IsInvalidArgument(sent(code))) << code;
  }
  for (const Code code : {Code::UNAUTHENTICATED, Code::PERMISSION_DENIED, Code::NOT_FOUND, Code::UNIMPLEMENTED}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(sent(code))) << code;
  }
  EXPECT_TRUE(sent(Code::ALREADY_EXISTS).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(sent(Code::RESOURCE_EXHAUSTED, "Received message larger than max (9 vs. 4)")));
  EXPECT_THAT(std::string(sent(Code::INVALID_ARGUMENT).message()),
              HasSubstr(absl::StrCat(receiver.endpoint(), " answered INVALID_ARGUMENT: because")));
}

TEST_F(GrpcDestinationTest, NotAcceptedIsRejected) {
  std::atomic<bool> picky = true;
  Receiver receiver([&](const Seen&, v1::IngestBatchResponse* response, grpc::ServerContext*, int) {
    response->set_accepted(!picky);
    response->set_message("no such customer");
    return grpc::Status::OK;
  });
  EXPECT_THAT(std::string(Send(receiver.endpoint(), Rows(1).batch()).message()),
              HasSubstr("accepted=false: no such customer"));
  ASSERT_TRUE(Send(receiver.endpoint(), Rows(1).batch(), {{"on_reject", "dead_letter"}}).ok());
  ASSERT_EQ(letters_.kept.size(), 1u);
  picky = false;
  ASSERT_TRUE(destination_->Resend(letters_.kept[0].request).ok());
  const auto seen = receiver.seen();
  EXPECT_EQ(seen.back().request.payload(), seen[0].request.payload());
  EXPECT_EQ(seen.back().metadata.at("idempotency-key"), seen[0].metadata.at("idempotency-key"));
}

TEST_F(GrpcDestinationTest, TriesAgainAndWaitsAsAsked) {
  Receiver receiver([](const Seen&, v1::IngestBatchResponse*, grpc::ServerContext* context, int count) {
    if (count > 0) return grpc::Status::OK;
    context->AddTrailingMetadata("grpc-retry-pushback-ms", "40");
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "busy");
  });
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(Send(receiver.endpoint(), Rows(1).batch(), {{"backoff_max", "1s"}}).ok());
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(39));
  EXPECT_EQ(receiver.seen().size(), 2u);
}

TEST_F(GrpcDestinationTest, NobodyThereIsAnErrorThatPasses) {
  const absl::Status status = Send("127.0.0.1:1", Rows(1).batch());
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST_F(GrpcDestinationTest, WhatIsTooLargeIsCutOrRejected) {
  Receiver receiver;
  TestBatch test;
  for (int i = 0; i < 8; ++i) test.Insert({std::to_string(i), "1.00", std::string(1000, 'x')});
  ASSERT_TRUE(Send(receiver.endpoint(), test.batch(), {{"payload_mode", "wire"}, {"max_message_bytes", "4KiB"}}).ok());
  EXPECT_GT(receiver.seen().size(), 1u);
  const absl::Status status =
      Send(receiver.endpoint(), test.batch(), {{"payload_mode", "wire"}, {"max_message_bytes", "1KiB"}});
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("max_message_bytes is 1024"));
}

TEST_F(GrpcDestinationTest, AFileThatCannotBeReadShowsAtTheFirstCall) {
  const absl::Status status =
      Send("127.0.0.1:1", Rows(1).batch(), {{"insecure", "false"}, {"tls_ca_file", "/nowhere/ca.pem"}});
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/ca.pem"));
}

}  // namespace
}  // namespace wallaby
