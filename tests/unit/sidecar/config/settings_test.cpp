// Tests the loading of settings: defaults, file, environment, and the error message for each mistake.
#include "config/settings.h"

#include <gtest/gtest.h>

#include <regex>
#include <sstream>

#include "config/settings_table.h"
#include "core/token/secret_file.h"
#include "support/scratch.h"

namespace sealcast::config {
namespace {

class SettingsTest : public testing::Test {
 protected:
  SettingsTest() { secret_ = scratch_.write("secret", std::string(32, 's') + "\n"); }

  // Loads the settings file `toml`. If it has no section [session], load() adds a session secret, because a secret is
  // required. Each of `variables` is an environment variable in the form "NAME=value".
  Settings load(const std::string& toml, std::vector<std::string> variables = {}) {
    std::string text = toml;
    if (text.find("[session]") == std::string::npos) text += "\n[session]\nhs256_secret_file = \"" + secret_ + "\"\n";
    file_ = scratch_.write("sealcast.toml", text);
    std::vector<const char*> environment;
    for (const auto& variable : variables) environment.push_back(variable.c_str());
    environment.push_back(nullptr);
    return load_settings(file_, environment.data());
  }

  std::string error(const std::string& toml, std::vector<std::string> variables = {}) {
    try {
      load(toml, std::move(variables));
    } catch (const core::SettingsError& problem) {
      return problem.what();
    }
    return "no error";
  }

