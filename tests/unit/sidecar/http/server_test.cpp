// Tests the HTTP server with raw bytes: order of answers, limits, timeouts, CORS, shutting down.
#include "http/server.h"

#include <malloc.h>

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
             {Method::get,
              "/slow/{id}",
              [](Exchange& e, std::string_view id) { return slow(e, id); },
              nullptr,
              Route::small,
              Route::allowed_origins,
              {"known"}},
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
    server_ = std::make_unique<Server>(io_.get_executor(),
                                       Server::Dependencies{.router = router_,
                                                            .memory = memory_,
                                                            .connections = connections_,
                                                            .upgraded = [] { return std::size_t{0}; }},
                                       std::move(settings));
    server_->start();
  }

  static ServerSettings defaults() {
    return {.listen = "127.0.0.1:0",
            .max_body_bytes = 1000,
            .max_header_bytes = 1024,
            .max_connections = 100,
            .max_pipelined = 8,
            .read_timeout = milliseconds(60'000),
            .keep_alive = std::chrono::seconds(60),
            .ack_timeout = std::chrono::seconds(60),
            .cors_origins = {"https://a.example"},
            .cors_headers = {"*"}};
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
  static constexpr std::size_t kMaxMemory = 4'000'000;

  asio::io_context io_;
  Metrics metrics_;
  MemoryBudget memory_{io_.get_executor(), metrics_, kMaxMemory};
  prometheus::Gauge connections_;
  int large_ = 0;  // calls of the handler of /large
  Router router_;
  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<Client>> clients_;
};

constexpr char kClose[] = "Connection: close\r\n";

TEST_F(HttpServer, EveryAnswerHasTheCommonHeaders) {
  start();
  auto text = exchange(std::string("GET /now HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\nDate: ")) << text;
  for (auto line : {"Content-Type: application/json\r\n", "Content-Length: 3\r\n", "Connection: close\r\n",
                    "X-Content-Type-Options: nosniff\r\n", "Cache-Control: no-store\r\n"}) {
    EXPECT_NE(text.find(line), text.npos) << line;
  }
  EXPECT_TRUE(text.ends_with("\r\n\r\nnow"));
}

TEST_F(HttpServer, AHandlerGetsThePeerAndAllLinesOfXForwardedFor) {
  start();
  auto text = exchange(
      std::string("GET /client HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2, "
                  "192.0.2.3\r\n") +
      kClose + "\r\n");
  EXPECT_TRUE(text.ends_with("\r\n\r\n127.0.0.1 for 192.0.2.1,192.0.2.2, 192.0.2.3")) << text;
  EXPECT_NE(text.find("Cache-Control: private, max-age=1\r\n"), text.npos);
  EXPECT_EQ(text.find("no-store"), text.npos);
  Client& client = connect();
  send(client, "GET /client HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
  EXPECT_TRUE(answer(client, "for 192.0.2.1").ends_with("for 192.0.2.1"));
  client.text.clear();
  send(client, std::string("GET /client HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n");
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
  send(client, requests + "GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  auto text = last_answer(client);
  int count = 0;
  for (std::size_t at = 0; (at = text.find("slow 1", at)) != text.npos; ++at) ++count;
  EXPECT_EQ(count, 200);
  EXPECT_TRUE(text.ends_with("now"));
}

TEST_F(HttpServer, ABodyMayArriveInPiecesOrChunks) {
  start();
  Client& client = connect();
  for (char c : std::string("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
                            "10\r\nConnection: close\r\n\r\n0123456789")) {
    send(client, {&c, 1});
    io_.restart();
    io_.poll();
  }
  EXPECT_TRUE(last_answer(client).ends_with("\r\n\r\n0123456789"));
  EXPECT_TRUE(
      exchange(
          "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: "
          "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
          .ends_with("\r\n\r\nabcde"));
}

TEST_F(HttpServer, Expect100ContinueIsAnswered) {
  start();
  Client& client = connect();
  send(client,
       "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: "
       "100-continue\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(answer(client, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  send(client, "ok");
  EXPECT_TRUE(last_answer(client).ends_with("ok"));
}

TEST_F(HttpServer, TooLargeOrMalformedRequestsAreRefused) {
  start();
  EXPECT_TRUE(exchange("GET /now HTTP/1.1\r\nHost: x\r\nX: " + std::string(2000, 'x') + "\r\n\r\n")
                  .starts_with("HTTP/1.1 431 "));
  auto large = exchange("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_TRUE(large.starts_with("HTTP/1.1 413 "));
  EXPECT_NE(large.find(R"({"code":"payload_too_large","message":)"), large.npos);
  EXPECT_NE(large.find(R"("details":null,"hint":null})"), large.npos);
  EXPECT_TRUE(
      exchange("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + std::string(1024, 'x'))
          .starts_with("HTTP/1.1 413 "));
  for (auto bytes : {"\x16\x03\x01 \r\n\r\n", "GET  HTTP/1.1\r\nHost: x\r\n\r\n", "GET /now HTTP/2.0\r\n\r\n",
                     "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
                     "GET /now HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n"}) {
    auto text = exchange(bytes);
    EXPECT_TRUE(text.starts_with("HTTP/1.1 400 ")) << bytes << text;
    EXPECT_NE(text.find("Connection: close"), text.npos);
  }
}

TEST_F(HttpServer, UnknownPathsGet404AndWrongMethods405) {
  start();
  EXPECT_TRUE(
      exchange(std::string("GET /nothing HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(
      exchange(std::string("GET /slow/ HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(
      exchange(std::string("GET /now/ HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n").starts_with("HTTP/1.1 404 "));
  auto wrong = exchange(std::string("DELETE /echo HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n");
  EXPECT_TRUE(wrong.starts_with("HTTP/1.1 405 "));
  EXPECT_NE(wrong.find("Allow: POST\r\n"), wrong.npos);
  EXPECT_NE(wrong.find("does not support the method DELETE"), wrong.npos);
  auto wrong_get = exchange(std::string("POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n") + kClose + "\r\n");
  EXPECT_NE(wrong_get.find("Allow: GET, HEAD\r\n"), wrong_get.npos) << wrong_get;
  auto unknown = exchange(std::string("QUERY /echo HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n");
  EXPECT_NE(unknown.find("does not support the method QUERY"), unknown.npos) << unknown;
  auto head = exchange(std::string("HEAD /now HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n");
  EXPECT_NE(head.find("Content-Length: 3\r\n"), head.npos);
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

TEST_F(HttpServer, ATargetMayBeInAbsoluteForm) {
  start();
  for (const std::string target :
       {"http://x.example:80/now", "HTTPS://x/now", "http://[::1]:8080/now", "http://y/now?"}) {
    const auto text = exchange("GET " + target + " HTTP/1.1\r\nHost: x\r\n" + kClose + "\r\n");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 ")) << target << text;
  }
  for (const std::string target : {"now", "http://", "http:///now", "ftp://x/now", "http://user@x/now", "x:80"}) {
    const auto text = exchange("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 400 ")) << target << text;
  }
}

TEST_F(HttpServer, ARequestNamesOneHost) {
  start();
  for (const std::string host : {"x", "x.example:8080", "127.0.0.1", "[::1]:80", "[::1]", "", "a_b"}) {
    const auto text = exchange("GET /now HTTP/1.1\r\nHost: " + host + "\r\n" + kClose + "\r\n");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 ")) << host << text;
  }
  for (const std::string host : {"a b", "x:y", "x:123456", "user@x", "x/y", "[::1", "[]", "[::1]x", "x, y"}) {
    const auto text = exchange("GET /now HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 400 ")) << host << text;
    EXPECT_NE(text.find("header field Host"), text.npos) << text;
  }
  const std::string line = "GET /now HTTP/1.1\r\n";
  EXPECT_NE(exchange(line + "\r\n").find("it has no header field Host"), std::string::npos);
  EXPECT_NE(exchange(line + "Host: x\r\nHost: x\r\n\r\n").find("two header fields Host"), std::string::npos);
  EXPECT_TRUE(exchange("GET /now HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 ")) << "HTTP/1.0 has no Host";
}

TEST_F(HttpServer, AnEmptyLineBeforeARequestIsIgnored) {
  start();
  Client& client = connect();
  const std::string post = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n";
  send(client, "\r\n" + post + "\r\nok\r\n\r\n" + post + kClose + "\r\nof");
  EXPECT_TRUE(last_answer(client).ends_with("of"));
}

TEST_F(HttpServer, AClientOfHttp10GetsNo100Continue) {
  start();
  const auto text = exchange(
      "POST /echo HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 200 ")) << text;
}

TEST_F(HttpServer, ACompressedBodyIsRefused) {
  start();
  const std::string post =
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n";
  const auto text = exchange(post + "Content-Encoding: gzip\r\n\r\nok");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 415 ")) << text;
  EXPECT_NE(text.find("Accept-Encoding: identity\r\n"), text.npos);
  EXPECT_TRUE(exchange(post + "Content-Encoding: identity\r\n\r\nok").ends_with("ok"));
}

TEST_F(HttpServer, UnknownAndRepeatedParametersAreRefused) {
  start();
  const auto answer_to = [&](const std::string& target) {
    return exchange("GET " + target + " HTTP/1.1\r\nHost: x\r\n" + kClose + "\r\n");
  };
  EXPECT_TRUE(answer_to("/slow/1?known=1").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(answer_to("/slow/1?").starts_with("HTTP/1.1 200 "));
  EXPECT_NE(answer_to("/slow/1?known=1&knwon=2").find(R"("details":"knwon is unknown")"), std::string::npos);
  EXPECT_NE(answer_to("/slow/1?known=1&known=1").find(R"("details":"known stands twice")"), std::string::npos);
  EXPECT_NE(answer_to("/slow/1?" + std::string(100, 'x')).find(R"("details":"a parameter is unknown")"),
            std::string::npos);
  EXPECT_NE(answer_to("/slow/1?%22%0d=1").find(R"("details":"a parameter is unknown")"), std::string::npos);
}

TEST_F(HttpServer, AKeptConnectionTellsHowLong) {
  start();
  Client& client = connect();
  send(client, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(answer(client, "now").find("Keep-Alive: timeout=60\r\n"), std::string::npos);
  EXPECT_EQ(exchange(std::string("GET /now HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n").find("Keep-Alive"),
            std::string::npos);
}

TEST_F(HttpServer, AHandlerThatThrowsIsAnsweredWith500) {
  start();
  auto text = exchange(std::string("GET /throws HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n");
  EXPECT_TRUE(text.starts_with("HTTP/1.1 500 ")) << text;
  EXPECT_EQ(text.find("on purpose"), text.npos);
}

TEST_F(HttpServer, ARequestThatDoesNotEndTimesOut) {
  auto settings = defaults();
  settings.read_timeout = milliseconds(300);
  settings.keep_alive = std::chrono::seconds(3600);
  settings.max_header_bytes = 1 << 24;
  start(settings);
  Client& client = connect();
  auto began = std::chrono::steady_clock::now();
  send(client, "GET /now HTTP/1.1\r\nHost: x\r\nX-Slow: ");
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
  auto allowed =
      exchange(std::string("GET /now HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n") + kClose + "\r\n");
  EXPECT_NE(allowed.find("Access-Control-Allow-Origin: https://a.example\r\n"), allowed.npos);
  EXPECT_NE(allowed.find("Vary: Origin\r\n"), allowed.npos);
  auto other = exchange(std::string("GET /now HTTP/1.1\r\nHost: x\r\nOrigin: https://b.example\r\n") + kClose + "\r\n");
  EXPECT_EQ(other.find("Access-Control"), other.npos);
  auto none = exchange(std::string("GET /now HTTP/1.1\r\nHost: x\r\n") + kClose + "\r\n");
  EXPECT_NE(none.find("Vary: Origin\r\n"), none.npos) << "a cache must not give this answer to a page";
}

TEST_F(HttpServer, APreflightAllowsTheFieldsThatThePageAsksFor) {
  const auto preflight = [&](const std::string& fields) {
    return exchange(
        "OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n" +
        fields + kClose + "\r\n");
  };
  start();
  const auto asked = preflight("Access-Control-Request-Headers: content-type,traceparent\r\n");
  EXPECT_TRUE(asked.starts_with("HTTP/1.1 204 ")) << asked;
  EXPECT_NE(asked.find("Access-Control-Allow-Headers: content-type,traceparent\r\n"), asked.npos) << asked;
  const std::string own = "Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID";
  EXPECT_NE(preflight("").find(own + "\r\n"), std::string::npos);
  EXPECT_NE(preflight("Access-Control-Request-Headers: a\"b\r\n").find(own + "\r\n"), std::string::npos);
  auto settings = defaults();
  settings.cors_headers = {"sentry-trace"};
  server_->close();
  start(settings);
  EXPECT_NE(preflight("Access-Control-Request-Headers: traceparent\r\n").find(own + ", sentry-trace\r\n"),
            std::string::npos);
}

TEST_F(HttpServer, AHandlerTakesOverTheConnectionAfterTheEarlierAnswers) {
  start();
  Client& client = connect();
  send(client,
       "GET /slow/30 HTTP/1.1\r\nHost: x\r\n\r\nGET /take/not/over HTTP/1.1\r\nHost: x\r\n\r\nGET /take/1/over "
       "HTTP/1.1\r\nHost: x\r\n\r\n");
  auto text = last_answer(client);
  auto slow = text.find("slow 30"), refused = text.find("404"), taken_over = text.find("taken over");
  EXPECT_TRUE(slow < refused && refused < taken_over && taken_over != text.npos) << text;
  EXPECT_NE(text.find("Transfer-Encoding: chunked"), text.npos);
}

TEST_F(HttpServer, NoRequestIsReadAfterOneThatTakesOverTheConnection) {
  start();
  Client& client = connect();
  send(client,
       "GET /slow/30 HTTP/1.1\r\nHost: x\r\n\r\nGET /take/1/over HTTP/1.1\r\nHost: x\r\n\r\nGET /large "
       "HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(last_answer(client).ends_with("taken over"));
  EXPECT_EQ(large_, 0);
}

TEST_F(HttpServer, NoAnswersAreMadeForAClientThatDoesNotReadThem) {
  start();
  Client& client = connect();
  std::string requests;
  for (int i = 0; i < 50; ++i) requests += "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
  send(client, requests + "GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  for (int i = 0; i < 3; ++i) exchange("GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_LT(large_, 30) << "only the answers that fit in the kernel's buffers, and one more, are made";
  EXPECT_LT(memory_.held(MemoryClass::answers), 2 * kLarge);
  auto text = last_answer(client);
  EXPECT_EQ(large_, 50);
  EXPECT_GT(text.size(), 50 * kLarge);
  EXPECT_TRUE(text.ends_with("now"));
  EXPECT_EQ(memory_.held(MemoryClass::answers), 0u) << "no answer is waiting any more";
}

TEST_F(HttpServer, UnreadAnswersAreShedWhenTheMemoryIsFull) {
  start();
  std::string requests;
  for (int i = 0; i < 20; ++i) requests += "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
  std::vector<Client*> unread;
  for (int i = 0; i < 8; ++i) {
    unread.push_back(&connect());
    send(*unread.back(), requests);
    const auto held = [&] { return metrics_.memory("answers").shed.Value() + static_cast<double>(memory_.held()); };
    const double before = held();
    ASSERT_TRUE(test::run_until(io_, [&] { return held() > before; }));
  }
  EXPECT_TRUE(test::run_until(io_, [&] { return memory_.held() <= kMaxMemory; }));
  EXPECT_GT(metrics_.memory("answers").shed.Value(), 0);
  EXPECT_TRUE(exchange("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200 "));
  last_answer(*unread.front());
  EXPECT_LT(unread.front()->text.size(), 20 * kLarge) << "the oldest was ended";
}

TEST_F(HttpServer, UnfinishedBodiesAreShedWhenTheMemoryIsFull) {
  auto settings = defaults();
  settings.max_body_bytes = 10'000'000;
  start(settings);
  const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ";
  Client& announced = connect();
  send(announced, head + "9000000\r\n\r\n");
  ASSERT_TRUE(test::run_until(io_, [&] { return memory_.held() > 0; }));
  EXPECT_LT(memory_.held(), 50'000u) << "a body that has not arrived needs no memory";
  std::vector<Client*> slow;
  for (int i = 0; i < 8; ++i) {
    Client& client = connect();
    slow.push_back(&client);
    std::string bytes = head + "900000\r\n\r\n" + std::string(800'000, ' ');
    const std::size_t before = memory_.held();
    std::size_t sent = 0;
    ASSERT_TRUE(until(client, [&] {
      boost::system::error_code ec;
      sent += client.socket.write_some(asio::buffer(bytes.data() + sent, bytes.size() - sent), ec);
      return sent == bytes.size() && (memory_.held() < before || memory_.held() >= before + 800'000);
    }));
  }
  EXPECT_LE(memory_.held(), kMaxMemory + 2'000'000);
  EXPECT_NE(answer(*slow.front(), "\"code\":\"overloaded\"").find("Retry-After: 1"), std::string::npos);
  EXPECT_TRUE(last_answer(*slow.front()).starts_with("HTTP/1.1 503 "));
  send(*slow.back(), std::string(100'000, ' '));
  EXPECT_NE(answer(*slow.back(), "200 OK").find("200 OK"), std::string::npos) << "the youngest was kept";
}

TEST_F(HttpServer, ARefusedBodyIsFreedWithItsAnswer) {
  const auto allocated = [] {
    const auto heap = ::mallinfo2();
    return heap.uordblks + heap.hblkhd;
  };
  auto settings = defaults();
  settings.max_body_bytes = 10'000'000;
  start(settings);
  Client& client = connect();
  const std::string bytes =
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9000000\r\n\r\n" +
      std::string(2 * kMaxMemory, ' ');
  const std::size_t before = allocated();
  std::size_t sent = 0;
  ASSERT_TRUE(until(client, [&] {
    boost::system::error_code ec;
    sent += client.socket.write_some(asio::buffer(bytes.data() + sent, bytes.size() - sent), ec);
    return client.text.find("\"code\":\"overloaded\"") != std::string::npos;
  }));
  EXPECT_LT(allocated(), before + kMaxMemory / 4) << "the connection is open, and its body is not counted any more";
}

TEST_F(HttpServer, AnIdleConnectionGivesItsBuffersBack) {
  auto settings = defaults();
  settings.max_body_bytes = 100'000;
  start(settings);
  Client& client = connect();
  const std::string body(50'000, ' ');
  for (int i = 0; i < 20; ++i) {
    client.text.clear();
    send(client, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50000\r\n\r\n");
    for (std::size_t at = 0; at < body.size(); at += 10'000) {
      send(client, body.substr(at, 10'000));
      io_.restart();
      io_.run_for(milliseconds(1));
    }
    ASSERT_TRUE(until(client, [&] { return client.text.ends_with("\r\n\r\n" + body); }));
  }
  EXPECT_LE(memory_.held(), 64u * 1024);
  EXPECT_TRUE(test::run_until(io_, [&] { return memory_.held() == 0; }));
}

TEST_F(HttpServer, AConnectionAboveMaxConnectionsGets503) {
  auto settings = defaults();
  settings.max_connections = 1;
  start(settings);
  Client& first = connect();
  send(first, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
  answer(first, "now");
  Client& second = connect();
  send(second, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(3000, 'x'));
  EXPECT_TRUE(last_answer(second).starts_with("HTTP/1.1 503 "));
}

TEST_F(HttpServer, ShuttingDownLosesNoAnswer) {
  start();
  Client& busy = connect();
  Client& idle = connect();
  send(busy, "GET /slow/200 HTTP/1.1\r\nHost: x\r\n\r\n");
  send(idle, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
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
