// Which handler answers which request.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/metrics.h"
#include "http/exchange.h"

namespace sealcast::http {

// Fills in exchange.response. `id` is the {id} of the pattern and belongs to the exchange. Whatever it throws is 500.
using Handler = std::function<asio::awaitable<void>(Exchange& exchange, std::string_view id)>;

struct Route {
  // Beside one that is large, or takes the connection over, nothing more is read from the connection.
  enum Answer { small, large, takes_over };

  Method method;
  std::string_view pattern;  // segments; {id} stands for any one
  Handler handler;
  prometheus::Histogram* seconds;
  Answer answer = small;
};

class Router {
 public:
  // `fallback` answers GET requests that no pattern matches; null: 404.
  Router(std::vector<Route> routes, Handler fallback, prometheus::Histogram* fallback_seconds);

  // The route and the id; or null, and the response says why.
  const Route* find(Exchange& exchange, std::string_view& id) const;

 private:
  std::vector<Route> routes_;
  Route fallback_;
};

}  // namespace sealcast::http
