#include "cli/ddl_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace wallaby {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

constexpr int64_t kSeconds = 1769879045;  // 2026-01-31 17:04:05 UTC

v1::DDLEvent AddNote() {
  v1::DDLEvent event;
  event.set_id(3);
  event.set_flow_id("shop");
  event.set_status("pending");
  event.set_table("public.orders");
  event.set_lsn("0/16B3748");
  event.set_gated(true);
  event.set_ddl("\n  ALTER TABLE orders\n    ADD note text;\n");
  event.mutable_created_at()->set_seconds(kSeconds);
  event.set_plan_json(
      R"json({"table":"public.orders",
              "steps":[{"step":"add_column","description":"add column note (text)","column":"note"}],
              "copy":false,
              "destinations":{"copy":["ALTER TABLE \"public\".\"orders\" ADD \"note\" text"],
                              "lake":["-- new files have the column"]}})json");
  return event;
}

v1::DDLEvent Retype() {
  v1::DDLEvent event = AddNote();
  event.set_plan_json(
      R"json({"steps":[{"step":"retype_column","description":"retype column total from text to numeric"}],
              "copy":true, "destinations":{"lake":[]}})json");
  return event;
}

void AddReceipt(const std::string& destination, v1::DDLEvent* event) {
  v1::DDLReceipt* receipt = event->add_receipts();
  receipt->set_destination(destination);
  receipt->mutable_applied_at()->set_seconds(kSeconds + 60);
}

TEST(DdlListTextTest, OneLineAnEvent) {
  v1::ListDDLResponse list;
  *list.add_events() = AddNote();
  v1::DDLEvent* other = list.add_events();
  *other = AddNote();
  other->set_id(12);
  other->set_status("applied");
  other->set_ddl("DROP TABLE a");
  EXPECT_EQ(DdlListText(list, "", ""),
            "ID  FLOW  STATUS   TABLE          LSN        CREATED                  DDL\n"
            " 3  shop  pending  public.orders  0/16B3748  2026-01-31 17:04:05 UTC  ALTER TABLE orders ...\n"
            "12  shop  applied  public.orders  0/16B3748  2026-01-31 17:04:05 UTC  DROP TABLE a\n");
}

TEST(DdlListTextTest, LongCommandsAreCutBetweenCharacters) {
  v1::ListDDLResponse list;
  list.add_events()->set_ddl(std::string(59, 'x') + "\u00e9\u00e9");
  EXPECT_THAT(DdlListText(list, "", ""), EndsWith("x\u00e9 ...\n"));
  list.mutable_events(0)->set_ddl(std::string(59, 'x') + "\u00e9");
  EXPECT_THAT(DdlListText(list, "", ""), EndsWith("x\u00e9\n"));
}

TEST(DdlListTextTest, NoneIsSaid) {
  EXPECT_EQ(DdlListText({}, "", ""), "There are no DDL events.\n");
  EXPECT_EQ(DdlListText({}, "pending", ""), "There are no pending DDL events.\n");
  EXPECT_EQ(DdlListText({}, "failed", "shop"), "There are no failed DDL events of flow shop.\n");
}

TEST(DdlTextTest, ShowsWhatWouldRun) {
  EXPECT_EQ(DdlText(AddNote()),
            "id:               3\n"
            "flow:             shop\n"
            "status:           pending\n"
            "table:            public.orders\n"
            "lsn:              0/16B3748\n"
            "created:          2026-01-31 17:04:05 UTC\n"
            "paused the flow:  yes\n"
            "copies the table: no\n"
            "last error:       -\n"
            "next:             wallaby-admin ddl approve -id 3\n"
            "\n"
            "command:\n"
            "    ALTER TABLE orders\n"
            "      ADD note text;\n"
            "\n"
            "steps:\n"
            "  add column note (text)\n"
            "\n"
            "destination copy:\n"
            "  ALTER TABLE \"public\".\"orders\" ADD \"note\" text\n"
            "\n"
            "destination lake:\n"
            "  -- new files have the column\n");
}

