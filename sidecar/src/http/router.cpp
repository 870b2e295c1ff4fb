// The first route that fits, and what to say when none does.
#include "http/router.h"

#include <boost/beast/http/verb.hpp>

#include "http/path.h"

namespace sealcast::http {

Router::Router(std::vector<Route> routes, Handler fallback, prometheus::Histogram* fallback_seconds)
    : routes_(std::move(routes)), fallback_{Method::get, "", std::move(fallback), fallback_seconds} {}

const Route* Router::find(Exchange& exchange, std::string_view& id) const {
  const Request& request = exchange.request;
  std::string_view path = request.path();
  // HEAD is GET whose body is not sent.
  Method method = request.method == Method::head ? Method::get : request.method;
  std::string allowed;
  for (const Route& route : routes_) {
    if (!path_fits(route.pattern, path, id)) continue;
    if (route.method == method && (request.method != Method::head || route.answer != Route::takes_over))
      return &route;
    auto name = beast::http::to_string(route.method);
    allowed += allowed.empty() ? "" : ", ";
    allowed.append(name.data(), name.size());
  }
  if (!allowed.empty()) {
    answer_problem(exchange.response,
                   {405, "method_not_allowed", "this path does not take that method", {}, "See /openapi.json."});
    exchange.response.header("Allow", allowed);
    return nullptr;
  }
  if (fallback_.handler && method == Method::get) return &fallback_;
  answer_problem(exchange.response, {404, "not_found", "there is nothing at this path", {}, "See /openapi.json."});
  return nullptr;
}

}  // namespace sealcast::http
