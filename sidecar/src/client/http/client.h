// A client for HTTP requests to outside services: libcurl on the event loop.
//
// Use: POST and GET over HTTP/1.1. Connections are reused. Each connection carries one request at a time, so a hanging
// connection delays only that request, and is closed at its deadline. An HTTP/2 connection would carry all requests to
// the service. Certificates and host names are always verified. Redirects are not followed. Proxies of the environment
// and .netrc are ignored.
//
// Deadlines: each request has one and ends by then, even when the service or the name lookup hangs.
//
// Errors: a request never throws for a failure of the service. Answer::status is 0 then, and Answer::failure is the
// reason.
//
// When the service goes away: its requests fail at once or at their deadlines. The client does not retry. The next
// request opens a new connection.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "client/http/answer.h"

namespace sealcast::client::http {

class Multi;

struct ClientOptions {
  std::string ca_file;                      // PEM; empty: the certificates of the system
  long max_connections = 64;                // more requests wait for a free connection, until their deadline
  std::size_t max_response_bytes = 65'536;  // head and body together; a longer response fails
};

struct Post {
  std::string url;
  const std::vector<std::string>& headers;  // "Name: value"
  std::string_view body;
};

class Client {
 public:
  using Clock = std::chrono::steady_clock;

  Client(asio::any_io_executor executor, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Headers and body must outlive the call.
  asio::awaitable<Answer> post(Post request, Clock::time_point deadline);
  asio::awaitable<Answer> get(std::string url, Clock::time_point deadline);

  void stop();  // all requests, also later ones, end with a failure

 private:
  const asio::any_io_executor executor_;
  const ClientOptions options_;
  std::shared_ptr<Multi> multi_;
};

// Encodes one segment of a path: all but the unreserved characters of RFC 3986 become %XX.
std::string percent_encode(std::string_view segment);

}  // namespace sealcast::client::http
