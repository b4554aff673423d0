// TestReceiver: an HTTP server that remembers what it was sent and answers as a test wants.
#ifndef WALLABY_DESTINATION_HTTP_TEST_RECEIVER_H_
#define WALLABY_DESTINATION_HTTP_TEST_RECEIVER_H_

#include <gtest/gtest.h>

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "httplib.h"

namespace wallaby {

class TestReceiver {
 public:
  // Runs on a server's thread, for the `count`th request, from 0. An answer without a status is 200.
  using Answer = std::function<void(const httplib::Request&, httplib::Response&, int count)>;

  explicit TestReceiver(Answer answer = nullptr) : answer_(std::move(answer)) {
    const auto handle = [this](const httplib::Request& request, httplib::Response& response) {
      int count = 0;
      {
        std::lock_guard lock(mutex_);
        count = static_cast<int>(requests_.size());
        requests_.push_back(request);
      }
      response.status = 200;
      if (answer_) answer_(request, response, count);
    };
    server_.Post(".*", handle).Put(".*", handle).Patch(".*", handle);
    server_.new_task_queue = [] { return new httplib::ThreadPool(16); };
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~TestReceiver() {
    server_.stop();
    thread_.join();
  }

  std::string url(std::string_view path = "/") const { return absl::StrCat("http://127.0.0.1:", port_, path); }
  std::vector<httplib::Request> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  const Answer answer_;
  std::mutex mutex_;
  std::vector<httplib::Request> requests_;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_HTTP_TEST_RECEIVER_H_
