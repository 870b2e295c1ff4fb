// Tests the Redis client with real servers: without and with TLS, with passwords, as a cluster, frozen and stopped.
#include "client/redis/client.h"

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <map>

#include "base/asio.h"
#include "support/async.h"
#include "support/certificate.h"
#include "support/redis_server.h"

namespace sealcast::client::redis {
namespace {

using test::RedisServer;

class RedisClientTest : public testing::Test {
 protected:
  Client& connect(Options options) {
    client_ = std::make_unique<Client>(io_.get_executor(), std::move(options));
    client_->start();
    return *client_;
  }
  Result call(std::initializer_list<std::string_view> words, std::string_view key = {}) {
    return test::await(io_, client_->call(Command(words, key)));
  }
  bool connects() {
    return test::run_until(io_, [&] { return client_->connected(); });
  }

  asio::io_context io_;
  std::unique_ptr<Client> client_;
};

TEST(RedisUrlTest, ParsesHostPortUserPasswordAndDatabase) {
  Options options = parse_url("redis://localhost");
  EXPECT_EQ(options.address.host, "localhost");
  EXPECT_EQ(options.address.port, 6379);
  EXPECT_FALSE(options.tls);
  EXPECT_EQ(options.database, 0);
  options = parse_url("rediss://us%40er:p%3Aw@[::1]:7000/12");
  EXPECT_TRUE(options.tls);
  EXPECT_EQ(options.user, "us@er");
  EXPECT_EQ(options.password, "p:w");
  EXPECT_EQ(options.address.host, "::1");
  EXPECT_EQ(options.address.port, 7000);
  EXPECT_EQ(options.database, 12);
  EXPECT_EQ(parse_url("redis://:secret@h/").password, "secret");
  for (const char* bad : {"", "redis:/h", "http://h", "redis://", "redis://:0", "redis://h:70000", "redis://h/db",
                          "redis://h:1x", "redis://%4@h", "redis://[::1", "redis://[::1]x", "redis://[::1]x:1",
                          "redis://[::1]x1", "redis://[]", "redis://[[::1]", "redis://h]", "redis://::1"}) {
    EXPECT_THROW(parse_url(bad), std::invalid_argument) << bad;
  }
}

TEST(RedisRedirectionTest, ParsesMovedAndAsk) {
  const auto moved = parse_redirection("MOVED 3999 10.0.0.2:6381", "home");
  ASSERT_TRUE(moved);
  EXPECT_FALSE(moved->ask);
  EXPECT_EQ(moved->slot, 3999U);
  EXPECT_EQ(moved->address.host, "10.0.0.2");
  EXPECT_EQ(moved->address.port, 6381);
  const auto ask = parse_redirection("ASK 1 :6381", "home");
  ASSERT_TRUE(ask);
  EXPECT_TRUE(ask->ask);
  EXPECT_EQ(ask->address.host, "home");
  for (const char* text : {"", "MOVED", "MOVED 1", "MOVED 1 h", "MOVED 16384 h:1", "MOVED x h:1", "MOVED 1x h:1",
                           "MOVED 1 h:65536", "MOVED 1 h:1x", "MOVED 1 a b:1", "ERR MOVED 1 h:1"}) {
    EXPECT_FALSE(parse_redirection(text, "home")) << text;
  }
}

TEST(RedisCommandTest, HasItsWireFormAndTheSlotOfItsKey) {
  const Command command({"SET", std::string_view("a\0b", 3), ""}, "a");
  EXPECT_EQ(command.bytes(), std::string_view("*3\r\n$3\r\nSET\r\n$3\r\na\0b\r\n$0\r\n\r\n", 28));
  EXPECT_EQ(Command({"GET", "x"}).slot(), -1);
  // The expected slots are the results of the Redis command CLUSTER KEYSLOT.
  EXPECT_EQ(Command({"GET", "x"}, "123456789").slot(), 12739);
  EXPECT_EQ(Command({"GET", "x"}, "foo{hash_tag}").slot(), Command({"GET", "x"}, "hash_tag").slot());
  EXPECT_EQ(Command({"GET", "x"}, "foo{}{bar}").slot(), 8363);
  EXPECT_EQ(Command({"GET", "x"}, "{user1000}.following").slot(), 3443);
}

TEST_F(RedisClientTest, ReadsRepliesOfEveryKind) {
  RedisServer server;
  connect(server.options());
  EXPECT_EQ(call({"SET", "k", std::string_view("v\0w", 3)}).text(), "OK");
  EXPECT_EQ(call({"GET", "k"}).text(), std::string_view("v\0w", 3));
  EXPECT_EQ(call({"GET", "absent"}).reply->type, REDIS_REPLY_NIL);
  EXPECT_EQ(call({"INCR", "n"}).reply->integer, 1);
  const Result array = call({"MGET", "k", "absent", "n"});
  ASSERT_EQ(array.reply->elements, 3u);
  EXPECT_EQ(array.reply->element[1]->type, REDIS_REPLY_NIL);
  const Result error = call({"INCR", "k"});
  EXPECT_EQ(error.status, Status::error);
  EXPECT_EQ(error.text(), "ERR value is not an integer or out of range");
  const std::string large(3 * 1024 * 1024, 'x');
  EXPECT_EQ(call({"SET", "large", large}).status, Status::ok);
  EXPECT_EQ(call({"GET", "large"}).text(), large);
}

TEST_F(RedisClientTest, ConcurrentCallsAreAnsweredInOrder) {
  RedisServer server;
  Client& client = connect(server.options());
  std::vector<std::string> answers;
  for (int i = 0; i < 1000; ++i) {
    asio::co_spawn(io_, client.call(Command({"ECHO", std::to_string(i)})),
                   [&](std::exception_ptr, Result result) { answers.emplace_back(result.text()); });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return answers.size() == 1000; }));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(answers[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST_F(RedisClientTest, SelectsTheDatabase) {
  RedisServer server;
  Options options = server.options();
  options.database = 3;
  connect(options);
  EXPECT_EQ(call({"SET", "k", "v"}).status, Status::ok);
  EXPECT_EQ(server.command({"GET", "k"}), "");
  EXPECT_NE(server.command({"INFO", "keyspace"}).find("db3:keys=1"), std::string::npos);
}

TEST_F(RedisClientTest, AuthenticatesWithPasswordsAndUsers) {
  RedisServer server({"--requirepass", "right"});
  server.command({"ACL", "SETUSER", "gate", "on", ">own", "~*", "+get", "+set"}, "right");
  Options options = server.options();
  options.password = "right";
  connect(options);
  EXPECT_EQ(call({"GET", "k"}).status, Status::ok);
  options.user = "gate";
  options.password = "own";
  connect(options);  // the user "gate" has no permission for PING
  EXPECT_EQ(call({"SET", "k", "v"}).status, Status::ok);
  EXPECT_EQ(call({"DEL", "k"}).status, Status::error);
  options.password = "wrong";
  testing::internal::CaptureStderr();
  connect(options);
  EXPECT_EQ(call({"GET", "k"}).status, Status::disconnected);
  EXPECT_FALSE(client_->connected());
  options.user.clear();
  options.password.clear();
  connect(options);
  EXPECT_EQ(call({"GET", "k"}).status, Status::disconnected);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("WRONGPASS"), std::string::npos) << log;
  EXPECT_NE(log.find("NOAUTH"), std::string::npos) << log;
}

TEST_F(RedisClientTest, ALostConnectionFailsAllItsCallsAtOnceAndReconnects) {
  RedisServer server;
  Options options = server.options();
  options.timeout = std::chrono::seconds(20);
  Client& client = connect(options);
  ASSERT_TRUE(connects());
  server.freeze();
  std::vector<Status> statuses;
  for (int i = 0; i < 100; ++i) {
    asio::co_spawn(io_, client.call(Command({"PING"})),
                   [&](std::exception_ptr, Result result) { statuses.push_back(result.status); });
  }
  io_.restart();
  io_.run_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(statuses.empty());
  server.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return statuses.size() == 100; }));
  EXPECT_EQ(statuses, std::vector<Status>(100, Status::disconnected));
  const auto began = Clock::now();
  EXPECT_EQ(call({"PING"}).status, Status::disconnected);
  EXPECT_LT(Clock::now() - began, std::chrono::seconds(1)) << "a call without a connection must fail at once";
  server.start();
  ASSERT_TRUE(connects());
  EXPECT_EQ(call({"PING"}).status, Status::ok);
}

