// Tests the connection to Postgres: order, errors, deadlines, losses, notifications, binary parameters.
#include "client/postgres/connection.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>

#include "base/asio.h"
#include "client/postgres/dsn.h"
#include "client/postgres/interface_version.h"
#include "client/postgres/pool.h"
#include "support/async.h"
#include "support/postgres_server.h"

namespace sealcast::client::postgres {
namespace {

using std::chrono::milliseconds;

class PostgresConnection : public testing::Test {
 protected:
  ~PostgresConnection() override {
    if (connection_) {
      // The callbacks refer to local variables of the test. These variables no longer exist here.
      connection_->on_connect = nullptr;
      connection_->on_loss = nullptr;
      connection_->stop();
    }
    io_.restart();
    io_.run_for(milliseconds(500));
  }

  void connect(milliseconds timeout = milliseconds(10'000), std::size_t max_queued = 100) {
    connection_ = Connection::create(io_.get_executor(), {server_.dsn(), "test", timeout, max_queued});
    connection_->start();
    ASSERT_TRUE(test::run_until(io_, [&] { return connection_->connected(); }));
  }

  Result query(const char* sql, const Params& params = {}) { return test::await(io_, connection_->query(sql, params)); }

  Error error_of(const char* sql) {
    try {
      query(sql);
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << sql << " did not fail";
    return Error(Failure::refused, "");
  }

  // Starts a statement without waiting for it. When the statement ends, its result or failure is written to `outcome`.
  void begin(const char* sql, std::optional<std::string>& outcome) {
    asio::co_spawn(io_, connection_->query(sql), [&outcome](std::exception_ptr error, Result rows) {
      try {
        if (error) std::rethrow_exception(error);
        outcome = std::string(rows.text(0, 0));
      } catch (const Error& failure) {
        outcome = failure.failure() == Failure::in_doubt      ? "in doubt"
                  : failure.failure() == Failure::unavailable ? "unavailable"
                                                              : failure.sqlstate();
      }
    });
  }

  test::PostgresServer server_;
  asio::io_context io_;
  std::shared_ptr<Connection> connection_;
};

TEST_F(PostgresConnection, SendsParametersInBinary) {
  connect();
  Params params;
  params.add(std::int64_t{-5});
  params.add(std::string_view("grüß"));
  params.add(uuid_bytes("0190d000-0000-7000-8000-00000000abcd"));
  params.add_null(oid::kText);
  params.add_json(R"({"a":1})");
  params.add(std::int32_t{7});
  auto rows = query("select $1 - 1, $2 || '!', $3, $4 is null, $5 ->> 'a', $6 + 1", params);
  EXPECT_EQ(rows.integer(0, 0), -6);
  EXPECT_EQ(rows.text(0, 1), "grüß!");
  EXPECT_EQ(rows.uuid(0, 2), "0190d000-0000-7000-8000-00000000abcd");
  EXPECT_TRUE(rows.boolean(0, 3));
  EXPECT_EQ(rows.text(0, 4), "1");
  EXPECT_EQ(rows.integer(0, 5), 8);
}

TEST_F(PostgresConnection, SendsArraysInBinary) {
  connect();
  Params params;
  params.add_array(oid::kBigintArray, oid::kBigint, std::vector<std::int64_t>{3, -4});
  params.add_array(oid::kTextArray, oid::kText, std::vector<std::string_view>{"a,\"b", ""});
  params.add_array(oid::kUuidArray, oid::kUuid, std::vector{uuid_bytes("ffffffff-0000-0000-0000-000000000001")});
  params.add_array(oid::kIntegerArray, oid::kInteger, std::vector<std::int32_t>{});
  auto rows = query("select $1[1] + $1[2], $2[1] || $2[2], $3[1], cardinality($4)", params);
  EXPECT_EQ(rows.integer(0, 0), -1);
  EXPECT_EQ(rows.text(0, 1), "a,\"b");
  EXPECT_EQ(rows.uuid(0, 2), "ffffffff-0000-0000-0000-000000000001");
  EXPECT_EQ(rows.integer(0, 3), 0);
}

TEST_F(PostgresConnection, AnswersPipelinedStatementsInOrderThroughAnError) {
  connect();
  std::optional<std::string> outcomes[3];
  begin("select 'one'", outcomes[0]);
  begin("select 1 / (random() * 0)::int", outcomes[1]);
  begin("select 'three'", outcomes[2]);
  ASSERT_TRUE(test::run_until(io_, [&] { return outcomes[2].has_value(); }));
  EXPECT_EQ(outcomes[0], "one");
  EXPECT_EQ(outcomes[1], "22012");
  EXPECT_EQ(outcomes[2], "three");
}

TEST_F(PostgresConnection, SendsAndReceivesMoreThanTheSocketBufferHolds) {
  connect();
  std::string large(8 << 20, 'x');
  Params params;
  params.add(std::string_view(large));
  auto rows = query("select $1, length($1)", params);
  EXPECT_EQ(rows.integer(0, 1), 8 << 20);
  EXPECT_EQ(rows.text(0, 0), large);
}

TEST_F(PostgresConnection, ReportsAnErrorWithItsSqlstate) {
  connect();
  auto error = error_of("select * from nowhere");
  EXPECT_EQ(error.failure(), Failure::refused);
  EXPECT_EQ(error.sqlstate(), "42P01");
  EXPECT_FALSE(error.transient());
  EXPECT_TRUE(connection_->connected());
}

TEST_F(PostgresConnection, FailsAtOnceWhenNotConnected) {
  connection_ = Connection::create(io_.get_executor(), {server_.dsn(), "test", milliseconds(1000)});
  EXPECT_EQ(error_of("select 1").failure(), Failure::unavailable);
}

TEST_F(PostgresConnection, DoesNotUseAnExtensionOfAnotherInterfaceVersion) {
  server_.set_interface_version(kInterfaceVersion - 1);
  connection_ = Connection::create(io_.get_executor(), {server_.dsn(), "test", milliseconds(10'000)});
  connection_->start();
  ASSERT_TRUE(test::run_until(io_, [&] { return !connection_->incompatible_extension().empty(); }));
  EXPECT_NE(connection_->incompatible_extension().find("ALTER EXTENSION sealcast UPDATE"), std::string::npos)
      << connection_->incompatible_extension();
  EXPECT_FALSE(connection_->connected());
  EXPECT_EQ(error_of("select 1").failure(), Failure::unavailable);
  server_.set_interface_version(kInterfaceVersion + 1);
  auto too_old = [&] {
    return connection_->incompatible_extension().find("run the sealcastd of") != std::string::npos;
  };
  ASSERT_TRUE(test::run_until(io_, too_old)) << connection_->incompatible_extension();
  server_.run("drop function sealcast.interface_version()");
  auto none = [&] { return connection_->incompatible_extension().find("CREATE EXTENSION") != std::string::npos; };
  ASSERT_TRUE(test::run_until(io_, none)) << connection_->incompatible_extension();
  server_.set_interface_version(kInterfaceVersion);
  ASSERT_TRUE(test::run_until(io_, [&] { return connection_->connected(); }));
  EXPECT_EQ(connection_->incompatible_extension(), "");
}

TEST_F(PostgresConnection, LimitsTheLengthOfItsQueue) {
  connect(milliseconds(10'000), 2);
  std::optional<std::string> outcomes[3];
  begin("select pg_sleep(0.2)::text || 'a'", outcomes[0]);
  begin("select 'b'", outcomes[1]);
  begin("select 'c'", outcomes[2]);
  ASSERT_TRUE(test::run_until(io_, [&] { return outcomes[2].has_value(); }));
  EXPECT_EQ(outcomes[2], "unavailable");
  ASSERT_TRUE(test::run_until(io_, [&] { return outcomes[1].has_value(); }));
  EXPECT_EQ(outcomes[1], "b");
}

TEST_F(PostgresConnection, ReportsUnansweredStatementsAsInDoubtWhenTheServerStopsAndReconnects) {
  connect();
  std::optional<std::string> outcome, second;
  begin("select pg_sleep(60)", outcome);
  begin("select 'second'", second);
  int losses = 0;
  connection_->on_loss = [&] { ++losses; };
  test::run_until(io_, [&] {
    return server_.run("select count(*) from pg_stat_activity where query like '%pg_sleep(60)'") != "0";
  });
  server_.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return outcome && second; }));
  // server_.stop() sends SIGQUIT, so the backend ends with the SQLSTATE 57P02 (crash_shutdown), unless the connection
  // closes first. The second statement never began, so it never gets an answer.
  EXPECT_TRUE(outcome == "57P02" || outcome == "in doubt") << *outcome;
  EXPECT_EQ(second, "in doubt");
  EXPECT_EQ(losses, 1);
  EXPECT_FALSE(connection_->connected());
  server_.start();
  ASSERT_TRUE(test::run_until(io_, [&] { return connection_->connected(); }));
  EXPECT_EQ(query("select 'again'").text(0, 0), "again");
}

TEST_F(PostgresConnection, FailsAStatementAtItsDeadlineAndReconnects) {
  connect(milliseconds(200));
  auto began = Connection::Clock::now();
  EXPECT_EQ(error_of("select pg_sleep(60)").failure(), Failure::in_doubt);
  EXPECT_LT(Connection::Clock::now() - began, std::chrono::seconds(5));
  ASSERT_TRUE(test::run_until(io_, [&] { return connection_->connected(); }));
  EXPECT_EQ(query("select 'again'").text(0, 0), "again");
}

TEST_F(PostgresConnection, StartsTheDeadlineOfAStatementWhenTheOneBeforeItIsAnswered) {
  connect(milliseconds(700));
  std::optional<std::string> outcomes[3];
  for (auto& outcome : outcomes) begin("select 'ok' from pg_sleep(0.4)", outcome);
  ASSERT_TRUE(test::run_until(io_, [&] { return outcomes[2].has_value(); }));
  EXPECT_EQ(outcomes[2], "ok");
}

TEST_F(PostgresConnection, PassesOnNotifications) {
  connect();
  std::multiset<std::string> received;
  connection_->on_notify = [&](std::string_view channel) { received.emplace(channel); };
  query("listen sealcast");
  server_.run("notify sealcast");
  ASSERT_TRUE(test::run_until(io_, [&] { return !received.empty(); }));
  EXPECT_EQ(received, (std::multiset<std::string>{"sealcast"}));
}

TEST_F(PostgresConnection, LogsWarningsAsJsonAndOmitsNotices) {
  connect();
  testing::internal::CaptureStderr();
  query("do $$ begin raise warning 'look \"here\"'; raise notice 'a payload'; end $$");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, testing::StartsWith(R"({"time":)"));
  EXPECT_THAT(log, testing::HasSubstr(R"("level":"warn","tag":"[DATABASE]")"));
  EXPECT_THAT(log, testing::EndsWith(R"("connection":"test","notice":"look \"here\"","sqlstate":"01000"})"
                                     "\n"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
}

TEST_F(PostgresConnection, ResolvesHostNamesAndKeepsUnixSocketsAndPorts) {
  auto with = [&](std::string dsn) { return test::await(io_, with_addresses(std::move(dsn))); };
  EXPECT_EQ(with("host=/run/x dbname=a"), "host=/run/x dbname=a");
  EXPECT_EQ(with("host=db.example hostaddr=127.0.0.9"), "host=db.example hostaddr=127.0.0.9");
  std::string resolved = with("host=127.0.0.1,/run/x port=5000,6000 password='it\\'s'");
  EXPECT_NE(resolved.find("host='127.0.0.1,/run/x'"), resolved.npos) << resolved;
  EXPECT_NE(resolved.find("hostaddr='127.0.0.1,'"), resolved.npos) << resolved;
  EXPECT_NE(resolved.find("port='5000,6000'"), resolved.npos) << resolved;
  EXPECT_THROW(with("host=no.such.host.invalid"), Error);
}

TEST_F(PostgresConnection, PoolUsesTheConnectionWithTheShortestQueue) {
  Pool pool(io_.get_executor(), {server_.dsn(), "pool", milliseconds(5000)}, 2);
  int connects = 0;
  pool.on_connect = [&] { ++connects; };
  pool.start();
  ASSERT_TRUE(test::run_until(io_, [&] { return connects == 2; }));
  std::vector<std::string> order;
  auto ask = [&](const char* sql, const char* name) -> asio::awaitable<void> {
    co_await pool.query(sql);
    order.push_back(name);
  };
  asio::co_spawn(io_, ask("select pg_sleep(0.5)", "slow"), asio::detached);
  asio::co_spawn(io_, ask("select 1", "quick"), asio::detached);
  ASSERT_TRUE(test::run_until(io_, [&] { return order.size() == 2; }));
  EXPECT_EQ(order.front(), "quick");
  pool.stop();
}

}  // namespace
}  // namespace sealcast::client::postgres
