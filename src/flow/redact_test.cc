#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "flow/flow.h"

namespace wallaby {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Case {
  std::string dsn;
  std::string shown;
};

TEST(RedactDsn, Table) {
  const Case kCases[] = {
      // URIs
      {"postgres://u:pw@h:5432/db", "postgres://u:******@h:5432/db"},
      {"postgresql://u:pw@h/db?sslmode=require", "postgresql://u:******@h/db?sslmode=require"},
      {"postgres://u:p%40w%2Fx@h/db", "postgres://u:******@h/db"},
      {"postgres://u:p@w@h/db", "postgres://u:******@h/db"},
      {"postgres://u:p:w@h/db", "postgres://u:******@h/db"},
      {"postgres://u:p/w@h/db", "postgres://u:******@h/db"},
      {"postgres://u:p?w@h/db", "postgres://u:******@h/db"},
      {"postgres://u:1?w@h/db", "postgres://u:******@h/db"},
      {"postgres://u:12/w@h/db", "postgres://u:******@h/db"},
      {"postgres://u:p/w@x?y@h/db", "postgres://u:******@h/db"},
      {"postgres://u:pw@[::1]:5432,h2:5433/db", "postgres://u:******@[::1]:5432,h2:5433/db"},
      {"postgres://:pw@h/db", "postgres://:******@h/db"},
      {"postgres://u:@h/db", "postgres://u:@h/db"},
      {"postgres://u@h/db", "postgres://u@h/db"},
      {"postgres:///db?host=/tmp&password=pw&user=u", "postgres:///db?host=/tmp&password=******&user=u"},
      {"postgres://h/db?PassWord=pw", "postgres://h/db?PassWord=******"},
      {"postgres://h/db?%70assword=pw", "postgres://h/db?%70assword=******"},
      {"postgres://u:a@h/db?password=b&sslpassword=c", "postgres://u:******@h/db?password=******&sslpassword=******"},
      {"postgres://h/db?passfile=/x/y", "postgres://h/db?passfile=/x/y"},
      {"postgres://h/db?user=a@b", "postgres://h/db?user=a@b"},
      {"postgres://h:5432/db?application_name=a@b", "postgres://h:5432/db?application_name=a@b"},
      {"https://key:token@queue.example/x", "https://key:******@queue.example/x"},
      {"u:pw@tcp/db?x=y", "u:******@tcp/db?x=y"},
      // key=value
      {"host=h password=pw dbname=d", "host=h password=****** dbname=d"},
      {"host=h password='p w' dbname=d", "host=h password=****** dbname=d"},
      {"password='it\\'s a pw' host=h", "password=****** host=h"},
      {"password=it\\ is host=h", "password=****** host=h"},
      {"password = pw host=h", "password = ****** host=h"},
      {"PASSWORD=pw", "PASSWORD=******"},
      {"password=p@w:x host=h", "password=****** host=h"},
      {"password=a://b host=h", "password=****** host=h"},
      {"password='never closed host=h", "password=******"},
      {"password=two words host=h", "password=****** host=h"},
      {"password=a;b host=h", "password=****** host=h"},
      {"password='p w'host=h", "password=****** host=h"},
      {"password='p w'@host=h", "password=****** @host=h"},
      {"password='p w';host=h", "password=****** ;host=h"},
      {"host=h sslpassword=x passfile=/p", "host=h sslpassword=****** passfile=/p"},
      {"password='' host=h", "password=****** host=h"},
      {"password=", "password="},
      {"host='password=x' dbname=d", "host='password=x' dbname=d"},
      {"Server=h;Password=pw", "Server=h;Password=******"},
      {"ducklake:postgres:dbname=d password=pw", "ducklake:postgres:dbname=d password=******"},
      {"ducklake:postgres:password=pw dbname=d", "ducklake:postgres:password=****** dbname=d"},
      {"md:sales?motherduck_token=abc", "md:sales?motherduck_token=******"},
      {"require_auth=password host=h", "require_auth=password host=h"},
      // nothing to hide
      {"/data/shop.duckdb", "/data/shop.duckdb"},
      {"", ""},
      {"=", "="},
      {"'", "'"},
      {"://", "://"},
      {"\\", "\\"},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(RedactDsn(c.dsn), c.shown) << c.dsn;
    EXPECT_EQ(RedactDsn(c.shown), c.shown) << "shown twice: " << c.shown;
  }
}

// Whatever surrounds it, a password that is written in a form which PostgreSQL reads is not shown.
TEST(RedactDsn, GeneratedPasswordsDoNotShow) {
  const std::string kParts[] = {"hunter2", "hun'ter2", "hunter2 x", "hunter2\\", "hunter2=b", "hun@ter2", "hunter2;"};
  for (const std::string& password : kParts) {
    std::string quoted = "'";
    for (const char c : password) quoted += (c == '\'' || c == '\\') ? std::string("\\") + c : std::string(1, c);
    quoted += "'";
    for (const std::string before : {"", "host=h ", "options='-c a=b' ", "  user = 'o\\'x'  "}) {
      for (const std::string after : {"", " dbname=d", " x", "\tport=1"}) {
        const std::string shown = RedactDsn(before + "password=" + quoted + after);
        EXPECT_THAT(shown, Not(HasSubstr("ter2"))) << before << quoted << after;
        EXPECT_THAT(shown, HasSubstr("******"));
      }
    }
  }
}

Flow Sample() {
  Flow flow;
  flow.id = "a";
  flow.source = {"shop", "postgres", {{"dsn", "postgres://u:pw1@h/db"}, {"slot", "s"}}};
  flow.destinations = {
      {"copy", "postgres", {{"dsn", "host=h2 password=pw2"}}},
      {"lake", "parquet", {{"bucket", "b"}, {"access_key", "pw3"}, {"secret_key", "pw4"}, {"session_token", "pw5"}}},
      {"queue",
       "kafka",
       {{"brokers", "k:9092"}, {"schema_registry_password", "pw6"}, {"schema_registry_dsn", "postgres://u:pw7@h/r"}}},
      {"hook", "http", {{"url", "https://u:pw8@hook/"}, {"headers", "Authorization:Bearer pw9"}}}};
  return flow;
}

TEST(Redacted, HidesEverySecretAndNothingElse) {
  const Flow shown = Redacted(Sample());
  EXPECT_THAT(FlowToJson(shown), Not(HasSubstr("pw")));
  EXPECT_EQ(shown.source.options.at("slot"), "s");
  EXPECT_EQ(shown.source.options.at("dsn"), "postgres://u:******@h/db");
  EXPECT_EQ(shown.destinations[1].options.at("bucket"), "b");
  EXPECT_EQ(shown.destinations[2].options.at("brokers"), "k:9092");
  EXPECT_EQ(Redacted(shown), shown);
}

TEST(RestoreSecrets, ShownCopyComesBackWhole) {
  Flow update = Redacted(Sample());
  RestoreSecrets(Sample(), &update);
  EXPECT_EQ(update, Sample());
}

TEST(RestoreSecrets, OtherPartsMayChangeButNotTheServer) {
  Flow update = Redacted(Sample());
  update.source.options["dsn"] = "postgres://u2:******@h/db2?sslmode=disable";
  update.destinations[0].options["dsn"] = "host=evil password=******";
  RestoreSecrets(Sample(), &update);
  EXPECT_THAT(update.source.options["dsn"], Not(HasSubstr("pw1")));  // less TLS counts as another server
  EXPECT_EQ(update.destinations[0].options["dsn"], "host=evil password=******");

  update.source.options["dsn"] = "postgres://u2:******@h/db2";
  update.destinations[0].options["dsn"] = "dbname=x host=h2 password=******";
  RestoreSecrets(Sample(), &update);
  EXPECT_EQ(update.source.options["dsn"], "postgres://u2:pw1@h/db2");
  EXPECT_EQ(update.destinations[0].options["dsn"], "dbname=x host=h2 password=pw2");
}

TEST(RestoreSecrets, NewSecretsAndNewEndpointsStayAsGiven) {
  Flow update = Redacted(Sample());
  update.source.options["dsn"] = "postgres://u:new@h/db";
  update.destinations[0].name = "other";
  update.destinations[1].options["secret_key"] = "new";
  RestoreSecrets(Sample(), &update);
  EXPECT_EQ(update.source.options["dsn"], "postgres://u:new@h/db");
  EXPECT_THAT(update.destinations[0].options["dsn"], HasSubstr("******"));
  EXPECT_EQ(update.destinations[1].options["secret_key"], "new");
  EXPECT_EQ(update.destinations[1].options["access_key"], "pw3");
}

}  // namespace
}  // namespace wallaby