  test::Scratch scratch_;
  std::string secret_;
  std::string file_;
};

TEST_F(SettingsTest, DefaultsAreComplete) {
  const Settings settings = load("");
  EXPECT_EQ(settings.http.listen, "127.0.0.1:8080");
  EXPECT_EQ(settings.gate.timeout, std::chrono::milliseconds(250));
  EXPECT_EQ(settings.gate.replay_window, std::chrono::milliseconds(900'000));
  EXPECT_EQ(settings.session.ticket_ttl, std::chrono::seconds(300));
  EXPECT_EQ(settings.drain_timeout, std::chrono::milliseconds(10'000));
  EXPECT_EQ(settings.relay.dsn.text, settings.postgres.dsn.text);
  EXPECT_FALSE(settings.relay.holder.empty());
  EXPECT_TRUE(settings.http.cors_origins.empty());
}

TEST_F(SettingsTest, TheFileOverridesDefaultsAndTheEnvironmentTheFile) {
  const std::string toml =
      "drain_timeout_ms = 7\n[gate]\ntimeout_ms = 300\nredis_url = \"redis://cache/3\"\n"
      "[http]\ncors_origins = [\"https://a.example\", \"http://localhost:3000\"]\n";
  Settings settings = load(toml);
  EXPECT_EQ(settings.drain_timeout, std::chrono::milliseconds(7));
  EXPECT_EQ(settings.gate.timeout, std::chrono::milliseconds(300));
  EXPECT_EQ(settings.http.cors_origins, (std::vector<std::string>{"https://a.example", "http://localhost:3000"}));
  settings = load(toml, {"SEALCAST_GATE_TIMEOUT_MS=400", "SEALCAST_GATE_REDIS_URL=rediss://other:1",
                         "SEALCAST_HTTP_CORS_ORIGINS=*", "SEALCAST_DRAIN_TIMEOUT_MS=8"});
  EXPECT_EQ(settings.gate.timeout, std::chrono::milliseconds(400));
  EXPECT_EQ(settings.gate.redis_url, "rediss://other:1");
  EXPECT_EQ(settings.http.cors_origins, std::vector<std::string>{"*"});
  EXPECT_EQ(settings.drain_timeout, std::chrono::milliseconds(8));
}

TEST_F(SettingsTest, AVariableSetsEachSetting) {
  for (const Setting& setting : settings_table()) {
    const std::string value = setting.fallback.empty() && !setting.is_text() && !setting.is_list()
                                  ? std::to_string(setting.min)
                                  : std::string(setting.fallback);
    EXPECT_NO_THROW(load("", {"SEALCAST_SESSION_HS256_SECRET_FILE=" + secret_,
                              setting.key == "hs256_secret_file" ? "X=" : setting.environment() + "=" + value}))
        << setting.path();
  }
}

TEST_F(SettingsTest, TheErrorOfAnUnknownKeyListsTheKnownKeys) {
  EXPECT_EQ(error("[gate]\ntimeout = 3\n").substr(file_.size()),
            ":2: gate.timeout is not a setting; the settings of [gate] are redis_url, redis_password_file, "
            "redis_sentinel_password_file, redis_ca_file, redis_cert_file, redis_key_file, timeout_ms, "
            "replay_window_ms, role_cache_ms, max_waiting, socket, socket_group");
  EXPECT_NE(error("[gates]\n").find(":1: gates is not a setting; the sections are [http], [memory], [postgres]"),
            std::string::npos);
  EXPECT_NE(error("listen = \"x\"\n").find("listen is not a setting"), std::string::npos);
  EXPECT_NE(error("gate = 3\n").find("gate is a section; write [gate]"), std::string::npos);
  EXPECT_NE(error("", {"SEALCAST_GATE_REDSI_URL=x"})
                .find("SEALCAST_GATE_REDSI_URL is not a setting; the settings of [gate] are redis_url"),
            std::string::npos);
}

TEST_F(SettingsTest, VariablesOfOtherToolsAreIgnored) {
  EXPECT_NO_THROW(load("", {"SEALCAST_URL=http://x", "SEALCAST_LOCAL=/tmp", "SEALCAST_JWT_SECRET=x", "PATH=/bin"}));
}

TEST_F(SettingsTest, TheErrorOfAWrongTypeNamesTheRightType) {
  EXPECT_EQ(error("[gate]\ntimeout_ms = \"250\"\n").substr(file_.size()),
            ":2: gate.timeout_ms is not a whole number; write one without quotes (milliseconds)");
  EXPECT_NE(error("[gate]\ntimeout_ms = 2.5\n").find("is not a whole number"), std::string::npos);
  EXPECT_NE(error("[http]\nlisten = 8080\n").find("http.listen is not a string; write it in quotes"),
            std::string::npos);
  EXPECT_NE(error("[http]\ncors_origins = \"*\"\n").find("is not a list of strings"), std::string::npos);
  EXPECT_NE(error("[http]\ncors_origins = [\"*\", 3]\n").find("is not a list of strings"), std::string::npos);
  EXPECT_EQ(error("", {"SEALCAST_GATE_TIMEOUT_MS=250ms"}),
            "environment: SEALCAST_GATE_TIMEOUT_MS is \"250ms\"; write a whole number (milliseconds)");
  EXPECT_NE(error("", {"SEALCAST_GATE_TIMEOUT_MS="}).find("is \"\"; write a whole number"), std::string::npos);
  EXPECT_NE(error("", {"SEALCAST_GATE_TIMEOUT_MS=99999999999999999999"}).find("write a whole number"),
            std::string::npos);
}

TEST_F(SettingsTest, AnErrorNamesTheRange) {
  EXPECT_NE(error("[gate]\ntimeout_ms = 0\n").find(":2: gate.timeout_ms is 0; write 10 to 60000 (milliseconds)"),
            std::string::npos);
  EXPECT_NE(error("[gate]\nrole_cache_ms = 5001\n").find("write 0 to 5000"), std::string::npos);
  for (const Setting& setting : settings_table()) {
    if (setting.is_text() || setting.is_list()) continue;
    const std::string name = setting.environment() + "=";
    EXPECT_NO_THROW(load("", {name + std::to_string(setting.min)})) << setting.path();
    EXPECT_NO_THROW(load("", {name + std::to_string(setting.max)})) << setting.path();
    EXPECT_THROW(load("", {name + std::to_string(setting.min - 1)}), core::SettingsError) << setting.path();
    EXPECT_THROW(load("", {name + std::to_string(setting.max + 1)}), core::SettingsError) << setting.path();
  }
}

TEST_F(SettingsTest, AListenAddressNeedsHostAndPort) {
  for (const char* good : {"127.0.0.1:0", "[::1]:8080", "localhost:65535", "0.0.0.0:80"}) {
    EXPECT_NO_THROW(load("", {std::string("SEALCAST_HTTP_LISTEN=") + good})) << good;
  }
  for (const char* bad : {"", "8080", ":8080", "host:", "host:65536", "host:-1", "host:80x", "::1:80"}) {
    EXPECT_NE(error("", {std::string("SEALCAST_HTTP_LISTEN=") + bad}).find("write host:port"), std::string::npos)
        << bad;
  }
}

TEST_F(SettingsTest, ConnectionStringsAreChecked) {
  EXPECT_NO_THROW(load("", {"SEALCAST_POSTGRES_DSN=postgresql://u@h:5432/d?sslmode=require"}));
  EXPECT_NE(error("[postgres]\ndsn = \"nonsense\"\n").find(":2: postgres.dsn is not a connection string"),
            std::string::npos);
  EXPECT_NE(error("[relay]\ndsn = \"nonsense\"\n").find("relay.dsn is not a connection string"), std::string::npos);
  for (const char* url : {"http://x", "redis://", "redis://h:0", "redis://h:x", "redis://h/x", "redis://u%zz@h",
                          "redis://h/-1", "redis://[::1"}) {
    EXPECT_NE(error("", {std::string("SEALCAST_GATE_REDIS_URL=") + url}).find("write redis://"), std::string::npos)
        << url;
  }
}

TEST_F(SettingsTest, MqttSettingsAreChecked) {
  Settings settings = load("[relay]\nholder = \"a\"\n");
  EXPECT_EQ(settings.mqtt.url, "");
  EXPECT_EQ(settings.mqtt.client_id, "sealcast-a");
  EXPECT_EQ(settings.mqtt.topic, "sealcast/{stream_id}");
  settings = load("[mqtt]\nurl = \"mqtts://u@h:1\"\nca_file = \"" + secret_ + "\"\nclient_id = \"b\"\n");
  EXPECT_EQ(settings.mqtt.client_id, "b");
  for (const char* url : {"http://h", "mqtt://", "mqtt://h:0", "mqtt://h/path", "mqtt://[::1"}) {
    EXPECT_NE(error("", {std::string("SEALCAST_MQTT_URL=") + url}).find("write mqtt://"), std::string::npos) << url;
  }
  EXPECT_NE(error("[mqtt]\ntopic = \"chat\"\n").find("without {stream_id}"), std::string::npos);
  for (const char* topic : {"#/{stream_id}", "a/+/{stream_id}", "$SYS/{stream_id}"}) {
    EXPECT_NE(error("", {std::string("SEALCAST_MQTT_TOPIC=") + topic}).find("without + and #"), std::string::npos);
  }
  EXPECT_NE(error("[mqtt]\nurl = \"mqtt://h\"\nca_file = \"" + secret_ + "\"\n").find("write mqtts://"),
            std::string::npos);
}

std::string complete(const postgres::Dsn& dsn) { return postgres::with_password(dsn.text, dsn.password.text()); }

TEST_F(SettingsTest, PasswordsComeFromFilesAndNoErrorQuotesThem) {
  for (const char* dsn : {"host=h password=hunter2", "postgresql://u:hunter2@h/d"}) {
    const std::string problem = error("", {std::string("SEALCAST_POSTGRES_DSN=") + dsn});
    EXPECT_NE(problem.find("SEALCAST_POSTGRES_DSN contains a password; write the password into a file"),
              std::string::npos);
    EXPECT_EQ(problem.find("hunter2"), std::string::npos);
  }
  for (const char* url : {"redis://:hunter2@h", "redis://u:hunter2@h", "redis://u:hunter2@h:x"}) {
    const std::string problem = error("", {std::string("SEALCAST_GATE_REDIS_URL=") + url});
    EXPECT_EQ(problem.find("hunter2"), std::string::npos) << url;
    EXPECT_NE(problem, "no error");
  }
  const std::string problem = error("", {"SEALCAST_MQTT_URL=mqtt://u:hunter2@h"});
  EXPECT_NE(problem.find("SEALCAST_MQTT_URL contains a password; write the password into a file"), std::string::npos);
  EXPECT_EQ(problem.find("hunter2"), std::string::npos);
  const std::string file = scratch_.write("pg", "it's a \\ p@ss\n");
  Settings settings =
      load("", {"SEALCAST_POSTGRES_PASSWORD_FILE=" + file, "SEALCAST_RELAY_DSN=postgresql://h/d?sslmode=disable"});
  EXPECT_EQ(settings.postgres.dsn.text, "dbname=sealcast");
  EXPECT_EQ(complete(settings.postgres.dsn), R"(dbname='sealcast' password='it\'s a \\ p@ss')");
  EXPECT_EQ(complete(settings.relay.dsn), R"(dbname='d' host='h' password='it\'s a \\ p@ss' sslmode='disable')");
}

// If the password became part of another connection parameter, libpq would send it to the server, which may log it.
TEST_F(SettingsTest, APasswordIsNeverPartOfAnotherValue) {
  const std::string password = "SEALCAST_POSTGRES_PASSWORD_FILE=" + scratch_.write("pg", "secret");
  const std::pair<const char*, const char*> cases[] = {
      {R"(dbname=x\)", "dbname='x' password='secret'"},
      {"postgresql://us?er@h/d", "dbname='d' host='h' password='secret' user='us?er'"},
      {"postgresql://h/d?", "dbname='d' host='h' password='secret'"},
      {"", "password='secret'"}};
  for (const auto& [dsn, expected] : cases) {
    const Settings settings = load("", {std::string("SEALCAST_POSTGRES_DSN=") + dsn, password});
    EXPECT_EQ(complete(settings.postgres.dsn), expected) << dsn;
  }
  scratch_.write("pg", std::string_view("sec\0ret", 7));
  EXPECT_NE(error("", {password}).find("SEALCAST_POSTGRES_PASSWORD_FILE is a file that contains a zero byte"),
            std::string::npos);
}

TEST_F(SettingsTest, PathsMustExist) {
  EXPECT_NE(error("[session]\nhs256_secret_file = \"/nowhere/x\"\n")
                .find(":2: session.hs256_secret_file is \"/nowhere/x\", a file that cannot be read (No such file"),
            std::string::npos);
  EXPECT_NE(error("[demo]\ndirectory = \"/nowhere\"\n").find("is not a directory"), std::string::npos);
  EXPECT_NE(error("[gate]\nsocket = \"gate.sock\"\n").find("write an absolute path"), std::string::npos);
  EXPECT_NE(error("[gate]\nsocket = \"/nowhere/gate.sock\"\n").find("is not a directory; create it"),
            std::string::npos);
  EXPECT_NE(error("[gate]\nsocket = \"/tmp/" + std::string(120, 'x') + "\"\n").find("choose a shorter path"),
            std::string::npos);
}

TEST_F(SettingsTest, CombinationsAreChecked) {
  EXPECT_NE(error("[session]\nissuer = \"x\"\n").find("both empty, so no session could be verified"),
            std::string::npos);
  const std::string jwks = scratch_.write("jwks", "{}");
  EXPECT_NE(error("[session]\njwks_file = \"" + jwks + "\"\n").find("session.ticket_secret_file is empty"),
            std::string::npos);
  EXPECT_NE(error("[gate]\nsocket_group = \"x\"\n").find(":2: gate.socket_group is set without gate.socket"),
            std::string::npos);
  for (const char* setting : {"gate]\nredis_ca_file", "redis_streams]\nca_file", "redis_events]\nkey_file"}) {
    EXPECT_NE(error("[" + std::string(setting) + " = \"" + secret_ + "\"\n").find("does not use TLS; write rediss://"),
              std::string::npos);
  }
  EXPECT_NE(error("[mqtt]\nurl = \"mqtts://h\"\ncert_file = \"" + secret_ + "\"\n")
                .find(":3: mqtt.cert_file is set without mqtt.key_file; set both or neither"),
            std::string::npos);
  EXPECT_NE(error("[gate]\nredis_url = \"rediss://h\"\nredis_key_file = \"" + secret_ + "\"\n")
                .find(":3: gate.redis_key_file is set without gate.redis_cert_file"),
            std::string::npos);
  EXPECT_NE(error("[gate]\nredis_url = \"redis+sentinel://s1:26379\"\n")
                .find(":2: gate.redis_url has no name of a master after the sentinels; write redis://"),
            std::string::npos);
  EXPECT_NE(
      error("[redis_events]\nurl = \"redis://a,b/2\"\n").find(":2: redis_events.url names a database other than 0"),
      std::string::npos);
  EXPECT_NE(error("[gate]\nredis_url = \"unix://:secret@/run/r\"\n").find("gate.redis_url contains a password"),
            std::string::npos);
  EXPECT_NE(error("[log]\nlevel = \"loud\"\n").find("write debug, info, warn or error"), std::string::npos);
  EXPECT_NE(error("[http]\ncors_origins = [\"example.org\"]\n").find("write origins such as"), std::string::npos);
  EXPECT_NE(error("[http]\ncors_origins = [\"https://x/path\"]\n").find("without a path"), std::string::npos);
}

TEST_F(SettingsTest, SettingsOfOutsideServicesAreChecked) {
  const auto with = [this](const std::string& name, const std::string& value) {
    return error("", {"SEALCAST_" + name + "=" + value, "SEALCAST_SUPABASE_KEY_FILE=" + secret_});
  };
  for (const char* good :
       {"https://p.supabase.co/realtime/v1", "https://p.supabase.co", "http://kong:8000/realtime/v1/"}) {
    EXPECT_EQ(with("SUPABASE_URL", good), "no error") << good;
  }
  for (const char* bad : {"p.supabase.co", "ftp://x", "https://", "https:///x", "https://u:hunter2@x", "https://x?a=b",
                          "https://x#a", "https://x y"}) {
    EXPECT_NE(with("SUPABASE_URL", bad).find("SEALCAST_SUPABASE_URL is not a usable URL"), std::string::npos) << bad;
    EXPECT_EQ(with("SUPABASE_URL", bad).find("hunter2"), std::string::npos);
  }
  EXPECT_NE(error("[supabase]\nurl = \"https://x\"\n").find(":2: supabase.url is set without supabase.key_file"),
            std::string::npos);
  EXPECT_NE(with("SUPABASE_TOPIC", "room").find("without {stream_id}"), std::string::npos);
  EXPECT_NE(with("SUPABASE_EVENT", "").find("is empty"), std::string::npos);
  EXPECT_NE(with("SUPABASE_CHANNELS", "open").find("write private or public"), std::string::npos);
  EXPECT_EQ(with("SUPABASE_CHANNELS", "public"), "no error");

  EXPECT_NE(with("ABLY_URL", "http://x").find("write https://host"), std::string::npos);
  EXPECT_NE(with("ABLY_URL", "").find("write https://host"), std::string::npos);
  for (const char* bad : {"[a]{stream_id}", ":{stream_id}", "a\n{stream_id}", "{stream_id}:*"}) {
    EXPECT_NE(with("ABLY_CHANNEL", bad).find("begins with neither [ nor :"), std::string::npos) << bad;
  }
  EXPECT_NE(with("ABLY_CHANNEL", "room").find("without {stream_id}"), std::string::npos);
  EXPECT_NE(with("ABLY_TOKEN_KEY_FILE", secret_).find("is set without ably.key_file"), std::string::npos);

  EXPECT_NE(with("MQTT_TOKEN_SECRET_FILE", secret_).find("is set without mqtt.url"), std::string::npos);
  EXPECT_EQ(with("MQTT_PUBLIC_URL", "wss://broker.example:8084/mqtt"), "no error");
  for (const char* bad : {"broker", "https://x", "wss://", "wss://u:hunter2@x", "wss://x?a=b"}) {
    EXPECT_NE(with("MQTT_PUBLIC_URL", bad).find("write wss://host"), std::string::npos) << bad;
  }
  const Settings settings = load("");
  EXPECT_EQ(settings.ably.url, "https://main.realtime.ably.net");
  EXPECT_EQ(settings.ably.max_message_bytes, 65536);
  EXPECT_EQ(settings.supabase.channels, "private");
}

TEST_F(SettingsTest, WebhooksNeedASecretAndTls) {
  const auto with = [&](const std::string& url, const std::string& more = {}) {
    return error("[webhooks]\nurl = \"" + url + "\"\nsecret_file = \"" + secret_ + "\"\n" + more);
  };
  EXPECT_EQ(with("https://backend.example/events"), "no error");
  for (const char* local : {"http://127.0.0.1:9/x", "http://localhost", "http://[::1]:9/x"}) {
    EXPECT_EQ(with(local), "no error") << local;
  }
  EXPECT_NE(with("http://backend.example").find("webhooks.url is not encrypted; write https://"), std::string::npos);
  EXPECT_NE(with("http://127.0.0.1.example").find("is not encrypted"), std::string::npos);
  EXPECT_EQ(with("http://backend:9/x", "http_hosts = [\"backend\"]\n"), "no error");
  EXPECT_NE(with("http://other", "http_hosts = [\"backend\"]\n").find("is not encrypted"), std::string::npos);
  EXPECT_NE(with("https://x:y/").find("port"), std::string::npos);
  EXPECT_NE(error("[webhooks]\nurl = \"https://x\"\n").find("webhooks.url is set without webhooks.secret_file"),
            std::string::npos);
  EXPECT_EQ(with("https://x", "events = [\"*\", \"message.sent\"]\n"), "no error");
  for (const char* bad : {"user", "user.", ".banned", "User.banned", "user.banned.x", ""}) {
    EXPECT_NE(with("https://x", "events = [\"" + std::string(bad) + "\"]\n").find("write names of events"),
              std::string::npos)
        << bad;
  }
}

TEST_F(SettingsTest, AStreamOnAblyIsSampledUnlessTheSettingSaysOtherwise) {
  const std::string on_ably = "[switching]\ntarget = \"ably\"\n";
  EXPECT_EQ(load("").sampling.storm, 0);
  EXPECT_EQ(load("[switching]\ntarget = \"mqtt\"\n").sampling.storm, 0);
  EXPECT_EQ(load(on_ably).sampling.storm, 40);
  EXPECT_EQ(load("", {"SEALCAST_SWITCHING_TARGET=ably"}).sampling.storm, 40);
  EXPECT_EQ(load(on_ably + "[sampling]\nstorm_per_second = 0\n").sampling.storm, 0);
  EXPECT_EQ(load(on_ably + "[sampling]\nstorm_per_second = 90\n").sampling.storm, 90);
  EXPECT_EQ(load(on_ably, {"SEALCAST_SAMPLING_STORM_PER_SECOND=0"}).sampling.storm, 0);
}

TEST_F(SettingsTest, RegionsAreChecked) {
  const std::string two = R"(list = ["eu https://eu.example/ 50 8.7", "us http://us.example 40.7 -74"])";
  Settings settings = load("[regions]\n" + two + "\n");
  EXPECT_EQ(settings.regions.fallback, "eu");
  EXPECT_EQ(load("[regions]\n" + two + "\ndefault = \"us\"\n").regions.fallback, "us");
  EXPECT_EQ(load("").regions.fallback, "");
  EXPECT_EQ(load("", {"SEALCAST_REGIONS_LIST=eu https://eu.example 50 8.7,us https://us.example 40.7 -74"})
                .regions.list.size(),
            2);
  EXPECT_NE(error("[regions]\n" + two + "\ndefault = \"ap\"\n").find(":3: regions.default is \"ap\", which"),
            std::string::npos);
  EXPECT_NE(error("[regions]\nlist = [\"eu https://a 0 0\", \"eu https://b 0 0\"]\n")
                .find(":2: regions.list contains region \"eu\" twice"),
            std::string::npos);
  EXPECT_NE(error("[regions]\nlist = [\"eu https://a\"]\n").find("write \"NAME URL LATITUDE LONGITUDE\""),
            std::string::npos);
  const std::string secret = error("[regions]\nlist = [\"eu https://u:hunter2@a 0 0\"]\n");
  EXPECT_NE(secret.find("contains region \"eu\" whose URL is not a usable URL"), std::string::npos) << secret;
  EXPECT_EQ(secret.find("hunter2"), std::string::npos);
  std::string many = "SEALCAST_REGIONS_LIST=";
  for (int i = 0; i < 65; ++i) many += "r" + std::to_string(i) + " https://a 0 0,";
  EXPECT_NE(error("", {many}).find("has 65 regions; write at most 64"), std::string::npos);
  EXPECT_NE(error("[regions]\ndatabase_file = \"/nowhere/x\"\n").find("a file that cannot be read"), std::string::npos);
}

TEST_F(SettingsTest, TrustedProxiesAreAddressesOrNetworks) {
  EXPECT_EQ(load("[http]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n").http.trusted_proxies.size(), 2);
  EXPECT_NE(
      error("[http]\ntrusted_proxies = [\"10.0.0.1/8\"]\n")
          .find(":2: http.trusted_proxies contains \"10.0.0.1/8\", which has bits set after its prefix; the network "
                "begins at 10.0.0.0; write networks such as"),
      std::string::npos);
  EXPECT_NE(error("", {"SEALCAST_HTTP_TRUSTED_PROXIES=proxy.example"}).find("is no IPv4 or IPv6 address"),
            std::string::npos);
}

TEST_F(SettingsTest, OneErrorListsAllProblems) {
  const std::string problems = error("[gate]\ntimeout_ms = 0\nnonsense = 1\n", {"SEALCAST_SSE_RETRY_MS=x"});
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 2) << problems;
}

TEST_F(SettingsTest, AFileThatIsNotTomlIsAnError) {
  EXPECT_NE(error("[gate\n").find(":1: "), std::string::npos);
  EXPECT_NE(error("[gate]\nsocket = \"\"\nsocket = \"\"\n").find(":3: "), std::string::npos);
  const char* const none[] = {nullptr};
  try {
    load_settings("/nowhere/sealcast.toml", none);
    FAIL() << "a missing file was accepted";
  } catch (const core::SettingsError& problem) {
    EXPECT_NE(std::string(problem.what()).find("/nowhere/sealcast.toml: "), std::string::npos);
    EXPECT_NE(std::string(problem.what()).find("give the path of a file that exists"), std::string::npos);
  }
}

TEST_F(SettingsTest, ASecretFileLosesOneLineFeedAndMustNotBeEmptyOrTooLarge) {
  EXPECT_EQ(core::token::read_secret_file("k", scratch_.write("a", "secret\n\n")), "secret\n");
  EXPECT_EQ(core::token::read_secret_file("k", scratch_.write("b", std::string("a\0b", 3))), std::string("a\0b", 3));
  for (const std::string& path : {scratch_.write("c", ""), scratch_.write("d", "\n"), scratch_.path("missing"),
                                  scratch_.path(""), scratch_.write("e", std::string(65'537, 'x'))}) {
    EXPECT_THROW(core::token::read_secret_file("session.hs256_secret_file", path), core::SettingsError) << path;
  }
}

TEST_F(SettingsTest, TheTableListsEverySetting) {
  std::ostringstream out;
  print_settings_table(out);
  const std::string table = out.str();
  EXPECT_EQ(static_cast<std::size_t>(std::count(table.begin(), table.end(), '\n')), settings_table().size() + 2);
  EXPECT_NE(table.find("| `gate.timeout_ms` | `SEALCAST_GATE_TIMEOUT_MS` | `250` | milliseconds, 10 to 60000 | "),
            std::string::npos);
}

}  // namespace
}  // namespace sealcast::config