TEST_F(RedisClientTest, CallsToAFrozenServerTimeOutAndThenTheConnectionIsClosed) {
  RedisServer server;
  Options options = server.options();
  options.timeout = std::chrono::milliseconds(50);
  connect(options);
  ASSERT_TRUE(connects());
  server.freeze();
  const auto began = Clock::now();
  EXPECT_EQ(call({"PING"}).status, Status::timed_out);
  const auto waited = Clock::now() - began;
  EXPECT_GE(waited, std::chrono::milliseconds(50));
  EXPECT_LT(waited, std::chrono::milliseconds(500));
  EXPECT_FALSE(client_->connected()) << "readiness must report it";
  server.thaw();
  ASSERT_TRUE(connects());
  EXPECT_EQ(call({"ECHO", "new"}).text(), "new") << "a late reply must not answer another call";
  server.freeze();
  ASSERT_TRUE(test::run_until(io_, [&] { return call({"PING"}).status == Status::disconnected; }));
  server.thaw();
  ASSERT_TRUE(connects());
}

TEST_F(RedisClientTest, LimitsTheNumberOfWaitingCalls) {
  RedisServer server;
  Options options = server.options();
  options.max_waiting = 10;
  Client& client = connect(options);
  ASSERT_TRUE(connects());
  std::map<Status, int> statuses;
  for (int i = 0; i < 15; ++i) {
    asio::co_spawn(io_, client.call(Command({"PING"})),
                   [&](std::exception_ptr, Result result) { ++statuses[result.status]; });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return statuses[Status::ok] + statuses[Status::overloaded] == 15; }));
  EXPECT_EQ(statuses[Status::overloaded], 5);
}

