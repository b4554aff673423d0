// Files in a bucket, against a real server of each kind.
#include <algorithm>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "destination/files/bucket_store.h"
#include "destination/files/bucket_test_kit.h"
#include "destination/files/files_destination.h"
#include "destination/files/files_test_kit.h"
#include "destination/files/folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"

namespace wallaby {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::SizeIs;
using testing::StartsWith;

std::string Said(const absl::Status& status) {
  return std::string(status.message());
}

class BucketTest : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Destination> Opened(std::map<std::string, std::string> others = {}, int64_t generation = 1) {
    auto destination = place_.Make(std::move(others), generation);
    const auto progress = destination->Open();
    EXPECT_TRUE(progress.ok()) << progress.status();
    return destination;
  }
  std::vector<std::string> NamedPaths() {
    std::vector<std::string> paths;
    for (const StoredFile& file : place_.Named()) paths.push_back(file.path);
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  void Insert(Destination& destination, uint64_t commit) {
    BatchMaker maker;
    maker.Begin(commit).Insert({absl::StrCat(commit), std::nullopt, "x"});
    ASSERT_TRUE(destination.Write(maker.batch()).ok());
    const absl::Status status = destination.Commit(Point(commit));
    ASSERT_TRUE(status.ok()) << status;
  }

  TestPlace place_{GetParam()};
};

TEST_P(BucketTest, ChangesBecomeRowsOfNamedObjects) {
  auto destination = Opened({{"partition_by", "placed:day"}});
  BatchMaker maker;
  maker.Begin(10)
      .Insert({"1", "2024-05-01 10:00:00", "first"})
      .Insert({"2", "2024-05-02 10:00:00", "second"})
      .Update({"1", "2024-05-01 10:00:00", kAbsent});
  ASSERT_TRUE(destination->Write(maker.batch()).ok());
  EXPECT_THAT(place_.NamedRows(), IsEmpty());
  ASSERT_TRUE(destination->Commit(Point(10)).ok());
  EXPECT_THAT(place_.NamedRows(),
              ElementsAre("c|10|0|1|2024-05-01 10:00:00.000000|first|~", "c|10|1|2|2024-05-02 10:00:00.000000|second|~",
                          "u|10|2|1|2024-05-01 10:00:00.000000|~|note"));
  EXPECT_THAT(
      NamedPaths(),
      ElementsAre(
          MatchesRegex("shop/orders/placed_day=2024-05-01/000000000000000A-000000-[0-9a-f]{12}-000001.parquet"),
          MatchesRegex("shop/orders/placed_day=2024-05-02/000000000000000A-000001-[0-9a-f]{12}-000001.parquet")));
  EXPECT_THAT(place_.DataObjects(), ElementsAreArray(NamedPaths()));
  const BucketManifest manifest = place_.ReadManifest();
  EXPECT_EQ(manifest.state.progress.commit, Lsn{10});
  EXPECT_EQ(manifest.files[0].table, "shop/orders");
  EXPECT_EQ(manifest.files[0].first, Lsn{10});
}

TEST_P(BucketTest, ProgressIsRememberedAndWhatACrashLeftIsRemoved) {
  {
    auto destination = Opened();
    Insert(*destination, 10);
    // Objects of a commit whose manifest was never written.
    SetFilesProbe([](std::string_view step) {
      return step.find("PUT") != step.npos && step.find("manifest") != step.npos ? absl::UnavailableError("lost")
                                                                                 : absl::OkStatus();
    });
    BatchMaker lost;
    lost.Begin(20).Insert({"2", std::nullopt, "lost"});
    ASSERT_TRUE(destination->Write(lost.batch()).ok());
    EXPECT_FALSE(destination->Commit(Point(20)).ok());
    SetFilesProbe(nullptr);
  }
  EXPECT_THAT(place_.DataObjects(), SizeIs(2));
  auto destination = place_.Make();
  const auto progress = destination->Open();
  ASSERT_TRUE(progress.ok()) << progress.status();
  EXPECT_EQ(progress->commit, Lsn{10});
  EXPECT_THAT(place_.DataObjects(), SizeIs(1));
  EXPECT_THAT(place_.OwnObjects(), ElementsAre("_wallaby/flow-lake/manifest.json"));
  EXPECT_THAT(place_.NamedRows(), ElementsAre("c|10|0|10|~|x|~"));
}

TEST_P(BucketTest, WhoeverComesLaterFencesWhoeverWasThere) {
  auto first = Opened({}, 3);
  Insert(*first, 10);
  auto second = Opened({}, 4);
  BatchMaker late;
  late.Begin(20).Insert({"2", std::nullopt, "late"});
  ASSERT_TRUE(first->Write(late.batch()).ok());
  const absl::Status fenced = first->Commit(Point(20));
  EXPECT_TRUE(absl::IsFailedPrecondition(fenced));
  EXPECT_THAT(Said(fenced), StartsWith("fenced"));
  Insert(*second, 30);
  EXPECT_THAT(place_.NamedRows(), ElementsAre("c|10|0|10|~|x|~", "c|30|0|30|~|x|~"));
  const auto older = place_.Make({}, 3)->Open();
  EXPECT_TRUE(absl::IsFailedPrecondition(older.status()));
  EXPECT_THAT(Said(older.status()), StartsWith("fenced: a worker of generation 4"));
  // What the first one left goes when the next one opens.
  EXPECT_THAT(place_.DataObjects(), SizeIs(3));
  Opened({}, 5);
  EXPECT_THAT(place_.DataObjects(), SizeIs(2));
}

TEST_P(BucketTest, AManifestThatIsGoneFences) {
  auto destination = Opened();
  Insert(*destination, 10);
  ASSERT_TRUE(place_.objects().Delete(place_.Key("_wallaby/flow-lake/manifest.json")).ok());
  BatchMaker maker;
  maker.Begin(20).Insert({"2", std::nullopt, "x"});
  ASSERT_TRUE(destination->Write(maker.batch()).ok());
  const absl::Status status = destination->Commit(Point(20));
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(Said(status), StartsWith("fenced: the manifest " + place_.Url()));
}

TEST_P(BucketTest, ALostAnswerIsLookedUp) {
  auto destination = Opened();
  // The server has done it; the answer does not arrive.
  static int lost;
  lost = 0;
  Insert(*destination, 10);
  SetFilesProbe([](std::string_view step) {
    const bool hit = step.starts_with("answered PUT") && step.ends_with("manifest.json") && lost++ == 0;
    return hit ? absl::UnavailableError("the answer is lost") : absl::OkStatus();
  });
  Insert(*destination, 20);
  SetFilesProbe(nullptr);
  EXPECT_EQ(lost, 1);
  Insert(*destination, 30);
  EXPECT_THAT(place_.NamedRows(), ElementsAre("c|10|0|10|~|x|~", "c|20|0|20|~|x|~", "c|30|0|30|~|x|~"));
}

TEST_P(BucketTest, SnapshotPartsArePublishedWholeAndCanStartOver) {
  auto destination = Opened();
  BatchMaker one, two, streamed;
  one.Part("shop.orders/1").Begin(5).Read({"1", std::nullopt, "a"});
  two.Part("shop.orders/2").Begin(5).Read({"2", std::nullopt, "b"});
  streamed.Begin(7).Insert({"3", std::nullopt, "c"});
  ASSERT_TRUE(destination->Write(one.batch()).ok());
  ASSERT_TRUE(destination->Write(two.batch()).ok());
  ASSERT_TRUE(destination->Commit(Point(0, {"shop.orders/2"})).ok());
  EXPECT_THAT(place_.NamedRows(), ElementsAre("r|5|0|2|~|b|~"));
  ASSERT_TRUE(destination->Write(streamed.batch()).ok());
  ASSERT_TRUE(destination->Commit(Point(7, {"shop.orders/1"})).ok());
  EXPECT_THAT(place_.NamedRows(), ElementsAre("r|5|0|1|~|a|~", "r|5|0|2|~|b|~", "c|7|0|3|~|c|~"));
  EXPECT_THAT(NamedPaths()[0], HasSubstr("-r.parquet"));
  ASSERT_TRUE(destination->ResetSnapshot(*Orders(), "shop.orders/").ok());
  EXPECT_THAT(place_.NamedRows(), ElementsAre("c|7|0|3|~|c|~"));
  EXPECT_THAT(place_.DataObjects(), SizeIs(1));
  const auto progress = place_.Make()->Open();
  ASSERT_TRUE(progress.ok());
  EXPECT_THAT(progress->snapshot_parts, IsEmpty());
  EXPECT_EQ(progress->commit, Lsn{7});
}

TEST_P(BucketTest, LargeObjectsGoUpInPartsAndRoll) {
  DestinationConfig config = place_.Config({{"roll_bytes", "24MiB"}, {"compression", "none"}});
  config.memory_limit = 40 << 20;
  auto destination = *FilesDestination::Make(GetParam(), config);
  ASSERT_TRUE(destination->Open().ok());
  static std::map<std::string, int> puts;  // of each object
  puts.clear();
  SetFilesProbe([](std::string_view step) {
    if (step.starts_with("sent PUT ")) ++puts[std::string(step)];
    return absl::OkStatus();
  });
  uint32_t random = 1;
  for (int part = 0; part < 40; ++part) {
    BatchMaker maker;
    maker.Begin(10);
    for (int i = 0; i < 1000; ++i) {
      std::string note(1000, 'a');
      for (char& c : note) c = static_cast<char>('a' + ((random = random * 1664525 + 1013904223) >> 24) % 26);
      maker.Insert({absl::StrCat(i), std::nullopt, note});
    }
    ASSERT_TRUE(destination->Write(maker.batch()).ok());
  }
  ASSERT_TRUE(destination->Commit(Point(10)).ok());
  SetFilesProbe(nullptr);
  EXPECT_GE(std::max_element(puts.begin(), puts.end(), [](auto& a, auto& b) { return a.second < b.second; })->second,
            3);
  EXPECT_THAT(place_.NamedRows(), SizeIs(40'000));
  EXPECT_GE(place_.Named().size(), 2u);
  EXPECT_THAT(*place_.objects().ListUploads(place_.Key("")), IsEmpty());
}

TEST_P(BucketTest, ALargeObjectThatFailsHalfWayIsNotSeen) {
  const std::string content(2 * ObjectStore::kPart + 1000, 'x');
  for (int fails = 0;; ++fails) {
    TestPlace place(GetParam());
    const DestinationConfig config = place.Config();
    BucketStore store(config, *ParseFilesOptions(GetParam(), config));
    ASSERT_TRUE(store.Open(1).ok());
    auto output = store.Create({.folder = "shop/orders", .number = 1, .first = Lsn{1}, .extension = "parquet"});
    ASSERT_TRUE(output.ok());
    ASSERT_TRUE(store.Announce({(*output)->path()}).ok());
    static int left;
    left = fails;
    SetFilesProbe([](std::string_view) {
      return left-- == 0 ? absl::UnavailableError("this step fails in the test") : absl::OkStatus();
    });
    absl::Status status = (*output)->Write(content);
    if (status.ok()) status = (*output)->Finish(Lsn{1});
    SetFilesProbe(nullptr);
    if (status.ok()) {
      EXPECT_GE(fails, 6);  // three parts, before and after each
      EXPECT_EQ(place.objects().Get(place.Key((*output)->path()))->content, content);
      return;
    }
    ASSERT_TRUE(BucketStore(config, *ParseFilesOptions(GetParam(), config)).Open(2).ok());
    EXPECT_THAT(place.DataObjects(), IsEmpty());
    EXPECT_THAT(*place.objects().ListUploads(place.Key("")), IsEmpty());
  }
}

// The only store where uploads stay until they are called off.
class S3BucketTest : public BucketTest {};

TEST_P(S3BucketTest, UploadsOfACrashAreCalledOff) {
  const std::string theirs = place_.Key("shop/orders/000000000000000A-000000-ffffffffffff-000000.parquet");
  ASSERT_TRUE(place_.objects().BeginUpload(theirs, "text/plain").ok());
  auto destination = Opened({{"compression", "none"}});
  BatchMaker large;
  large.Begin(10);
  for (int i = 0; i < 20'000; ++i) {
    large.Insert({absl::StrCat(i), std::nullopt, absl::StrCat(std::string(2000, 'x'), i)});
  }
  ASSERT_TRUE(destination->Write(large.batch()).ok());
  destination.reset();
  EXPECT_THAT(*place_.objects().ListUploads(place_.Key("")), SizeIs(2));
  Opened();
  // The one that is not ours stays.
  EXPECT_THAT(*place_.objects().ListUploads(place_.Key("")), SizeIs(1));
}

TEST_P(BucketTest, ManyPartitionsKeepToTheMemoryLimit) {
  DestinationConfig config = place_.Config({{"partition_by", "id"}});
  config.memory_limit = 1 << 20;
  auto destination = *FilesDestination::Make(GetParam(), config);
  ASSERT_TRUE(destination->Open().ok());
  std::vector<std::string> expected;
  for (int round = 0; round < 2; ++round) {
    BatchMaker maker;
    maker.Begin(static_cast<uint64_t>(10 + round));
    for (int i = 0; i < 100; ++i) {
      maker.Insert({absl::StrCat(i), std::nullopt, "x"});
      expected.push_back(absl::StrCat("c|", 10 + round, "|", i, "|", i, "|~|x|~"));
    }
    ASSERT_TRUE(destination->Write(maker.batch()).ok());
  }
  ASSERT_TRUE(destination->Commit(Point(11)).ok());
  EXPECT_THAT(place_.NamedRows(), ElementsAreArray(expected));
}

// ---- the manifest ----

TEST_P(BucketTest, FilesGoToListsAndListsAreMerged) {
  const DestinationConfig config = place_.Config();
  BucketStore store(config, *ParseFilesOptions(GetParam(), config), {.files = 3, .lists = 2});
  auto state = store.Open(1);
  ASSERT_TRUE(state.ok()) << state.status();
  std::vector<std::string> expected;
  for (uint64_t i = 1; i <= 40; ++i) {
    auto output = store.Create({.folder = i % 2 == 0 ? "shop/orders" : "shop/items",
                                .number = i,
                                .first = Lsn{i},
                                .snapshot = i <= 20,
                                .extension = "parquet"});
    ASSERT_TRUE(output.ok());
    ASSERT_TRUE(store.Announce({(*output)->path()}).ok());
    ASSERT_TRUE((*output)->Write("content").ok());
    ASSERT_TRUE((*output)->Finish(Lsn{i}).ok());
    state->progress.commit = Lsn{i};
    expected.push_back((*output)->path());
    const absl::Status status = store.Commit(*state, {{.path = (*output)->path(),
                                                       .table = i % 2 == 0 ? "shop/orders" : "shop/items",
                                                       .format = "parquet",
                                                       .rows = 1,
                                                       .bytes = 7,
                                                       .first = Lsn{i},
                                                       .last = Lsn{i},
                                                       .snapshot = i <= 20}});
    ASSERT_TRUE(status.ok()) << status;
    const BucketManifest manifest = place_.ReadManifest();
    EXPECT_LE(manifest.files.size(), 3u);
    EXPECT_LE(manifest.replaced.size(), 2u);
    EXPECT_THAT(manifest.removed, SizeIs(testing::Le(2u)));
    std::vector<std::string> paths;
    for (const StoredFile& file : place_.Named()) paths.push_back(file.path);
    ASSERT_EQ(paths, expected) << "after commit " << i;
  }
  // Lists that were merged stay for a while, and no longer: 39 files in 6 merged lists and one, 2 replaced.
  EXPECT_THAT(place_.OwnObjects(), SizeIs(testing::Le(6u + 1 + 2 + 2)));

  // A word of an earlier commit that arrives late deletes nothing.
  ASSERT_TRUE(place_.objects()
                  .Put(place_.Key("_wallaby/flow-lake/writing-000001"),
                       absl::StrCat("3\n", expected[1], "\n", expected[30]), "text/plain")
                  .ok());
  state = store.Open(1);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(place_.DataObjects(), SizeIs(expected.size()));

  ASSERT_TRUE(store.RemoveSnapshot(*state, "shop/orders").ok());
  std::erase_if(expected, [](const std::string& path) {
    return path.find("-r.") != path.npos && path.starts_with("shop/orders");
  });
  std::vector<std::string> paths;
  for (const StoredFile& file : place_.Named()) paths.push_back(file.path);
  EXPECT_EQ(paths, expected);
  EXPECT_THAT(place_.DataObjects(), SizeIs(expected.size()));
  ASSERT_TRUE(BucketStore(config, *ParseFilesOptions(GetParam(), config)).Open(2).ok());
  EXPECT_THAT(place_.DataObjects(), SizeIs(expected.size()));
}

TEST(BucketManifestTest, RoundTripAndRefusals) {
  BucketManifest manifest;
  manifest.state = {
      .id = "abc", .next_file = 7, .progress = {.commit = Lsn{10}, .end = Lsn{11}, .snapshot_parts = {"p"}}};
  manifest.generation = 3;
  manifest.epoch = 4;
  manifest.version = 5;
  manifest.files = {{.path = "a/b c.parquet",
                     .table = "a",
                     .format = "parquet",
                     .rows = 1,
                     .bytes = 2,
                     .first = Lsn{3},
                     .last = Lsn{4},
                     .snapshot = true}};
  manifest.lists = {{.path = "l", .files = 9, .merged = true}};
  manifest.removed = {"r"};
  manifest.replaced = {"p"};
  const auto again = BucketManifest::FromJson(manifest.ToJson());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->ToJson(), manifest.ToJson());
  EXPECT_EQ(BucketManifest::FromJson("{").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(BucketManifest::FromJson("{\"format\":1}").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(absl::IsFailedPrecondition(BucketManifest::FromJson("{\"format\":2}").status()));
  EXPECT_FALSE(ParseFileLine("{}").ok());
}

TEST_P(BucketTest, ABrokenManifestIsNotOverwritten) {
  Opened().reset();
  ASSERT_TRUE(place_.objects().Put(place_.Key("_wallaby/flow-lake/manifest.json"), "{", "application/json").ok());
  const auto progress = place_.Make()->Open();
  EXPECT_EQ(progress.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Said(progress.status()), HasSubstr("manifest.json"));
}

// ---- options and errors ----

TEST_P(BucketTest, OptionsAreCheckedInWords) {
  const auto refusal = [&](std::map<std::string, std::string> options) {
    return FilesDestination::Make(GetParam(), place_.Config(std::move(options))).status().ToString();
  };
  EXPECT_THAT(refusal({{"format", "proto"}}), HasSubstr("parquet, arrow, avro or json"));
  EXPECT_THAT(refusal({{"format", "json"}, {"compression", "snappy"}}), HasSubstr("none, gzip or zstd"));
  EXPECT_THAT(refusal({{"format", "avro"}, {"compression", "gzip"}}), HasSubstr("none for format avro"));
  EXPECT_THAT(refusal({{"prefix", "/a"}}), HasSubstr("prefix"));
  EXPECT_THAT(refusal({{"write_mode", "target"}}), HasSubstr("holds the history"));
  EXPECT_THAT(refusal({{"path", "/x"}}), HasSubstr("path"));
  EXPECT_THAT(refusal({{"roll_bytes", "17GiB"}}), HasSubstr("up to 16GiB in a bucket"));
  EXPECT_THAT(refusal({{"tls_ca_file", "/none"}}), HasSubstr("tls_ca_file"));
  EXPECT_THAT(refusal({{"schema_registry", "local"}}), HasSubstr("schema_registry"));
}

TEST_P(S3BucketTest, ItsOwnOptionsAreCheckedInWords) {
  const auto refusal = [&](std::map<std::string, std::string> options) {
    options.emplace("bucket", "b");
    return FilesDestination::Make("s3", {.flow_id = "f", .name = "lake", .options = options}).status().ToString();
  };
  EXPECT_THAT(refusal({{"access_key", "a"}}), HasSubstr("secret_key"));
  EXPECT_THAT(refusal({{"path", "/x"}}), HasSubstr("give one of them"));
  EXPECT_THAT(refusal({{"endpoint", "http://h"}, {"use_fips", "true"}}), HasSubstr("use_fips"));
}

// Google's emulator makes buckets that are missing and asks for no credentials: gcs/gcs_client_test.cc has its answers.
class LockedBucketTest : public BucketTest {};

TEST_P(LockedBucketTest, AMissingBucketAndWrongKeysAreSaid) {
  struct Wrong {
    const char *bucket, *key, *value;
  };
  const std::map<std::string, Wrong> wrongs = {{"s3", {"bucket", "secret_key", "wrong"}},
                                               {"azure", {"container", "account_key", "d3Jvbmc="}}};
  const Wrong& wrong = wrongs.at(GetParam());
  const auto none = place_.Make({{wrong.bucket, "nobody-made-this"}})->Open();
  EXPECT_THAT(none.status().ToString(), HasSubstr(absl::StrCat(wrong.bucket, " nobody-made-this")));
  EXPECT_TRUE(absl::IsFailedPrecondition(none.status())) << none.status();
  const auto key = place_.Make({{wrong.key, wrong.value}})->Open();
  EXPECT_THAT(key.status().ToString(), HasSubstr(wrong.key));
  EXPECT_TRUE(absl::IsUnauthenticated(key.status())) << key.status();
}

std::string TypeOf(const testing::TestParamInfo<const char*>& type) {
  return type.param;
}
INSTANTIATE_TEST_SUITE_P(Stores, BucketTest, testing::ValuesIn(kBucketTypes), TypeOf);
INSTANTIATE_TEST_SUITE_P(Stores, LockedBucketTest, testing::Values("s3", "azure"), TypeOf);
INSTANTIATE_TEST_SUITE_P(Stores, S3BucketTest, testing::Values("s3"), TypeOf);

// As some servers are: everything works, but that a condition counts for nothing.
TEST(BucketServerTest, OneThatIgnoresConditionsIsRefused) {
  httplib::Server server;
  std::map<std::string, std::string> objects;
  server.Put(".*", [&](const httplib::Request& request, httplib::Response& response) {
    objects[request.path] = request.body;
    response.set_header("ETag", "\"e\"");
  });
  server.Get(".*", [&](const httplib::Request& request, httplib::Response& response) {
    const auto found = objects.find(request.path);
    if (found == objects.end()) {
      response.status = 404;
      return response.set_content("<Error><Code>NoSuchKey</Code></Error>", "application/xml");
    }
    response.set_content(found->second, "text/plain");
  });
  server.set_keep_alive_timeout(1);
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  auto made = FilesDestination::Make("s3", {.flow_id = "f",
                                            .name = "lake",
                                            .options = {{"bucket", "b"},
                                                        {"endpoint", absl::StrCat("http://127.0.0.1:", port)},
                                                        {"access_key", "a"},
                                                        {"secret_key", "b"}}});
  ASSERT_TRUE(made.ok()) << made.status();
  const absl::Status status = (*made)->Open().status();
  server.stop();
  thread.join();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(Said(status), HasSubstr("does not carry out conditional writes"));
}

}  // namespace
}  // namespace wallaby
