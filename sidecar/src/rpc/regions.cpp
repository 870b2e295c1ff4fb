// GET /regions.
#include <cmath>

#include "rpc/api.h"

namespace sealcast::rpc {

// Clients ask again after this time, or when their region fails. The answer is for one caller's address.
constexpr std::string_view kCacheControl = "private, max-age=60";

asio::awaitable<void> Api::regions(Exchange& exchange) {
  const Address caller = parts_.proxies.client(exchange.request.peer, exchange.request.forwarded_for);
  const Offers offers = parts_.regions.offers_for(caller);
  const auto append_number = [](std::string& out, double value) { out += std::to_string(std::llround(value)); };
  std::string body = R"({"regions":[)";
  for (const Offer& offer : offers.regions) {
    const auto& [region, health] = *offer.state;
    body += body.ends_with('[') ? R"({"name":)" : R"(,{"name":)";
    append_json_string(region.name, body);
    body += R"(,"url":)";
    append_json_string(region.url, body);
    body += health.healthy() ? R"(,"healthy":true)" : R"(,"healthy":false)";
    body += R"(,"distance_km":)";
    if (offers.located)
      append_number(body, offer.distance_km);
    else
      body += "null";
    body += R"(,"rtt_ms":)";
    if (const auto round_trip = health.round_trip())
      append_number(body, round_trip->count());
    else
      body += "null";
    body += '}';
  }
  body += R"(],"located":)";
  if (offers.located && !offers.located->country.empty())
    append_json_string(offers.located->country, body);
  else
    body += "null";
  body += '}';
  answer_json(exchange.response, std::move(body));
  exchange.response.cache_control = kCacheControl;
  co_return;
}

}  // namespace sealcast::rpc
