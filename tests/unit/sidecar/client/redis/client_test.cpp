// Tests the Redis client with real servers: without and with TLS, with passwords, as a cluster, frozen and stopped.
#include "client/redis/client.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
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
  options.password = Secret("right");
  connect(options);
  EXPECT_EQ(call({"GET", "k"}).status, Status::ok);
  options.user = "gate";
  options.password = Secret("own");
  connect(options);  // the user "gate" has no permission for PING
  EXPECT_EQ(call({"SET", "k", "v"}).status, Status::ok);
  EXPECT_EQ(call({"DEL", "k"}).status, Status::error);
  options.password = Secret("wrong");
  testing::internal::CaptureStderr();
  connect(options);
  EXPECT_EQ(call({"GET", "k"}).status, Status::disconnected);
  EXPECT_FALSE(client_->connected());
  options.user.clear();
  options.password = {};
  connect(options);
  EXPECT_EQ(call({"GET", "k"}).status, Status::disconnected);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("WRONGPASS"), std::string::npos) << log;
  EXPECT_NE(log.find("NOAUTH"), std::string::npos) << log;
}

TEST_F(RedisClientTest, AConnectionThatIsNoLongerAuthenticatedIsReplaced) {
  RedisServer server({"--requirepass", "right"});
  Options options = server.options();
  options.password = Secret("right");
  connect(options);
  EXPECT_EQ(call({"RESET"}).text(), "RESET");  // ends the session, as a proxy may do
  EXPECT_TRUE(call({"GET", "k"}).text().starts_with("NOAUTH"));
  ASSERT_TRUE(test::run_until(io_, [&] { return call({"GET", "k"}).status == Status::ok; }));
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
    options.seeds = {{"127.0.0.1", acceptor.local_endpoint().port()}};
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
  options.seeds = {{"127.0.0.1", static_cast<std::uint16_t>(test::free_port())}};
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected);
  options.seeds.front().host = "no-such-host.invalid";
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
  options.seeds = {{"localhost", static_cast<std::uint16_t>(port)}};
  options.tls_files.ca_file = scratch.path("cert");
  options.timeout = std::chrono::seconds(20);
  connect(options);
  EXPECT_EQ(call({"SET", "k", std::string(100'000, 'x')}).status, Status::ok);
  EXPECT_EQ(call({"STRLEN", "k"}).reply->integer, 100'000);
  options.seeds.front().host = "127.0.0.1";
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected) << "the certificate is for another host name";
  options.seeds.front().host = "localhost";
  options.tls_files.ca_file = scratch.path("other");
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected) << "the certificate is of another authority";
  options.tls_files.ca_file.clear();
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected) << "the system does not know this authority";
  options.tls_files.ca_file = scratch.path("key");
  EXPECT_THROW(Client(io_.get_executor(), options), std::runtime_error);
}

TEST_F(RedisClientTest, AServerThatAsksForACertificateGetsTheOneOfTheOptions) {
  test::Scratch scratch;
  test::make_certificate("localhost", scratch.path("cert"), scratch.path("key"));
  const int port = test::free_port();
  RedisServer server({"--tls-port", std::to_string(port), "--tls-cert-file", scratch.path("cert"), "--tls-key-file",
                      scratch.path("key"), "--tls-ca-cert-file", scratch.path("cert"), "--tls-auth-clients", "yes"});
  Options options;
  options.tls = true;
  options.seeds = {{"localhost", static_cast<std::uint16_t>(port)}};
  options.tls_files.ca_file = scratch.path("cert");
  options.timeout = std::chrono::seconds(20);
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected) << "without a certificate";
  options.tls_files.cert_file = scratch.path("cert");
  options.tls_files.key_file = scratch.path("key");
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::ok);
}

// A simulated node: it answers PING, and any other command with `answer`.
asio::awaitable<void> serve_node(asio::ip::tcp::acceptor& acceptor, std::string answer) {
  asio::ip::tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
  std::array<char, 1024> bytes;
  for (;;) {
    const std::size_t size = co_await socket.async_read_some(asio::buffer(bytes), asio::use_awaitable);
    const bool ping = std::string_view(bytes.data(), size).find("PING") != std::string_view::npos;
    const std::string reply = ping ? "+PONG\r\n" : answer;
    co_await asio::async_write(socket, asio::buffer(reply), asio::use_awaitable);
  }
}

