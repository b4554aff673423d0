// TestService: a fixture with an HTTP server in this process, which answers as a test wants where the stores that tests
// have do not.
#ifndef WALLABY_DESTINATION_OBJECTS_TEST_SERVICE_H_
#define WALLABY_DESTINATION_OBJECTS_TEST_SERVICE_H_

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "httplib.h"

namespace wallaby {

class TestService : public testing::Test {
 protected:
  using Answer = std::function<void(const httplib::Request&, httplib::Response&)>;

  // `where`: what of a request's URL is remembered; `target` is as it was sent, `path` decoded and without the query.
  explicit TestService(std::string httplib::Request::*where = &httplib::Request::target) {
    const auto handle = [this, where](const httplib::Request& request, httplib::Response& response) {
      requests_.push_back(absl::StrCat(request.method, " ", request.*where));
      answer_(request, response);
    };
    server_.Get(".*", handle).Put(".*", handle).Post(".*", handle).Delete(".*", handle);
    server_.set_keep_alive_timeout(1);
    url_ = absl::StrCat("http://127.0.0.1:", server_.bind_to_any_port("127.0.0.1"));
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) absl::SleepFor(absl::Milliseconds(1));
  }
  ~TestService() override {
    server_.stop();
    thread_.join();
  }

  std::string url_;
  Answer answer_ = [](const httplib::Request&, httplib::Response& response) {
    response.set_content("x", "text/plain");
  };
  std::vector<std::string> requests_;  // "GET /path"

 private:
  httplib::Server server_;
  std::thread thread_;
};

}  // namespace wallaby

#endif  // WALLABY_DESTINATION_OBJECTS_TEST_SERVICE_H_
