// Tests the HTTP server with raw bytes: order of answers, limits, timeouts, CORS, shutting down.
#include "http/server.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>

#include "base/asio.h"
#include "support/async.h"

namespace sealcast::http {
namespace {

using std::chrono::milliseconds;
using tcp = asio::ip::tcp;

class HttpServer : public testing::Test {
 protected:
  HttpServer()
      : router_(
            {{Method::get, "/now", [](Exchange& e, std::string_view) { return now(e); }, nullptr},
             {Method::post, "/echo", [](Exchange& e, std::string_view) { return echo(e); }, nullptr},
             {Method::get, "/slow/{id}", [](Exchange& e, std::string_view id) { return slow(e, id); }, nullptr},
             {Method::get, "/client", [](Exchange& e, std::string_view) { return client(e); }, nullptr},
             {Method::get, "/large", [this](Exchange& e, std::string_view) { return large(e); }, nullptr, Route::large},
             {Method::get, "/throws", [](Exchange& e, std::string_view) { return throws(e); }, nullptr},
             {Method::get, "/take/{id}/over", [](Exchange& e, std::string_view id) { return take_over(e, id); },
              nullptr, Route::takes_over}},
            nullptr, nullptr) {}

  ~HttpServer() override {
    if (server_) server_->close();
    clients_.clear();
    io_.restart();
    io_.run_for(milliseconds(200));
    server_.reset();
  }

  void start(ServerSettings settings = defaults()) {
    server_ = std::make_unique<Server>(
        io_.get_executor(),
        Server::Dependencies{.router = router_, .connections = connections_, .upgraded = [] { return std::size_t{0}; }},
        std::move(settings));
    server_->start();
  }

