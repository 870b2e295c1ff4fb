// A client for HTTP requests to outside services: libcurl on the event loop.
//
// Use: POST and GET over HTTP/1.1. Connections are reused. Each connection carries one request at a time, so a hanging
// connection delays only its own request, and the client closes it at the deadline of the request. HTTP/2 is not used:
// it sends all requests to a service over one connection, so one hanging connection would delay all of them.
// Certificates and host names are always verified. A changed CA file takes effect with the next connection. Redirects
// are not followed. Proxy settings in the environment and .netrc files are ignored.
//
// Deadlines: each request ends at its deadline at the latest, even when the service or the name lookup hangs.
//
// Errors: a request does not throw when the service fails. Without a complete answer, Answer::status is 0 and
// Answer::failure is the reason. An answer with an error status (such as 500) is a normal answer.
//
// When the service goes away: the requests to the service fail at once or at their deadlines. The client does not
// retry. The next request opens a new connection.
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
  std::string ca_file;                      // a PEM file; empty: trust the certificates of the system
  long max_connections = 64;                // further requests wait for a free connection until their deadlines
  std::size_t max_response_bytes = 65'536;  // for head and body together; a longer response is a failure
};

struct Post {
  std::string url;
  const std::vector<std::string>& headers;  // each in the form "Name: value"
  std::string_view body;
};

class Client {
 public:
  using Clock = std::chrono::steady_clock;

  Client(asio::any_io_executor executor, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The headers and the body of `request` must stay valid until the call returns its answer.
  asio::awaitable<Answer> post(Post request, Clock::time_point deadline);
  asio::awaitable<Answer> get(std::string url, Clock::time_point deadline);

  void stop();  // ends all requests with a failure; requests that start later fail too

 private:
  const asio::any_io_executor executor_;
  const ClientOptions options_;
  std::shared_ptr<Multi> multi_;
};

// Encodes one segment of a path. The unreserved characters of RFC 3986 stay as they are; all other bytes become %XX.
std::string percent_encode(std::string_view segment);

}  // namespace sealcast::client::http