TEST_F(RedisClientTest, AMasterThatHasBecomeAReplicaIsLeft) {
  for (const std::string answer :
       {"-READONLY You can't write against a read only replica.\r\n",
        "-ERR Error running script (call to f_0): @user_script:2: @user_script: 2: -READONLY You can't write against a "
        "read only replica.\r\n",
        "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n"}) {
    asio::ip::tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
    asio::co_spawn(io_, serve_node(acceptor, answer), asio::detached);
    Options options;
    options.seeds = {{"127.0.0.1", acceptor.local_endpoint().port()}};
    options.timeout = std::chrono::seconds(5);
    connect(options);
    EXPECT_EQ(call({"INCR", "k"}).status, Status::error);
    EXPECT_TRUE(test::run_until(io_, [&] { return !client_->connected(); })) << answer;
  }
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
    options_ = one_.options();
    options_.timeout = std::chrono::seconds(20);
    connect(options_);
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

  Options options_;
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

TEST_F(RedisClientTest, AnEmptyHostOfARedirectionIsTheHostOfTheNodeThatAnswered) {
  const auto other = asio::ip::make_address("127.0.0.2");
  asio::ip::tcp::acceptor first(io_, {asio::ip::address_v4::loopback(), 0}), second(io_, {other, 0}),
      third(io_, {other, 0});
  const auto port = [](const auto& acceptor) { return std::to_string(acceptor.local_endpoint().port()); };
  asio::co_spawn(io_, serve_node(first, "-MOVED 5061 127.0.0.2:" + port(second) + "\r\n"), asio::detached);
  asio::co_spawn(io_, serve_node(second, "-MOVED 5061 :" + port(third) + "\r\n"), asio::detached);
  asio::co_spawn(io_, serve_node(third, "+third\r\n"), asio::detached);
  Options options;
  options.seeds = {{"127.0.0.1", first.local_endpoint().port()}};
  options.timeout = std::chrono::seconds(5);
  connect(options);
  EXPECT_EQ(call({"GET", "bar"}, "bar").text(), "third");
}

TEST_F(RedisClusterTest, ADeadSeedIsNoProblemWhileAnotherOneIsAlive) {
  options_.seeds.insert(options_.seeds.begin(), {"127.0.0.1", static_cast<std::uint16_t>(test::free_port())});
  connect(options_);
  ASSERT_TRUE(connects());
  for (const std::string_view key : {"foo", "bar"}) EXPECT_EQ(call({"INCR", key}, key).status, Status::ok);
}

TEST_F(RedisClusterTest, ADeadNodeIsLoggedAtMostOncePerSecondAndTriedByOneConnection) {
  ASSERT_EQ(call({"INCR", "foo"}, "foo").status, Status::ok);  // node two serves this key
  ASSERT_EQ(call({"INCR", "bar"}, "bar").status, Status::ok);
  testing::internal::CaptureStderr();
  two_.stop();
  asio::ip::tcp::acceptor acceptor(io_);  // takes the port of the dead node, and counts the attempts to connect
  acceptor.open(asio::ip::tcp::v4());
  acceptor.set_option(asio::socket_base::reuse_address(true));
  acceptor.bind({asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(two_.port())});
  acceptor.listen();
  int attempts = 0;
  asio::co_spawn(
      io_,
      [&]() -> asio::awaitable<void> {
        for (;;) {
          asio::ip::tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
          ++attempts;  // the socket closes at once, as the one of a node that fails
        }
      },
      asio::detached);
  const auto began = Clock::now();
  while (Clock::now() - began < std::chrono::milliseconds(2500)) call({"INCR", "foo"}, "foo");
  const std::string log = testing::internal::GetCapturedStderr();
  acceptor.close();
  const auto lines = std::count(log.begin(), log.end(), '\n');
  EXPECT_GE(lines, 1) << log;
  EXPECT_LE(lines, 3) << log;
  EXPECT_GE(attempts, 1);
  EXPECT_LE(attempts, 10);
}

TEST_F(RedisClusterTest, ACommandWhoseKeysAreBeingMovedIsRepeated) {
  options_.timeout = std::chrono::seconds(5);
  connect(options_);
  ASSERT_EQ(call({"SET", "{bar}a", "1"}, "{bar}a").status, Status::ok);
  const std::string one = one_.command({"CLUSTER", "MYID"}), two = two_.command({"CLUSTER", "MYID"});
  two_.command({"CLUSTER", "SETSLOT", "5061", "IMPORTING", one});
  one_.command({"CLUSTER", "SETSLOT", "5061", "MIGRATING", two});
  ASSERT_EQ(one_.command({"MGET", "{bar}a", "{bar}b"}).substr(0, 8), "TRYAGAIN");
  std::optional<Result> result;
  asio::co_spawn(io_, client_->call(Command({"MGET", "{bar}a", "{bar}b"}, "{bar}")),
                 [&](std::exception_ptr, Result got) { result = std::move(got); });
  io_.restart();
  io_.run_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(result.has_value());
  one_.command({"MIGRATE", "127.0.0.1", std::to_string(two_.port()), "{bar}a", "0", "5000"});
  for (const RedisServer* node : {&two_, &one_}) node->command({"CLUSTER", "SETSLOT", "5061", "NODE", two});
  ASSERT_TRUE(test::run_until(io_, [&] { return result.has_value(); }));
  EXPECT_EQ(result->status, Status::ok) << result->text();
}

TEST_F(RedisClientTest, SeveralSeedsMustBeNodesOfACluster) {
  RedisServer one, two;
  Options options = one.options();
  options.seeds.push_back(two.options().seeds.front());
  testing::internal::CaptureStderr();
  connect(options);
  EXPECT_EQ(call({"PING"}).status, Status::disconnected);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("is not a node of a cluster; name one server"),
            std::string::npos);
}

