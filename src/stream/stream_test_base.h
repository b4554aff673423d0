// For the tests of this folder: a stream in a database of its own, written as the pgstream destination does.
#ifndef WALLABY_STREAM_STREAM_TEST_BASE_H_
#define WALLABY_STREAM_STREAM_TEST_BASE_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "stream/consumer_group.h"
#include "test/support/test_postgres.h"

namespace wallaby {

struct Got {
  int64_t id = 0;
  int deliveries = 0;

  friend bool operator==(const Got&, const Got&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Got& got) { return out << got.id << "/" << got.deliveries; }
};

class StreamTest : public testing::Test {
 protected:
  StreamTest() {
    const char* major = std::getenv("WALLABY_TEST_MAJOR");
    dsn_ = TestPostgres::Shared(major ? std::atoi(major) : 15).CreateDatabase();
    sql_ = MustConnect(dsn_);
    MustExecute(*sql_, tables_.EnsureSql());
    MustExecute(*sql_, absl::StrCat("INSERT INTO ", tables_.streams(),
                                    " (name, flow_id, destination, generation) VALUES ('s', 'f', 'd', 1)"));
    MustExecute(*sql_, tables_.EnsureMessagesSql(kId));
  }

  void BeginSegment() {
    segment_ = last_ + 1;
    MustExecute(*sql_, tables_.MakeSegmentSql(kId, segment_));
    MustExecute(*sql_, absl::StrCat("INSERT INTO ", tables_.segments(), " VALUES (", kId, ", ", segment_, ", ", last_,
                                    ", 0, 'json', '0/0', now(), now())"));
  }
  // Messages of `size` bytes whose LSN is their id.
  void AppendMessages(int64_t count, int size = 10) { AppendMessages(*sql_, count, size); }
  void AppendMessages(PgConnection& sql, int64_t count, int size) {
    if (segment_ == 0) BeginSegment();
    const int64_t last = last_ + count;
    MustExecute(sql, absl::StrCat("BEGIN; INSERT INTO ", tables_.segment(kId, segment_),
                                  " SELECT n, ('0/' || to_hex(n))::pg_lsn, 0, now(), now(), 'insert', 'public', 't', "
                                  "convert_to(n::text, 'UTF8'), convert_to(repeat('x', ",
                                  size, "), 'UTF8') FROM generate_series(", last_ + 1, ", ", last, ") n; UPDATE ",
                                  tables_.segments(), " SET last_id = ", last, ", bytes = bytes + ", count * size,
                                  ", max_lsn = ('0/' || to_hex(", last, "))::pg_lsn, last_at = now() WHERE first_id = ",
                                  segment_, "; UPDATE ", tables_.streams(), " SET last_id = ", last, "; ",
                                  NotifySql(tables_, kId, last), "; COMMIT"));
    last_ = last;
  }
  ConsumerGroup Group(const std::string& name) { return ConsumerGroup(*sql_, tables_, kId, name); }
  // What a pull gives; fails the test on an error.
  std::vector<Got> Pull(const std::string& group, PullOptions options = {}, PullResult* result = nullptr) {
    std::vector<Got> got;
    const auto pulled = Group(group).Pull(options, [&](const MessageRow& row) {
      got.push_back({row.id, row.deliveries});
      return absl::OkStatus();
    });
    EXPECT_TRUE(pulled.ok()) << pulled.status();
    if (!pulled.ok()) return got;
    EXPECT_EQ(pulled->messages, static_cast<int64_t>(got.size()));
    if (result != nullptr) *result = *pulled;
    return got;
  }
  // So many seconds pass for all claims.
  void Pass(int64_t seconds) {
    MustExecute(*sql_, absl::StrCat("UPDATE ", tables_.claims(), " SET visible_at = visible_at - interval '", seconds,
                                    " seconds'"));
  }

  static constexpr int64_t kId = 1;
  const StreamTables tables_{"wallaby"};
  std::string dsn_;
  std::unique_ptr<PgConnection> sql_;
  int64_t last_ = 0;
  int64_t segment_ = 0;
};

inline std::vector<Got> Ids(int64_t first, int64_t last, int deliveries = 1) {
  std::vector<Got> all;
  for (int64_t id = first; id <= last; ++id) all.push_back({id, deliveries});
  return all;
}

}  // namespace wallaby

#endif  // WALLABY_STREAM_STREAM_TEST_BASE_H_