  static ServerSettings defaults() {
    return {.listen = "127.0.0.1:0",
            .max_body_bytes = 1000,
            .max_header_bytes = 1024,
            .max_connections = 100,
            .max_pipelined = 8,
            .max_unsent_bytes = 1'000'000,
            .read_timeout = milliseconds(60'000),
            .cors_origins = {"https://a.example"}};
  }

  static asio::awaitable<void> now(Exchange& exchange) {
    answer_json(exchange.response, "now");
    co_return;
  }
  static asio::awaitable<void> client(Exchange& exchange) {
    exchange.response.cache_control = "private, max-age=1";
    exchange.response.body = exchange.request.peer.text() + " for " + exchange.request.forwarded_for;
    co_return;
  }
  static asio::awaitable<void> echo(Exchange& exchange) {
    exchange.response.body = exchange.request.body;
    co_return;
  }
  static asio::awaitable<void> slow(Exchange& exchange, std::string_view ms) {
    asio::steady_timer timer(co_await asio::this_coro::executor, milliseconds(std::stoi(std::string(ms))));
    co_await timer.async_wait(asio::use_awaitable);
    exchange.response.body = "slow " + std::string(ms);
  }
  asio::awaitable<void> large(Exchange& exchange) {
    ++large_;
    exchange.response.body.assign(kLarge, 'x');
    co_return;
  }
  static asio::awaitable<void> throws(Exchange&) {
    throw std::runtime_error("on purpose");
    co_return;
  }
  static asio::awaitable<void> take_over(Exchange& exchange, std::string_view id) {
    if (id == "not") {
      answer_problem(exchange.response, {404, "not_found", "no"});
      co_return;
    }
    exchange.response.upgrade = [](tcp::socket socket, std::string head) {
      boost::system::error_code ignored;
      socket.write_some(asio::buffer(head + "taken over"), ignored);
    };
  }

  struct Client {
    tcp::socket socket;
    std::string text;
    bool ended = false;
  };

  Client& connect() {
    tcp::socket socket(io_);
    socket.connect(server_->address());
    socket.non_blocking(true);
    clients_.push_back(std::make_unique<Client>(Client{std::move(socket), {}, false}));
    return *clients_.back();
  }

  void receive(Client& client) {
    char bytes[4096];
    boost::system::error_code ec;
    for (std::size_t size; (size = client.socket.read_some(asio::buffer(bytes), ec)) > 0;)
      client.text.append(bytes, size);
    client.ended = client.ended || (ec && ec != asio::error::would_block);
  }

  void send(Client& client, std::string_view bytes) { asio::write(client.socket, asio::buffer(bytes)); }

  bool until(Client& client, const std::function<bool()>& condition) {
    return test::run_until(io_, [&] {
      receive(client);
      return condition();
    });
  }
  // Returns everything received until `text` arrives or the server closes the connection.
  std::string answer(Client& client, std::string_view text) {
    until(client, [&] { return client.text.find(text) != client.text.npos || client.ended; });
    return client.text;
  }
  std::string last_answer(Client& client) {
    EXPECT_TRUE(until(client, [&] { return client.ended; })) << client.text;
    return client.text;
  }
  std::string exchange(std::string_view request) {
    Client& client = connect();
    send(client, request);
    return last_answer(client);
  }

  static constexpr std::size_t kLarge = 1'100'000;

  asio::io_context io_;
  prometheus::Gauge connections_;
  int large_ = 0;  // calls of the handler of /large
  Router router_;
  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<Client>> clients_;
};

constexpr char kClose[] = "Host: x\r\nConnection: close\r\n";

TEST_F(HttpServer, EveryAnswerHasTheCommonHeaders) {
  start();
  auto text = exchange(std::string("GET /now HTTP/1.1\r\n") + kClose + "\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\nDate: ")) << text;
  for (auto line : {"Content-Type: application/json\r\n", "Content-Length: 3\r\n", "Connection: close\r\n",
                    "X-Content-Type-Options: nosniff\r\n", "Cache-Control: no-store\r\n"}) {
    EXPECT_NE(text.find(line), text.npos) << line;
  }
  EXPECT_TRUE(text.ends_with("\r\n\r\nnow"));
}

TEST_F(HttpServer, AHandlerGetsThePeerAndAllLinesOfXForwardedFor) {
  start();
  auto text = exchange(std::string("GET /client HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2, "
                                   "192.0.2.3\r\n") +
                       kClose + "\r\n");
  EXPECT_TRUE(text.ends_with("\r\n\r\n127.0.0.1 for 192.0.2.1,192.0.2.2, 192.0.2.3")) << text;
  EXPECT_NE(text.find("Cache-Control: private, max-age=1\r\n"), text.npos);
  EXPECT_EQ(text.find("no-store"), text.npos);
  Client& client = connect();
  send(client, "GET /client HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
  EXPECT_TRUE(answer(client, "for 192.0.2.1").ends_with("for 192.0.2.1"));
  client.text.clear();
  send(client, std::string("GET /client HTTP/1.1\r\n") + kClose + "\r\n");
  EXPECT_TRUE(last_answer(client).ends_with(" for "))
      << "a request must not get X-Forwarded-For of the request before it";
}

TEST_F(HttpServer, PipelinedRequestsRunConcurrentlyAndAreAnsweredInOrder) {
  start();
  Client& client = connect();
  auto began = std::chrono::steady_clock::now();
  send(client,
       "GET /slow/300 HTTP/1.1\r\nHost: x\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\n"
       "GET /slow/290 HTTP/1.1\r\nHost: x\r\n\r\nGET /slow/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  auto text = last_answer(client);
  EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(580)) << "the requests ran one after the other";
  auto a = text.find("slow 300"), b = text.find("now"), c = text.find("slow 290"), d = text.find("slow 1", c);
  EXPECT_TRUE(a < b && b < c && c < d && d != text.npos) << text;
  EXPECT_EQ(text.find("Connection: close"), text.rfind("Connection: close"));
}

TEST_F(HttpServer, RequestsAboveMaxPipelinedWaitAndAreAnswered) {
  start();
  Client& client = connect();
  std::string requests;
  for (int i = 0; i < 200; ++i) requests += "GET /slow/1 HTTP/1.1\r\nHost: x\r\n\r\n";
  send(client, requests + "GET /now HTTP/1.1\r\nConnection: close\r\n\r\n");
  auto text = last_answer(client);
  int count = 0;
  for (std::size_t at = 0; (at = text.find("slow 1", at)) != text.npos; ++at) ++count;
  EXPECT_EQ(count, 200);
  EXPECT_TRUE(text.ends_with("now"));
}

TEST_F(HttpServer, ABodyMayArriveInPiecesOrChunks) {
  start();
  Client& client = connect();
  for (char c :
       std::string("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789")) {
    send(client, {&c, 1});
    io_.restart();
    io_.poll();
  }
  EXPECT_TRUE(last_answer(client).ends_with("\r\n\r\n0123456789"));
  EXPECT_TRUE(exchange("POST /echo HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: "
                       "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
                  .ends_with("\r\n\r\nabcde"));
}

TEST_F(HttpServer, Expect100ContinueIsAnswered) {
  start();
  Client& client = connect();
  send(client, "POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(answer(client, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  send(client, "ok");
  EXPECT_TRUE(last_answer(client).ends_with("ok"));
}

TEST_F(HttpServer, TooLargeOrMalformedRequestsAreRefused) {
  start();
  EXPECT_TRUE(exchange("GET /now HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n").starts_with("HTTP/1.1 431 "));
  auto large = exchange("POST /echo HTTP/1.1\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_TRUE(large.starts_with("HTTP/1.1 413 "));
  EXPECT_NE(large.find(R"({"code":"payload_too_large","message":)"), large.npos);
  EXPECT_NE(large.find(R"("details":null,"hint":null})"), large.npos);
  EXPECT_TRUE(exchange("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + std::string(1024, 'x'))
                  .starts_with("HTTP/1.1 413 "));
  for (auto bytes : {"\x16\x03\x01 \r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "GET /now HTTP/2.0\r\n\r\n",
                     "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
                     "GET /now HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n"}) {
    auto text = exchange(bytes);
    EXPECT_TRUE(text.starts_with("HTTP/1.1 400 ")) << bytes << text;
    EXPECT_NE(text.find("Connection: close"), text.npos);
  }
}

TEST_F(HttpServer, UnknownPathsGet404AndWrongMethods405) {
  start();
  EXPECT_TRUE(exchange(std::string("GET /nothing HTTP/1.1\r\n") + kClose + "\r\n").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(exchange(std::string("GET /slow/ HTTP/1.1\r\n") + kClose + "\r\n").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(exchange(std::string("GET /now/ HTTP/1.1\r\n") + kClose + "\r\n").starts_with("HTTP/1.1 404 "));
  auto wrong = exchange(std::string("DELETE /echo HTTP/1.1\r\n") + kClose + "\r\n");
  EXPECT_TRUE(wrong.starts_with("HTTP/1.1 405 "));
  EXPECT_NE(wrong.find("Allow: POST\r\n"), wrong.npos);
  auto head = exchange(std::string("HEAD /now HTTP/1.1\r\n") + kClose + "\r\n");
  EXPECT_NE(head.find("Content-Length: 3\r\n"), head.npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

TEST_F(HttpServer, AHandlerThatThrowsIsAnsweredWith500) {
  start();
  auto text = exchange(std::string("GET /throws HTTP/1.1\r\n") + kClose + "\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 500 ")) << text;
  EXPECT_EQ(text.find("on purpose"), text.npos);
}

TEST_F(HttpServer, ARequestThatDoesNotEndTimesOut) {
  auto settings = defaults();
  settings.read_timeout = milliseconds(300);
  settings.max_header_bytes = 1 << 24;
  start(settings);
  Client& client = connect();
  auto began = std::chrono::steady_clock::now();
  send(client, "GET /now HTTP/1.1\r\nX-Slow: ");
  // A client that sends single bytes does not extend the timeout of its request.
  until(client, [&] {
    boost::system::error_code ignored;
    client.socket.write_some(asio::buffer("x", 1), ignored);
    return !client.text.empty();
  });
  EXPECT_TRUE(client.text.starts_with("HTTP/1.1 408 ")) << client.text;
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  Client& idle = connect();
  EXPECT_EQ(last_answer(idle), "");
}

TEST_F(HttpServer, ARequestIsAnsweredAfterTheClientStopsSending) {
  start();
  Client& client = connect();
  send(client, "GET /slow/50 HTTP/1.1\r\nHost: x\r\n\r\n");
  client.socket.shutdown(tcp::socket::shutdown_send);
  EXPECT_TRUE(last_answer(client).ends_with("slow 50"));
}

TEST_F(HttpServer, OnlyAllowedOriginsGetCorsHeaders) {
  start();
  auto allowed = exchange(std::string("GET /now HTTP/1.1\r\nOrigin: https://a.example\r\n") + kClose + "\r\n");
  EXPECT_NE(allowed.find("Access-Control-Allow-Origin: https://a.example\r\n"), allowed.npos);
  EXPECT_NE(allowed.find("Vary: Origin\r\n"), allowed.npos);
  auto other = exchange(std::string("GET /now HTTP/1.1\r\nOrigin: https://b.example\r\n") + kClose + "\r\n");
  EXPECT_EQ(other.find("Access-Control"), other.npos);
  auto preflight = exchange(
      std::string("OPTIONS /echo HTTP/1.1\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n") +
      kClose + "\r\n");
  EXPECT_TRUE(preflight.starts_with("HTTP/1.1 204 ")) << preflight;
  EXPECT_NE(preflight.find("Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID\r\n"),
            preflight.npos);
}

TEST_F(HttpServer, AHandlerTakesOverTheConnectionAfterTheEarlierAnswers) {
  start();
  Client& client = connect();
  send(client, "GET /slow/30 HTTP/1.1\r\n\r\nGET /take/not/over HTTP/1.1\r\n\r\nGET /take/1/over HTTP/1.1\r\n\r\n");
  auto text = last_answer(client);
  auto slow = text.find("slow 30"), refused = text.find("404"), taken_over = text.find("taken over");
  EXPECT_TRUE(slow < refused && refused < taken_over && taken_over != text.npos) << text;
  EXPECT_NE(text.find("Transfer-Encoding: chunked"), text.npos);
}

TEST_F(HttpServer, NoRequestIsReadAfterOneThatTakesOverTheConnection) {
  start();
  Client& client = connect();
  send(client, "GET /slow/30 HTTP/1.1\r\n\r\nGET /take/1/over HTTP/1.1\r\n\r\nGET /large HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(last_answer(client).ends_with("taken over"));
  EXPECT_EQ(large_, 0);
}

TEST_F(HttpServer, NoAnswersAreMadeForAClientThatDoesNotReadThem) {
  auto settings = defaults();
  settings.max_unsent_bytes = 0;
  start(settings);
  Client& client = connect();
  std::string requests;
  for (int i = 0; i < 50; ++i) requests += "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
  send(client, requests + "GET /now HTTP/1.1\r\nConnection: close\r\n\r\n");
  for (int i = 0; i < 3; ++i) exchange("GET /now HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_LT(large_, 30) << "only the answers that fit in the kernel's buffers, and one more, are made";
  Client& other = connect();
  send(other, "GET /large HTTP/1.1\r\n\r\nGET /now HTTP/1.1\r\nConnection: close\r\n\r\n");
  auto refused = last_answer(other);
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 503 ")) << refused.substr(0, 200);
  EXPECT_TRUE(refused.ends_with("now")) << "a small answer is not refused";
  auto text = last_answer(client);
  EXPECT_EQ(large_, 50);
  EXPECT_GT(text.size(), 50 * kLarge);
  EXPECT_TRUE(text.ends_with("now"));
  Client& late = connect();
  send(late, "GET /large HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(last_answer(late).starts_with("HTTP/1.1 200 ")) << "no answer is waiting any more";
}

TEST_F(HttpServer, AConnectionAboveMaxConnectionsGets503) {
  auto settings = defaults();
  settings.max_connections = 1;
  start(settings);
  Client& first = connect();
  send(first, "GET /now HTTP/1.1\r\n\r\n");
  answer(first, "now");
  Client& second = connect();
  EXPECT_TRUE(last_answer(second).starts_with("HTTP/1.1 503 "));
}

TEST_F(HttpServer, ShuttingDownLosesNoAnswer) {
  start();
  Client& busy = connect();
  Client& idle = connect();
  send(busy, "GET /slow/200 HTTP/1.1\r\n\r\n");
  send(idle, "GET /now HTTP/1.1\r\n\r\n");
  answer(idle, "now");
  ASSERT_TRUE(test::run_until(io_, [&] { return server_->busy(); }));
  server_->shut_down();
  EXPECT_TRUE(last_answer(idle).ends_with("now"));
  auto text = last_answer(busy);
  EXPECT_TRUE(text.ends_with("slow 200")) << text;
  EXPECT_NE(text.find("Connection: close"), text.npos);
  EXPECT_FALSE(server_->busy());
  tcp::socket late(io_);
  boost::system::error_code ec;
  late.connect(clients_[0]->socket.remote_endpoint(ec), ec);
  EXPECT_TRUE(ec);
}

}  // namespace
}  // namespace sealcast::http
