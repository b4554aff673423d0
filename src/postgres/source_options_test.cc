#include "postgres/source_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wallaby {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::map<std::string, std::string> With(std::map<std::string, std::string> more) {
  more.insert({{"dsn", "postgres://u:hunter2@h/d"}, {"slot", "shop"}, {"publication", "shop"}});
  return more;
}

std::string Refusal(const std::map<std::string, std::string>& options,
                    absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const absl::Status status = ParseSourceOptions("src", options).status();
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hunter")));
  return std::string(status.message());
}

TEST(SourceOptionsTest, Defaults) {
  const auto options = ParseSourceOptions("src", With({}));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->create_slot);
  EXPECT_TRUE(options->ensure_publication);
  EXPECT_FALSE(options->sync_publication);
  EXPECT_EQ(options->batch_size, 50000);
  EXPECT_EQ(options->status_interval, absl::Seconds(10));
  EXPECT_EQ(options->state_schema, "wallaby");
  EXPECT_EQ(options->toast_fetch, ToastFetch::kOff);
}

TEST(SourceOptionsTest, ReadsValues) {
  const auto options = ParseSourceOptions("src", With({{"publication_tables", "orders, shop.lines,orders"},
                                                       {"sync_publication", "true"},
                                                       {"sync_publication_mode", "sync"},
                                                       {"batch_timeout", "1s"},
                                                       {"toast_fetch", "cache"},
                                                       {"toast_cache_size", "1MiB"},
                                                       {"snapshot", "never"},
                                                       {"capture_ddl", "false"},
                                                       {"snapshot_workers", "4"}}));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_THAT(options->publication_tables, ElementsAre("public.orders", "shop.lines"));
  EXPECT_EQ(options->sync_publication_mode, PublicationMode::kSync);
  EXPECT_EQ(options->batch_timeout, absl::Seconds(1));
  EXPECT_EQ(options->toast_fetch, ToastFetch::kCache);
  EXPECT_EQ(options->toast_cache_size, 1 << 20);
  EXPECT_EQ(options->snapshot, SnapshotMode::kNever);
  EXPECT_EQ(options->snapshot_workers, 4);
  EXPECT_EQ(options->capture_ddl, false);
}

TEST(SourceOptionsTest, RefusesWithNameAndWhatIsAllowed) {
  EXPECT_THAT(Refusal({{"slot", "a"}, {"publication", "p"}}), HasSubstr("option dsn of source 'src': is missing"));
  EXPECT_THAT(Refusal({{"dsn", "x"}, {"publication", "p"}, {"slot", "My-Slot"}}),
              HasSubstr("option slot of source 'src': got 'My-Slot'; allowed: 1 to 63 lower case letters"));
  EXPECT_THAT(Refusal(With({{"slott", "x"}})), HasSubstr("option slott of source 'src': no such option"));
  EXPECT_THAT(Refusal(With({{"toast_fetch", "on"}})), HasSubstr("allowed: off, source, full or cache"));
  EXPECT_THAT(Refusal(With({{"batch_size", "0"}})), HasSubstr("batch_size"));
  EXPECT_THAT(Refusal(With({{"status_interval", "10"}})), HasSubstr("status_interval"));
  EXPECT_THAT(Refusal(With({{"publication_tables", "a,,b"}})), HasSubstr("publication_tables"));
  EXPECT_THAT(Refusal(With({{"format", "xml"}})), HasSubstr("format"));
  EXPECT_THAT(Refusal(With({{"sync_publication", "true"}})), HasSubstr("publication_schemas"));
}

TEST(SourceOptionsTest, RefusesWhatIsNotThere) {
  EXPECT_THAT(Refusal(With({{"aws_rds_iam", "true"}}), absl::StatusCode::kUnimplemented), HasSubstr("aws_rds_iam"));
  EXPECT_THAT(Refusal(With({{"aws_region", "eu"}}), absl::StatusCode::kUnimplemented), HasSubstr("aws_region"));
}

TEST(SourceOptionsTest, EveryOptionOfTheContractIsKnown) {
  for (const std::string_view name : {"dsn", "slot", "resolve_types", "ddl_message_prefix", "aws_role_external_id"}) {
    bool known = false;
    for (const SourceOptionSpec& spec : SourceOptionSpecs()) known = known || spec.name == name;
    EXPECT_TRUE(known) << name;
  }
}

}  // namespace
}  // namespace wallaby
