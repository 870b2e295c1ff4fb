// HTTP requests of our own, to services: libcurl on the event loop.
//
// Connections are kept for the next request. They speak HTTP/1.1: one that dies without a word then takes one request
// along, and is closed at that request's deadline; of HTTP/2 it would take all, and go on taking. Certificates and host
// names are always checked. No redirect is followed, and nothing is taken from the environment: no proxy, no .netrc.
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
  std::string ca_file;                      // PEM, instead of the system's certificates; empty: those
  long max_connections = 64;                // requests that find none free wait, within their deadline
  std::size_t max_response_bytes = 65'536;  // head and body together; what is longer is cut off and fails
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

  // Ends by the deadline, whatever the service does. The headers and the body outlive the call.
  asio::awaitable<Answer> post(Post request, Clock::time_point deadline);
  asio::awaitable<Answer> get(std::string url, Clock::time_point deadline);

  void stop();  // requests under way and later ones end without an answer

 private:
  const asio::any_io_executor executor_;
  const ClientOptions options_;
  std::shared_ptr<Multi> multi_;
};

// One segment of a path: everything but RFC 3986's unreserved characters becomes %XX.
std::string percent_encode(std::string_view segment);

}  // namespace sealcast::client::http
