// GET /regions.
#include <cmath>
#include <optional>

#include "api/api.h"
#include "base/asio.h"

namespace sealcast::api {

namespace {

// Clients ask again after this time, or when their region fails. The answer is for one caller's address.
constexpr std::string_view kCacheControl = "private, max-age=60";

std::string whole_or_null(std::optional<double> number) {
  return number ? std::to_string(std::llround(*number)) : "null";
}

void append_offer(const regions::Offer& offer, bool located, std::string& out) {
  const auto& [region, health] = *offer.state;
  const auto round_trip = health.round_trip();
  out += R"({"name":)";
  http::append_json_string(region.name, out);
  out += R"(,"url":)";
  http::append_json_string(region.url, out);
  out += R"(,"healthy":)";
  out += health.healthy() ? "true" : "false";
  out += R"(,"distance_km":)" + whole_or_null(located ? std::optional(offer.distance_km) : std::nullopt);
  out += R"(,"rtt_ms":)" + whole_or_null(round_trip ? std::optional(round_trip->count()) : std::nullopt) + "}";
}

}  // namespace

asio::awaitable<void> Api::regions(http::Exchange& exchange) {
  const Address caller = parts_.proxies.client(exchange.request.peer, exchange.request.forwarded_for);
  const regions::Offers offers = parts_.regions.offers_for(caller);
  std::string body = R"({"regions":[)";
  for (const regions::Offer& offer : offers.regions) {
    if (!body.ends_with('[')) body += ',';
    append_offer(offer, offers.located.has_value(), body);
  }
  body += R"(],"located":)";
  if (offers.located && !offers.located->country.empty()) {
    http::append_json_string(offers.located->country, body);
  } else {
    body += "null";
  }
  http::answer_json(exchange.response, body + "}");
  exchange.response.cache_control = kCacheControl;
  co_return;
}

}  // namespace sealcast::api
