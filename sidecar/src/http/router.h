// Finds the handler that answers a request.
#pragma once

#include <prometheus/histogram.h>

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "http/exchange.h"

namespace sealcast::http {

// Answers a request by filling in exchange.response. `id` is the segment {id} of the path; it points into the request's
// target. If a handler throws, the server answers 500.
using Handler = std::function<asio::awaitable<void>(Exchange& exchange, std::string_view id)>;

// Makes a handler from a function that answers at once, without waiting for anything.
Handler immediate(std::function<void(Exchange& exchange)> answer);

struct Route {
  // The kind of a route's answer: a small body, a large body, or an answer that takes the connection over. While a
  // handler of the kinds `large` and `takes_over` runs, no further request of its connection is read.
  enum Answer { small, large, takes_over };
  // Whose pages may read the answers: those of all origins that the CORS settings allow, or only pages of this server.
  enum Pages { allowed_origins, own_pages };

  Method method;
  std::string_view pattern;  // of the path; the segment {id} matches any segment
  Handler handler;
  prometheus::Histogram* seconds;  // observes the duration of each request; null: none
  Answer answer = small;
  Pages pages = allowed_origins;
  // The query parameters. Other ones are refused, except by routes for pages of this server: monitors add parameters.
  std::vector<std::string_view> parameters{};
};

class Router {
 public:
  // `fallback` answers GET and HEAD requests whose path matches no pattern. If `fallback` is null, they get 404. Only
  // pages of this server may read these answers.
  Router(std::vector<Route> routes, Handler fallback, prometheus::Histogram* fallback_seconds);

  // Returns the route of the request (or the fallback), and sets `id` to the segment {id} of the path. If there is no
  // such route, answers 404 or 405 and returns null.
  const Route* find(Exchange& exchange, std::string_view& id) const;

  // Returns whether pages of other origins may use the path.
  bool allows_origins(std::string_view path) const;

 private:
  std::vector<Route> routes_;
  Route fallback_;
};

}  // namespace sealcast::http
