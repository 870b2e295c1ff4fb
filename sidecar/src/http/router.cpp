// Compares the method and the path of a request with each route in order.
#include "http/router.h"

#include <algorithm>
#include <boost/beast/http/verb.hpp>

#include "http/path.h"

namespace sealcast::http {

namespace {

asio::awaitable<void> answer_now(const std::function<void(Exchange&)>& answer, Exchange& exchange) {
  answer(exchange);
  co_return;
}

}  // namespace

Handler immediate(std::function<void(Exchange& exchange)> answer) {
  return [answer = std::move(answer)](Exchange& exchange, std::string_view) { return answer_now(answer, exchange); };
}

Router::Router(std::vector<Route> routes, Handler fallback, prometheus::Histogram* fallback_seconds)
    : routes_(std::move(routes)), fallback_{Method::get,      "",           std::move(fallback),
                                            fallback_seconds, Route::small, Route::own_pages} {}

const Route* Router::find(Exchange& exchange, std::string_view& id) const {
  const Request& request = exchange.request;
  std::string_view path = request.path();
  // HEAD is answered like GET, without the body. A route that takes the connection over does not support HEAD.
  Method method = request.method == Method::head ? Method::get : request.method;
  std::string allowed;
  for (const Route& route : routes_) {
    if (!path_matches(route.pattern, path, id)) continue;
    exchange.response.allowed_origins = route.pages == Route::allowed_origins;
    if (route.method == method && (request.method != Method::head || route.answer != Route::takes_over)) return &route;
    if (!allowed.empty()) allowed += ", ";
    allowed += std::string_view(beast::http::to_string(route.method));
    if (route.method == Method::get && route.answer != Route::takes_over) allowed += ", HEAD";
  }
  if (!allowed.empty()) {
    const std::string method_name(request.method == Method::unknown
                                      ? std::string_view(request.unknown_method)
                                      : std::string_view(beast::http::to_string(request.method)));
    answer_problem(exchange.response,
                   {405, "method_not_allowed", "this path does not support the method " + method_name,
                    "the path supports " + allowed, kSeeRoutes});
    exchange.response.header("Allow", allowed);
    return nullptr;
  }
  if (fallback_.handler && method == Method::get) return &fallback_;
  answer_not_found(exchange.response);
  return nullptr;
}

bool Router::allows_origins(std::string_view path) const {
  std::string_view id;
  return std::ranges::any_of(routes_, [&](const Route& route) {
    return route.pages == Route::allowed_origins && path_matches(route.pattern, path, id);
  });
}

}  // namespace sealcast::http
