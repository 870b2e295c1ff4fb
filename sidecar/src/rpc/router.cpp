// Matches paths segment by segment.
#include "rpc/router.h"

#include <boost/beast/http/verb.hpp>

namespace sealcast::rpc {

namespace {

std::string_view next_segment(std::string_view& rest) {
  std::string_view segment = rest.substr(0, rest.find('/'));
  rest.remove_prefix(std::min(rest.size(), segment.size() + 1));
  return segment;
}

bool matches(std::string_view pattern, std::string_view path, std::string_view& id) {
  while (!pattern.empty() && !path.empty()) {
    std::string_view expected = next_segment(pattern);
    std::string_view actual = next_segment(path);
    if (expected == "{id}" && !actual.empty()) {
      id = actual;
    } else if (expected != actual) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace

Router::Router(std::vector<Route> routes, Handler fallback, prometheus::Histogram* fallback_seconds)
    : routes_(std::move(routes)), fallback_{http::verb::get, "", std::move(fallback), fallback_seconds} {}

const Route* Router::find(Exchange& exchange, std::string_view& id) const {
  const Request& request = exchange.request;
  std::string_view path = request.path();
  // HEAD is GET whose body is not sent.
  http::verb method = request.method == http::verb::head ? http::verb::get : request.method;
  std::string allowed;
  for (const Route& route : routes_) {
    if (!matches(route.pattern, path, id)) continue;
    if (route.method == method && (request.method != http::verb::head || route.answer != Route::takes_over))
      return &route;
    auto name = http::to_string(route.method);
    allowed += allowed.empty() ? "" : ", ";
    allowed.append(name.data(), name.size());
  }
  if (!allowed.empty()) {
    answer_problem(exchange.response,
                   {405, "method_not_allowed", "this path does not take that method", {}, "See /openapi.json."});
    exchange.response.header("Allow", allowed);
    return nullptr;
  }
  if (fallback_.handler && method == http::verb::get) return &fallback_;
  answer_problem(exchange.response, {404, "not_found", "there is nothing at this path", {}, "See /openapi.json."});
  return nullptr;
}

}  // namespace sealcast::rpc
