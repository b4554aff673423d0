// wallaby-admin slot ... -dsn, against a real PostgreSQL and without a server of ours.
#include <nlohmann/json.hpp>

#include "cli/program_test_base.h"
#include "gmock/gmock.h"
#include "test/support/test_postgres.h"

namespace wallaby {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class SlotCommandsTest : public ProgramTest {
 protected:
  SlotCommandsTest() : dsn_(TestPostgres::Shared(15).CreateDatabase()), sql_(MustConnect(dsn_)) {
    slot_ = "cli_" + MustQuery(*sql_, "SELECT current_database()");
  }
  ~SlotCommandsTest() override {
    MustExecute(*sql_, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '" +
                           slot_ + "' AND NOT active");
  }
  void MakeSlot() { MustExecute(*sql_, "SELECT pg_create_logical_replication_slot('" + slot_ + "', 'pgoutput')"); }

  const std::string dsn_;
  std::unique_ptr<PgConnection> sql_;
  std::string slot_;
};

TEST_F(SlotCommandsTest, ListsShowsAndDrops) {
  MakeSlot();
  const Ran list = Admin({"slot", "list", "-dsn", dsn_});
  EXPECT_EQ(list.status, 0) << list.err;
  EXPECT_THAT(list.out, StartsWith("SLOT "));
  EXPECT_THAT(list.out, HasSubstr(slot_));

  const Ran show = Admin({"slot", "show", "-dsn", dsn_, "-slot", slot_});
  EXPECT_EQ(show.status, 0) << show.err;
  EXPECT_THAT(show.out, StartsWith("slot:         " + slot_ + "\n"));
  EXPECT_THAT(show.out, HasSubstr("\nplugin:       pgoutput\nactive:       no\n"));

  const Ran drop = Admin({"slot", "drop", "-dsn", dsn_, "-slot", slot_});
  EXPECT_EQ(drop.status, 0) << drop.err;
  EXPECT_EQ(drop.out, "Slot " + slot_ + " is dropped.\n");
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + slot_ + "'"), "0");
}

TEST_F(SlotCommandsTest, JsonIsOneDocument) {
  MakeSlot();
  const Ran show = Admin({"slot", "show", "-dsn", dsn_, "-slot", slot_, "-json"});
  const auto one = nlohmann::json::parse(show.out, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(one.is_object()) << show.out << show.err;
  EXPECT_EQ(one.value("name", ""), slot_);
  EXPECT_TRUE(one.value("exists", false));
  EXPECT_FALSE(one.value("active", true));
  EXPECT_EQ(one.value("confirmed_flush_lsn", ""),
            MustQuery(*sql_, "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '" + slot_ + "'"));

  const Ran list = Admin({"slot", "list", "-dsn", dsn_, "-json"});
  const auto all = nlohmann::json::parse(list.out, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(all.is_object()) << list.out;
  EXPECT_TRUE(all["slots"].is_array());

  const Ran drop = Admin({"slot", "drop", "-dsn", dsn_, "-slot", slot_, "-json"});
  EXPECT_EQ(drop.out, "{\"dropped\":true}\n");
}

TEST_F(SlotCommandsTest, AnActiveSlotIsNotDropped) {
  MakeSlot();
  ConnectOptions options;
  options.replication = true;
  auto walsender = PgConnection::Connect(dsn_, options);
  ASSERT_TRUE(walsender.ok()) << walsender.status();
  MustExecute(*sql_, "CREATE PUBLICATION p FOR ALL TABLES");
  // CopyBoth begins; the connection is only held.
  (*walsender)
      ->Query("START_REPLICATION SLOT " + slot_ + " LOGICAL 0/0 (proto_version '1', publication_names 'p')")
      .IgnoreError();
  const std::string pid =
      MustQuery(*sql_, "SELECT active_pid FROM pg_replication_slots WHERE slot_name = '" + slot_ + "'");
  ASSERT_NE(pid, "");
  const Ran show = Admin({"slot", "show", "-dsn", dsn_, "-slot", slot_});
  EXPECT_THAT(show.out, HasSubstr("active:       yes (pid " + pid + ")\n"));
  const Ran drop = Admin({"slot", "drop", "-dsn", dsn_, "-slot", slot_});
  EXPECT_EQ(drop.status, 1);
  EXPECT_THAT(drop.err, HasSubstr(pid));
  EXPECT_EQ(MustQuery(*sql_, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + slot_ + "'"), "1");
}

TEST_F(SlotCommandsTest, ASlotThatIsNotThereIsAFailure) {
  for (const std::string command : {"show", "drop"}) {
    const Ran ran = Admin({"slot", command, "-dsn", dsn_, "-slot", "no_such_slot"});
    EXPECT_EQ(ran.status, 1);
    EXPECT_THAT(ran.err, HasSubstr("no_such_slot"));
    EXPECT_EQ(ran.out, "");
  }
}

}  // namespace
}  // namespace wallaby