TEST(DdlTextTest, ShowsHowFarItCame) {
  v1::DDLEvent event = AddNote();
  event.set_status("failed");
  event.set_error("destination copy: table public.orders:\nno room");
  AddReceipt("lake", &event);
  AddReceipt("gone since", &event);
  const std::string text = DdlText(event);
  EXPECT_THAT(text, HasSubstr("last error:       destination copy: table public.orders: no room\n"));
  EXPECT_THAT(text, HasSubstr("next:             wallaby-admin ddl apply -id 3\n"));
  EXPECT_THAT(text,
              HasSubstr("destination lake:\n  -- new files have the column\n  applied at 2026-01-31 17:05:05 UTC\n"));
  EXPECT_THAT(text, EndsWith("destination gone since:\n  applied at 2026-01-31 17:05:05 UTC\n"));
  EXPECT_THAT(DdlText(Retype()), HasSubstr("copies the table: yes, again, when the flow goes on\n"));
}

TEST(DdlTextTest, APlanOfANewerServerDoesNoHarm) {
  v1::DDLEvent event = AddNote();
  for (const char* plan : {"", "nonsense", "[]", "{\"steps\":{},\"destinations\":[1],\"copy\":\"x\"}",
                           "{\"steps\":[1],\"destinations\":{\"lake\":3}}"}) {
    event.set_plan_json(plan);
    EXPECT_THAT(DdlText(event), HasSubstr("command:\n")) << plan;
    EXPECT_EQ(DdlNext(event), "wallaby-admin ddl approve -id 3");
  }
}

TEST(DdlTextTest, CommandsDoNotSteerTheTerminal) {
  v1::DDLEvent event = AddNote();
  event.set_ddl("ALTER\x1b[2J TABLE");
  EXPECT_THAT(DdlText(event), HasSubstr("  ALTER [2J TABLE\n"));
}

TEST(DdlOutcomeTest, SaysWhatHappened) {
  v1::DDLEvent event = AddNote();
  event.set_status("approved");
  EXPECT_EQ(DdlOutcome(event), "event 3 approved");
  EXPECT_EQ(DdlNext(event), "wallaby-admin ddl apply -id 3");
  event.set_status("applied");
  EXPECT_EQ(DdlOutcome(event), "event 3 applied");  // by hand
  AddReceipt("lake", &event);
  AddReceipt("copy", &event);
  EXPECT_EQ(DdlOutcome(event), "event 3 applied at lake, copy");
  EXPECT_EQ(DdlNext(event), "");
  event.set_status("rejected");
  EXPECT_EQ(DdlOutcome(event), "event 3 rejected: note stays out of the destinations");
  EXPECT_EQ(DdlNext(event), "");
}

TEST(DdlOutcomeTest, OtherChangesThanAddedColumnsHoldTheFlow) {
  v1::DDLEvent event = Retype();
  event.set_status("rejected");
  EXPECT_EQ(DdlOutcome(event), "event 3 rejected, and flow shop is held: what follows cannot be delivered without it");
  EXPECT_EQ(DdlNext(event), "wallaby-admin ddl approve -id 3");
  event.set_status("applied");
  AddReceipt("lake", &event);
  EXPECT_EQ(DdlOutcome(event), "event 3 applied at lake; public.orders is copied again when the flow goes on");
}

TEST(WithPlansTest, PlansAreObjects) {
  EXPECT_EQ(WithPlans(R"({"id":"3","plan_json":"{\"copy\":true,\"steps\":[]}","error":""})", false),
            "{\"id\":\"3\",\"plan\":{\"copy\":true,\"steps\":[]},\"error\":\"\"}\n");
  EXPECT_EQ(WithPlans(R"({"events":[{"plan_json":"{}"},{"plan_json":"broken"}]})", false),
            "{\"events\":[{\"plan\":{}},{\"plan\":\"broken\"}]}\n");
  EXPECT_EQ(WithPlans("{\"events\":[]}\n", false), "{\"events\":[]}\n");
  EXPECT_EQ(WithPlans("{\"events\":[]}", true), "{\n \"events\": []\n}\n");
}

}  // namespace
}  // namespace wallaby