TEST_F(RedisClientTest, ConnectsToAUnixSocket) {
  test::Scratch scratch;
  RedisServer server({"--unixsocket", scratch.path("redis.sock")});
  connect(parse_url("unix://" + scratch.path("redis.sock") + "?db=2"));
  ASSERT_TRUE(connects());  // Redis listens on its socket a moment after it listens on its port
  EXPECT_EQ(call({"SET", "k", "v"}).status, Status::ok);
  EXPECT_NE(server.command({"INFO", "keyspace"}).find("db2:keys=1"), std::string::npos);
}

TEST_F(RedisClientTest, AReplicaIsNotConnectedAgainUntilItIsAMaster) {
  RedisServer server;
  connect(server.options());
  ASSERT_TRUE(connects());
  server.command({"REPLICAOF", "127.0.0.1", "1"});
  EXPECT_EQ(call({"SET", "k", "v"}).status, Status::error);
  ASSERT_TRUE(test::run_until(io_, [&] { return !client_->connected(); }));
  const auto until = Clock::now() + std::chrono::milliseconds(1500);
  while (Clock::now() < until) {
    io_.restart();
    io_.run_for(std::chrono::milliseconds(20));
    ASSERT_FALSE(client_->connected());
  }
  server.command({"REPLICAOF", "NO", "ONE"});
  ASSERT_TRUE(connects());
  EXPECT_EQ(call({"SET", "k", "v"}).status, Status::ok);
}

// Runs a master, its replica and a sentinel. Another sentinel of the settings is dead.
class RedisSentinelTest : public RedisClientTest {
 protected:
  Options options(const std::string& master = "mine") const {
    Options options;
    options.timeout = std::chrono::seconds(5);
    options.sentinel_master = master;
    options.seeds = {{"127.0.0.1", static_cast<std::uint16_t>(test::free_port())},
                     {"127.0.0.1", static_cast<std::uint16_t>(sentinel_.port())}};
    return options;
  }

  RedisServer master_;
  RedisServer replica_{{"--replicaof", "127.0.0.1 " + std::to_string(master_.port())}};
  test::RedisSentinel sentinel_{"mine", master_.port()};
};

TEST_F(RedisSentinelTest, FindsTheMasterAlsoWhenASentinelIsDead) {
  connect(options());
  ASSERT_TRUE(connects());
  EXPECT_EQ(call({"SET", "k", "v"}).status, Status::ok);
  EXPECT_EQ(master_.command({"GET", "k"}), "v");
}

TEST_F(RedisSentinelTest, FollowsAFailover) {
  connect(options());
  ASSERT_TRUE(connects());
  master_.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return call({"SET", "k", "new"}).status == Status::ok; }));
  EXPECT_EQ(replica_.command({"GET", "k"}), "new");
}

TEST_F(RedisSentinelTest, SaysWhichSentinelsWereAskedInVain) {
  testing::internal::CaptureStderr();
  connect(options("another"));
  EXPECT_EQ(call({"PING"}).status, Status::disconnected);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("no sentinel names the master"), std::string::npos) << log;
  EXPECT_NE(log.find("it knows no such master"), std::string::npos) << log;
  EXPECT_NE(log.find("Connection refused"), std::string::npos) << log;
}

}  // namespace
}  // namespace sealcast::client::redis
