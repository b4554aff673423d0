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
      // URLs of webhooks: whatever the query holds may be a secret
      {"https://hook.example/in?sig=pw&sv=1", "https://hook.example/in?sig=******&sv=******"},
      {"https://hook.example/in?pw", "https://hook.example/in?******"},
      {"HTTPS://u:pw@hook.example/in?a=b&c=", "HTTPS://u:******@hook.example/in?a=******&c="},
      {"http://hook.example/in?schema={schema}&{table}&t={table}x",
       "http://hook.example/in?schema={schema}&{table}&t=******"},
      {"postgres://h/db?sslkey=/k&code=pw", "postgres://h/db?sslkey=/k&code=******"},
      // mistyped schemes
      {"https:/u:pw@h/in", "https:/u:******@h/in"},
      {"https:/u:pw@h/in?token=x", "https:/u:******@h/in?token=******"},
      {"//u:pw@h", "//u:******@h"},
      {"htp//u:pw@h", "htp//u:******@h"},
      {"/data//a@b.duckdb", "/data//a@b.duckdb"},
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

// Each option of a type that says where its secrets go: they come back only while it stays.
TEST(RestoreSecrets, WholeSecretsDoNotFollowToAnotherServer) {
  struct Move {
    Endpoint stored;
    std::string option;
    std::string now;  // "": it is taken out
  };
  const Endpoint hook{"d", "http", {{"url", "https://good/in"}, {"headers", "Authorization:Bearer pw"}}};
  const Endpoint tls_hook{"d", "http", {{"url", "https://good/in"}, {"headers", "A:pw"}, {"tls_ca_file", "/ca"}}};
  const Endpoint receiver{"d", "grpc", {{"endpoint", "good:1"}, {"token", "pw"}, {"tls_server_name", "good"}}};
  const Endpoint kafka{"d",
                       "kafka",
                       {{"brokers", "good:9092"},
                        {"security_protocol", "sasl_ssl"},
                        {"sasl_mechanism", "SCRAM-SHA-256"},
                        {"sasl_password", "pw"},
                        {"ssl_ca", "/ca"},
                        {"schema_registry", "csr"},
                        {"schema_registry_url", "https://good"},
                        {"schema_registry_token", "pw"},
                        {"claim_check_bucket", "b"},
                        {"claim_check_endpoint", "https://good"},
                        {"client_config", "a=pw"}}};
  const Endpoint s3{"d", "s3", {{"bucket", "b"}, {"region", "r"}, {"secret_key", "pw"}, {"endpoint", "https://good"}}};
  const Endpoint azure{"d", "azure", {{"container", "c"}, {"account", "a"}, {"account_key", "pw"}}};
  const Endpoint gcs{"d", "gcs", {{"bucket", "b"}, {"credentials", "pw"}}};
  const Endpoint unknown{"d", "snowflake", {{"place", "good"}, {"password", "pw"}}};
  const Move kMoves[] = {
      {hook, "url", "http://evil/in"},
      {hook, "url", "https://good/another"},
      {hook, "url", "env:EVIL"},
      {hook, "tls_ca_file", "/evil"},
      {tls_hook, "tls_ca_file", ""},
      {receiver, "endpoint", "evil:1"},
      {receiver, "insecure", "true"},
      {receiver, "tls_server_name", ""},
      {receiver, "tls_ca_file", "/evil"},
      {kafka, "brokers", "evil:9092"},
      {kafka, "brokers", "good:9092,evil:9092"},
      {kafka, "security_protocol", "sasl_plaintext"},
      {kafka, "sasl_mechanism", "PLAIN"},
      {kafka, "ssl_ca", ""},
      {kafka, "schema_registry", "apicurio"},
      {kafka, "schema_registry_url", "https://evil"},
      {kafka, "claim_check_endpoint", "https://evil"},
      {kafka, "claim_check_bucket", "evil"},
      {kafka, "client_config", "bootstrap.servers=evil"},
      {s3, "endpoint", "https://evil"},
      {s3, "endpoint", ""},
      {s3, "bucket", "evil"},
      {s3, "region", "evil"},
      {azure, "account", "evil"},
      {azure, "endpoint", "https://evil"},
      {azure, "connection_string", "AccountName=evil"},
      {gcs, "endpoint", "https://evil"},
      {unknown, "place", "evil"},
  };
  for (const Move& move : kMoves) {
    Flow stored = Sample();
    stored.destinations = {move.stored};
    Flow update = Redacted(stored);
    RestoreSecrets(stored, &update);
    ASSERT_EQ(update, stored) << move.stored.type;
    update = Redacted(stored);
    Options& options = update.destinations[0].options;
    if (move.now.empty()) {
      options.erase(move.option);
    } else {
      options[move.option] = move.now;
    }
    const Options sent = options;
    RestoreSecrets(stored, &update);
    EXPECT_EQ(options, sent) << move.stored.type << " " << move.option << " " << move.now;
    EXPECT_THAT(FlowToJson(update), HasSubstr("******"));
  }
  // What does not decide may change.
  Flow stored = Sample();
  stored.destinations = {kafka};
  Flow update = Redacted(stored);
  update.destinations[0].options["topic"] = "another";
  update.destinations[0].options["schema_registry_token"] = "new";
  RestoreSecrets(stored, &update);
  EXPECT_EQ(update.destinations[0].options["sasl_password"], "pw");
  EXPECT_EQ(update.destinations[0].options["schema_registry_token"], "new");
}

TEST(HoldsSecret, ByNameOnly) {
  const auto holds = [](const std::string& type, Options options) {
    Flow flow;
    flow.source = {"shop", "postgres", {{"dsn", "postgres://h/db"}}};
    flow.destinations = {{"d", type, std::move(options)}};
    return HoldsSecret(flow);
  };
  EXPECT_TRUE(HoldsSecret(Sample()));
  EXPECT_TRUE(holds("http", {{"url", "https://u:pw@h/in"}}));
  for (const char* name : {"sig", "key", "code", "access_token", "X-Amz-Signature", "functions-key", "SIG"}) {
    EXPECT_TRUE(holds("http", {{"url", std::string("https://h/in?v=1&") + name + "=pw"}})) << name;
  }
  EXPECT_TRUE(holds("http", {{"url", "https://h/in"}, {"headers", "A:pw"}}));
  EXPECT_TRUE(holds("postgres", {{"dsn", "host=h password=pw"}}));
  EXPECT_FALSE(holds("http", {{"url", "https://h/in?v=1&table={table}"}}));
  EXPECT_FALSE(holds("http", {{"url", "env:HOOK"}, {"headers", "file:/run/headers"}}));
  EXPECT_FALSE(holds("postgres", {{"dsn", "host=h password=env:PW"}}));
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