TEST_F(RedisClientTest, ClosesAConnectionWithUnreadableReplies) {
  Options options;
  options.timeout = std::chrono::seconds(20);
  options.max_reply = 100'000;
  for (const std::string& bytes :
       {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string("+PONG\r\n*2147483647\r\n"),
        "+PONG\r\n$1000000\r\n" + std::string(200'000, 'x'), "+PONG\r\n+" + std::string(200'000, 'x')}) {
    asio::ip::tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
    std::optional<asio::ip::tcp::socket> socket;
    asio::co_spawn(
        io_,
        [&]() -> asio::awaitable<void> {
          socket = co_await acceptor.async_accept(asio::use_awaitable);
          boost::system::error_code ignored;
          co_await asio::async_write(*socket, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, ignored));
        },
        asio::detached);
    options.address = {"127.0.0.1", acceptor.local_endpoint().port()};
    connect(options);
    EXPECT_EQ(call({"PING"}).status, Status::disconnected) << bytes.substr(0, 30);
  }
}

TEST_F(RedisClientTest, ACallDuringTheFirstAttemptToConnectWaitsForIt) {
  RedisServer server;
  connect(server.options());
  EXPECT_FALSE(client_->connected());
  EXPECT_EQ(call({"PING"}).status, Status::ok);
}

TEST_F(RedisClientTest, CallsFailWhenNoServerListens) {
  Options options;
  options.address = {"127.0.0.1", static_cast<std::uint16_t>(test::free_port())};
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected);
  options.address.host = "no-such-host.invalid";
  options.timeout = std::chrono::seconds(20);
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected);
}

TEST_F(RedisClientTest, StoppingFailsWaitingCalls) {
  RedisServer server;
  Client& client = connect(server.options());
  ASSERT_TRUE(connects());
  server.freeze();
  std::optional<Status> status;
  asio::co_spawn(io_, client.call(Command({"PING"})),
                 [&](std::exception_ptr, Result result) { status = result.status; });
  io_.restart();
  io_.run_for(std::chrono::milliseconds(20));
  client_.reset();
  ASSERT_TRUE(test::run_until(io_, [&] { return status.has_value(); }));
  EXPECT_EQ(*status, Status::disconnected);
}

