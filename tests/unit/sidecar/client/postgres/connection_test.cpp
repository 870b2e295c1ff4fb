// Tests the connection to Postgres: order, errors, deadlines, losses, notifications, binary parameters.
#include "client/postgres/connection.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
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

TEST_F(PostgresConnection, SplitsADsnIntoOneForEachAddress) {
  const auto split = [&](std::string dsn) {
    return test::await(io_, dsn_of_each_address(std::move(dsn), milliseconds(5000)));
  };
  using testing::ElementsAre;
  EXPECT_THAT(split("dbname=a"), ElementsAre("dbname='a'"));
  EXPECT_THAT(split("host=/run/x dbname=a"), ElementsAre("dbname='a' host='/run/x'"));
  EXPECT_THAT(split("host=db.example hostaddr=127.0.0.9"), ElementsAre("host='db.example' hostaddr='127.0.0.9'"));
  EXPECT_THAT(split("host=127.0.0.1,/run/x,::1 port=5000,6000,7000 password='it\\'s'"),
              ElementsAre("host='127.0.0.1' hostaddr='127.0.0.1' password='it\\'s' port='5000'",
                          "host='/run/x' password='it\\'s' port='6000'",
                          "host='::1' hostaddr='::1' password='it\\'s' port='7000'"));
  EXPECT_THAT(split("host=/a,/b port=5000 target_session_attrs=prefer-standby"),
              ElementsAre("host='/a' port='5000' target_session_attrs='standby'",
                          "host='/b' port='5000' target_session_attrs='standby'",
                          "host='/a' port='5000' target_session_attrs='any'",
                          "host='/b' port='5000' target_session_attrs='any'"));
  EXPECT_THAT(split("host=no.such.host.invalid,/a"), ElementsAre("host='/a'"));
  EXPECT_THROW(split("host=no.such.host.invalid"), Error);
  EXPECT_EQ(connect_timeout("host=a", milliseconds(700)), milliseconds(700));
  EXPECT_EQ(connect_timeout("connect_timeout=1", milliseconds(700)), milliseconds(2000));
  EXPECT_EQ(connect_timeout("connect_timeout=9", milliseconds(700)), milliseconds(9000));
}

// A host that accepts connections and says nothing, as behind a firewall that drops packets.
TEST_F(PostgresConnection, AHostThatHangsDoesNotHideTheNextOne) {
  asio::ip::tcp::acceptor hung(io_, {asio::ip::address_v4::loopback(), 0});
  const std::string own = server_.dsn();  // begins with host=DIRECTORY
  const std::string directory = own.substr(5, own.find(' ') - 5);
  connection_ = Connection::create(
      io_.get_executor(), {"dbname=postgres user=postgres target_session_attrs=read-write host=127.0.0.1," + directory +
                               " port=" + std::to_string(hung.local_endpoint().port()) + ",5432",
                           "test", milliseconds(300)});
  connection_->start();
  EXPECT_TRUE(test::run_until(io_, [&] { return connection_->connected(); }));
}

class PostgresPool : public PostgresConnection {
 protected:
  void open(milliseconds timeout) {
    pool_ = std::make_unique<Pool>(io_.get_executor(), ConnectionSettings{server_.dsn(), "pool", timeout, 100}, 1);
    pool_->start();
    ASSERT_TRUE(test::run_until(io_, [&] { return pool_->connected(); }));
  }

  // Starts a statement. The returned text is empty until it ends, and then its result, its SQLSTATE or its error.
  std::shared_ptr<std::string> begin(const char* sql, std::function<bool()> wanted = nullptr) {
    auto outcome = std::make_shared<std::string>();
    asio::co_spawn(io_, pool_->query(sql, kNoParams, std::move(wanted)),
                   [outcome](std::exception_ptr error, Result rows) {
                     try {
                       if (error) std::rethrow_exception(error);
                       *outcome = rows.text(0, 0);
                     } catch (const Error& failure) {
                       *outcome = failure.sqlstate().empty() ? failure.what() : failure.sqlstate();
                     }
                   });
    return outcome;
  }

  std::unique_ptr<Pool> pool_;
};

TEST_F(PostgresPool, PostgresCancelsAStatementAndTheConnectionStays) {
  open(milliseconds(300));
  const auto slow = begin("select pg_sleep(10)::text"), next = begin("select 'next'");
  ASSERT_TRUE(test::run_until(io_, [&] { return !slow->empty() && !next->empty(); }));
  EXPECT_EQ(*slow, "57014");
  EXPECT_EQ(*next, "next");
  EXPECT_TRUE(pool_->connected());
}

TEST_F(PostgresPool, AStatementThatNobodyWantsIsNotSent) {
  open(milliseconds(10'000));
  std::vector<std::shared_ptr<std::string>> sent;
  for (std::size_t i = 0; i < Pool::kDepth; ++i) sent.push_back(begin("select pg_sleep(0.02)::text || 'slept'"));
  bool asked = false;
  const auto unwanted = begin("select 1 / 0", [&] {
    asked = true;
    return false;
  });
  const auto wanted = begin("select 'wanted'", [] { return true; });
  ASSERT_TRUE(test::run_until(io_, [&] { return !unwanted->empty() && !wanted->empty() && !sent.back()->empty(); }));
  EXPECT_TRUE(asked);
  EXPECT_EQ(*unwanted, "nobody waits for the answer any more");
  EXPECT_EQ(*wanted, "wanted");
}

TEST_F(PostgresPool, AStatementThatWaitsForTooLongIsNotSent) {
  open(milliseconds(300));
  std::vector<std::shared_ptr<std::string>> outcomes;
  for (std::size_t i = 0; i < 4 * Pool::kDepth; ++i) outcomes.push_back(begin("select pg_sleep(0.1)::text || 'slept'"));
  ASSERT_TRUE(
      test::run_until(io_, [&] { return std::ranges::none_of(outcomes, [](auto& text) { return text->empty(); }); }));
  EXPECT_EQ(*outcomes.front(), "slept");
  EXPECT_EQ(*outcomes.back(), "Postgres was busy for too long");
  EXPECT_TRUE(pool_->connected());
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
