// Tests the gate socket with clients that write raw bytes, against a gate with scripted answers.
#include "message/gate_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <list>

#include "base/asio.h"
#include "base/event.h"
#include "support/async.h"
#include "support/scratch.h"

namespace sealcast::message {
namespace {

const std::string kSender = "0a8f4a52-1c1e-4b8e-9d7e-3f2a1b0c9d8e";
const std::string kStream = "11111111-2222-4333-8444-555555555555";
const std::string kTxn = "00000000-0000-4000-8000-000000000001";

class FixedTypes final : public LimitsSource {
 public:
  asio::awaitable<std::vector<TypeRow>> gate_limits() override {
    co_return std::vector<TypeRow>{{"chat", 16'384, 7, R"({"moderator":50})", false, 2}};
  }
  asio::awaitable<std::vector<RuledStream>> gate_rules() override { co_return ruled; }
  asio::awaitable<std::vector<std::string>> roles_of(std::vector<Membership> memberships) override {
    co_return std::vector<std::string>(memberships.size(), role);
  }
  std::vector<RuledStream> ruled;
  std::string role = "moderator";
};

// A gate that answers check number i with answers[i]. Of simultaneous checks it answers the later ones first, so that
// the test sees whether the socket restores the order. Delays all answers while `hold` is set.
class ScriptedGate final : public Gate {
 public:
  explicit ScriptedGate(asio::io_context& io) : io_(io), released_(io.get_executor()) {}

  asio::awaitable<GateAnswer> check(GateRequest request) override {
    requests.push_back(request);
    const std::size_t index = requests.size() - 1;
    if (hold) co_await released_.wait_until();
    for (std::size_t i = index; i < 8; ++i) co_await asio::post(io_, asio::use_awaitable);
    co_return index < answers.size() ? answers[index] : GateAnswer{GateOutcome::pass, request.limit, 0, {}};
  }
  bool ready() const override { return true; }
  void release() {
    hold = false;
    released_.set();
  }

  std::vector<GateRequest> requests;
  std::vector<GateAnswer> answers;
  bool hold = false;

 private:
  asio::io_context& io_;
  Event released_;
};

class RawClient {
 public:
  explicit RawClient(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    connected = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void send(std::string_view bytes) {
    EXPECT_EQ(::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // Returns all bytes that have arrived so far.
  const std::string& received() {
    char buffer[4096];
    ssize_t size;
    while ((size = ::recv(socket_, buffer, sizeof buffer, 0)) > 0)
      received_.append(buffer, static_cast<std::size_t>(size));
    closed = closed || size == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    return received_;
  }

  bool connected;
  bool closed = false;

 private:
  int socket_;
  std::string received_;
};

class GateSocketTest : public testing::Test {
 protected:
  GateSocketTest() {
    test::await(io_, limits_.refresh());
    server_ = std::make_unique<GateSocket>(io_.get_executor(), gate_, limits_, metrics_, settings(path_));
    server_->start();
  }

  static config::Settings::Gate settings(const std::string& path, const std::string& group = {}) {
    config::Settings::Gate settings{};
    settings.socket = path;
    settings.socket_group = group;
    return settings;
  }
  static std::string line(const std::string& t = "chat", const std::string& txn = kTxn) {
    return "check " + kSender + " " + kStream + " " + t + " " + txn + "\n";
  }
  bool receives(RawClient& client, const std::string& expected) {
    const bool arrived =
        test::run_until(io_, [&] { return client.received().size() >= expected.size() || client.closed; });
    EXPECT_EQ(client.received(), expected);
    return arrived && client.received() == expected;
  }
  bool closes(RawClient& client) {
    return test::run_until(io_, [&] {
      client.received();
      return client.closed;
    });
  }
  std::string start_error(const std::string& path, const std::string& group = {}) {
    GateSocket server(io_.get_executor(), gate_, limits_, metrics_, settings(path, group));
    try {
      server.start();
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "no error";
  }

  test::Scratch scratch_;
  std::string path_ = scratch_.path("gate.sock");
  asio::io_context io_;
  Metrics metrics_;
  FixedTypes source_;
  Limits limits_{io_.get_executor(), source_, std::chrono::milliseconds(5000)};
  ScriptedGate gate_{io_};
  std::unique_ptr<GateSocket> server_;
};

TEST_F(GateSocketTest, EachOutcomeHasItsLine) {
  gate_.answers = {{GateOutcome::pass, 5, 4, std::chrono::milliseconds(900)},
                   {GateOutcome::seen, 5, 3, std::chrono::milliseconds(900)},
                   {GateOutcome::limited, 5, 0, std::chrono::milliseconds(417)},
                   {GateOutcome::unavailable, 5, 0, std::chrono::milliseconds(1000)}};
  RawClient client(path_);
  std::string expected;
  for (const char* answer : {"pass\n", "seen\n", "limited 417 5\n", "unavailable 1000\n"}) {
    client.send(line());
    ASSERT_TRUE(receives(client, expected += answer));
  }
  EXPECT_EQ(metrics_.socket_checks.Value(), 4);
}

TEST_F(GateSocketTest, TheGateIsAskedWithTheLimitOfTypeAndRole) {
  RawClient client(path_);
  client.send("check 0A8F4A52-1C1E-4B8E-9D7E-3F2A1B0C9D8E " + kStream + " chat " + kTxn + "\n" + line("nonsense"));
  ASSERT_TRUE(receives(client, "pass\npass\n"));
  ASSERT_EQ(gate_.requests.size(), 2u);
  auto& chat = gate_.requests[gate_.requests[0].t == "chat" ? 0 : 1];
  auto& unknown = gate_.requests[gate_.requests[0].t == "chat" ? 1 : 0];
  EXPECT_EQ(chat.sender_id, kSender);
  EXPECT_EQ(chat.txn_id, kTxn);
  EXPECT_EQ(chat.limit, 50);
  EXPECT_EQ(unknown.t, kUnknownType);
  EXPECT_EQ(unknown.limit, Limits::kUnknownTypeRate);
}

TEST_F(GateSocketTest, PipelinedChecksAreAnsweredInOrder) {
  for (int i = 0; i < 8; ++i) gate_.answers.push_back({GateOutcome::limited, 5, 0, std::chrono::milliseconds(i)});
  RawClient client(path_);
  std::string lines;
  for (int i = 0; i < 8; ++i) lines += line("nonsense");  // the gate answers the last check first
  client.send(lines);
  EXPECT_TRUE(receives(
      client,
      "limited 0 5\nlimited 1 5\nlimited 2 5\nlimited 3 5\nlimited 4 5\nlimited 5 5\nlimited 6 5\nlimited 7 5\n"));
}

TEST_F(GateSocketTest, ChecksAboveTheBoundWaitUntilEarlierOnesAreAnswered) {
  gate_.hold = true;
  RawClient client(path_);
  std::string lines, expected;
  for (std::size_t i = 0; i < 3 * GateSocket::kMaxPipelined; ++i) {
    lines += line("nonsense");
    expected += "pass\n";
  }
  client.send(lines);
  ASSERT_TRUE(test::run_until(io_, [&] { return gate_.requests.size() >= 20; }));
  io_.restart();
  io_.run_for(std::chrono::milliseconds(20));
  EXPECT_LE(gate_.requests.size(), GateSocket::kMaxPipelined);
  gate_.release();
  EXPECT_TRUE(receives(client, expected));
}

TEST_F(GateSocketTest, ALineMayArriveInPieces) {
  RawClient client(path_);
  for (const char c : line()) {
    client.send(std::string_view(&c, 1));
    io_.restart();
    io_.poll();
  }
  EXPECT_TRUE(receives(client, "pass\n"));
}

TEST_F(GateSocketTest, AnInvalidLineGetsAnErrorAndEndsTheConnection) {
  const std::string id = kSender;
  for (const std::string& bad :
       {std::string("\n"), std::string("check\n"), "check " + id + " " + id + " chat\n",
        "check " + id + " " + id + " chat " + id + " more\n", "check  " + id + " " + id + " chat " + id + "\n",
        "check " + id + " " + id + " Chat " + id + "\n", "check " + id + " " + id + " ? " + id + "\n",
        "check " + id + " " + id + " " + std::string(65, 'a') + " " + id + "\n", "check x " + id + " chat " + id + "\n",
        "CHECK " + id + " " + id + " chat " + id + "\n", "check " + id + " " + id + " chat " + id + " \n",
        "check " + id + " " + id + " chat " + id + "\r\n", std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string("check\0\n", 7)}) {
    RawClient client(path_);
    client.send(bad);
    EXPECT_TRUE(closes(client)) << bad;
    EXPECT_EQ(client.received(), "error expected: check <sender_id> <stream_id> <t> <txn_id> [<text>]\n") << bad;
  }
  EXPECT_TRUE(gate_.requests.empty());
}

TEST_F(GateSocketTest, TheChecksBeforeAnInvalidLineAreAnswered) {
  RawClient client(path_);
  client.send(line() + line() + "nonsense\n" + line());
  EXPECT_TRUE(closes(client));
  EXPECT_EQ(client.received(), "pass\npass\nerror expected: check <sender_id> <stream_id> <t> <txn_id> [<text>]\n");
}

TEST_F(GateSocketTest, ALongLineIsRefusedBeforeItsEndArrives) {
  RawClient client(path_);
  client.send(std::string(513, 'x') + "\n");
  EXPECT_TRUE(closes(client));
  EXPECT_EQ(client.received(), "error line over 512 bytes\n");
  RawClient endless(path_);
  endless.send(std::string(5000, 'x'));
  EXPECT_TRUE(closes(endless));
  EXPECT_EQ(endless.received(), "error line over 512 bytes\n");
  EXPECT_EQ(metrics_.socket_errors.Value(), 2);
}

TEST_F(GateSocketTest, AClosedConnectionIsNoLongerCounted) {
  gate_.hold = true;
  {
    RawClient client(path_);
    client.send(line() + line());
    ASSERT_TRUE(test::run_until(io_, [&] { return gate_.requests.size() == 2; }));
  }
  gate_.release();
  EXPECT_TRUE(test::run_until(io_, [&] { return server_->connections() == 0; }));
  RawClient client(path_);
  client.send(line());
  EXPECT_TRUE(receives(client, "pass\n"));
}

TEST_F(GateSocketTest, TheNumberOfConnectionsIsBounded) {
  std::list<RawClient> clients;
  for (std::size_t i = 0; i < GateSocket::kMaxConnections; ++i) {
    clients.emplace_back(path_);
    ASSERT_TRUE(test::run_until(io_, [&] { return server_->connections() == clients.size(); }));
  }
  RawClient late(path_);
  EXPECT_TRUE(closes(late));
  EXPECT_EQ(late.received(), "error too many connections\n");
  clients.pop_front();
  ASSERT_TRUE(test::run_until(io_, [&] { return server_->connections() == clients.size(); }));
  RawClient next(path_);
  next.send(line());
  EXPECT_TRUE(receives(next, "pass\n"));
}

TEST_F(GateSocketTest, TheSocketHasItsModeAndAnUnknownGroupIsAnError) {
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0660u);
  EXPECT_NE(start_error(scratch_.path("x"), "no-such-group").find("there is no group \"no-such-group\""),
            std::string::npos);
}

TEST_F(GateSocketTest, StoppingAnswersTheChecksInProgressAndRemovesTheSocket) {
  gate_.hold = true;
  RawClient busy(path_);
  RawClient idle(path_);
  busy.send(line());
  ASSERT_TRUE(test::run_until(io_, [&] { return gate_.requests.size() == 1 && server_->connections() == 2; }));
  server_->stop();
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
  EXPECT_TRUE(closes(idle));
  EXPECT_FALSE(RawClient(path_).connected);
  EXPECT_FALSE(test::await(io_, server_->wait_closed(Event::Clock::now())));
  gate_.release();
  EXPECT_TRUE(closes(busy));
  EXPECT_EQ(busy.received(), "pass\n");
  EXPECT_TRUE(test::await(io_, server_->wait_closed(Event::Clock::now() + std::chrono::seconds(30))));
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(GateSocketTest, AStaleSocketIsReplacedAndALiveSocketIsNot) {
  EXPECT_NE(start_error(path_).find("another process listens there"), std::string::npos);
  EXPECT_TRUE(RawClient(path_).connected) << "the live socket was removed";
  const std::string stale = scratch_.path("stale.sock");
  {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, stale.c_str());
    const int killed = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(killed, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(killed);
  }
  GateSocket server(io_.get_executor(), gate_, limits_, metrics_, settings(stale));
  server.start();
  RawClient client(stale);
  client.send(line());
  EXPECT_TRUE(receives(client, "pass\n"));
  server.stop();
}

TEST_F(GateSocketTest, TheSocketOfAnotherProcessIsNotRemoved) {
  const std::string shared = scratch_.path("shared.sock");
  GateSocket first(io_.get_executor(), gate_, limits_, metrics_, settings(shared));
  first.start();
  ::unlink(shared.c_str());
  GateSocket second(io_.get_executor(), gate_, limits_, metrics_, settings(shared));
  second.start();
  first.stop();
  EXPECT_TRUE(RawClient(shared).connected) << "the first removed the second's socket";
  second.stop();
}

TEST_F(GateSocketTest, AFileThatIsNoSocketIsNotReplaced) {
  const std::string file = scratch_.write("precious", "content");
  EXPECT_NE(start_error(file).find("the path exists and is no socket"), std::string::npos);
  EXPECT_EQ(::access(file.c_str(), F_OK), 0);
  EXPECT_NE(start_error(scratch_.path("no/such/directory")).find("create its directory"), std::string::npos);
}

}  // namespace
}  // namespace sealcast::message