TEST_F(RedisClientTest, TlsVerifiesTheAuthorityAndTheHostName) {
  test::Scratch scratch;
  test::make_certificate("localhost", scratch.path("cert"), scratch.path("key"));
  test::make_certificate("localhost", scratch.path("other"), scratch.path("other_key"));
  const int port = test::free_port();
  RedisServer server({"--tls-port", std::to_string(port), "--tls-cert-file", scratch.path("cert"), "--tls-key-file",
                      scratch.path("key"), "--tls-ca-cert-file", scratch.path("cert"), "--tls-auth-clients", "no"});
  Options options;
  options.tls = true;
  options.address = {"localhost", static_cast<std::uint16_t>(port)};
  options.ca_file = scratch.path("cert");
  options.timeout = std::chrono::seconds(20);
  connect(options);
  EXPECT_EQ(call({"SET", "k", std::string(100'000, 'x')}).status, Status::ok);
  EXPECT_EQ(call({"STRLEN", "k"}).reply->integer, 100'000);
  options.address.host = "127.0.0.1";
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected) << "the certificate is for another host name";
  options.address.host = "localhost";
  options.ca_file = scratch.path("other");
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected) << "the certificate is of another authority";
  options.ca_file.clear();
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected) << "the system does not know this authority";
  options.ca_file = scratch.path("key");
  EXPECT_THROW(Client(io_.get_executor(), options), std::runtime_error);
}

// Runs a cluster of two nodes. Each node serves half of the slots.
class RedisClusterTest : public RedisClientTest {
 protected:
  RedisClusterTest() {
    one_.command({"CLUSTER", "ADDSLOTSRANGE", "0", "8191"});
    two_.command({"CLUSTER", "ADDSLOTSRANGE", "8192", "16383"});
    one_.command({"CLUSTER", "SET-CONFIG-EPOCH", "1"});
    two_.command({"CLUSTER", "SET-CONFIG-EPOCH", "2"});
    one_.command({"CLUSTER", "MEET", "127.0.0.1", std::to_string(two_.port()), std::to_string(two_bus_)});
    const auto ok = [](const RedisServer& node) {
      return node.command({"CLUSTER", "INFO"}).find("cluster_state:ok") != std::string::npos;
    };
    EXPECT_TRUE(test::run_until(io_, [&] { return ok(one_) && ok(two_); })) << "the cluster is not ready";
    Options options = one_.options();
    options.timeout = std::chrono::seconds(20);
    connect(options);
  }

  static std::vector<std::string> node_options(int bus) {
    return {"--cluster-enabled", "yes", "--cluster-port", std::to_string(bus), "--cluster-node-timeout", "15000"};
  }

  // Returns how many redirections of this kind (MOVED or ASK) the node has sent so far.
  static std::string errors(const RedisServer& node, const std::string& kind) {
    const std::string info = node.command({"INFO", "errorstats"});
    const auto at = info.find("errorstat_" + kind + ":count=");
    return at == std::string::npos ? "0"
                                   : info.substr(at + 17 + kind.size(), info.find('\r', at) - at - 17 - kind.size());
  }

  int two_bus_ = test::free_port();
  RedisServer one_{node_options(test::free_port())};
  RedisServer two_{node_options(two_bus_)};
};

TEST_F(RedisClusterTest, FollowsAndRemembersMoved) {
  for (int round = 0; round < 3; ++round) {
    for (const std::string_view key : {"foo", "bar", "{user1000}.x"}) {  // slots 12182, 5061 and 3443
      const Result result = call({"INCR", key}, key);
      ASSERT_EQ(result.status, Status::ok) << result.text();
      EXPECT_EQ(result.reply->integer, round + 1);
    }
  }
  EXPECT_EQ(errors(one_, "MOVED"), "1") << "later calls for a moved slot go to its new node at once";
}

TEST_F(RedisClusterTest, FollowsAskOnlyForOneCommand) {
  const std::string one = one_.command({"CLUSTER", "MYID"});
  const std::string two = two_.command({"CLUSTER", "MYID"});
  two_.command({"CLUSTER", "SETSLOT", "5061", "IMPORTING", one});
  one_.command({"CLUSTER", "SETSLOT", "5061", "MIGRATING", two});
  for (int round = 0; round < 2; ++round) {
    const Result result = call({"INCR", "bar"}, "bar");
    ASSERT_EQ(result.status, Status::ok) << result.text();
    EXPECT_EQ(result.reply->integer, round + 1);
  }
  EXPECT_EQ(errors(one_, "ASK"), "2") << "until the slot has moved, each call starts at its owner";
}

}  // namespace
}  // namespace sealcast::client::redis
