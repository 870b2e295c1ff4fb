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

// Fills in exchange.response. `id` is the {id} of the path and belongs to the exchange. An exception becomes 500.
using Handler = std::function<asio::awaitable<void>(Exchange& exchange, std::string_view id)>;

// Makes a handler of a function that answers without waiting for anything.
Handler immediate(std::function<void(Exchange& exchange)> answer);

struct Route {
  // While a handler runs whose answer is large or takes the connection over, no further request of the connection is
  // read.
  enum Answer { small, large, takes_over };

  Method method;
  std::string_view pattern;  // of the path; the segment {id} stands for any segment
  Handler handler;
  prometheus::Histogram* seconds;  // observes the duration of each request; null: none
  Answer answer = small;
};

class Router {
 public:
  // `fallback` answers GET requests whose path matches no pattern; null: they get 404.
  Router(std::vector<Route> routes, Handler fallback, prometheus::Histogram* fallback_seconds);

  // Returns the route, and sets `id` to the {id} of the path. Returns null if there is none; the response is then 404
  // or 405.
  const Route* find(Exchange& exchange, std::string_view& id) const;

 private:
  std::vector<Route> routes_;
  Route fallback_;
};

}  // namespace sealcast::http
