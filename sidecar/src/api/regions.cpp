// GET /regions: lists the regions, the best region for the caller's address first.
#include "regions/regions.h"

#include <cmath>
#include <memory>
#include <optional>

#include "api/routes.h"
#include "base/json.h"

namespace sealcast::api {

namespace {

// Clients ask again after max-age, or when their region fails. `private` keeps shared caches from storing the answer,
// because it depends on the caller's address.
constexpr std::string_view kCacheControl = "private, max-age=60";

void add_whole_or_null(JsonObject& object, std::string_view name, std::optional<double> number) {
  if (number) {
    object.number(name, std::int64_t{std::llround(*number)});
  } else {
    object.json(name, "null");
  }
}

void append_offer(const regions::Offer& offer, bool located, std::string& out) {
  const auto& [region, health] = *offer.state;
  const auto round_trip = health.round_trip();
  JsonObject object(out);
  object.text("name", region.name).text("url", region.url).boolean("healthy", health.healthy());
  add_whole_or_null(object, "distance_km", located ? std::optional(offer.distance_km) : std::nullopt);
  add_whole_or_null(object, "rtt_ms", round_trip ? std::optional<double>(round_trip->count()) : std::nullopt);
  object.end();
}

void answer(const regions::Regions& regions, const http::TrustedProxies& proxies, http::Exchange& exchange) {
  const Address caller = proxies.client(exchange.request.peer, exchange.request.forwarded_for);
  const regions::Offers offers = regions.offers_for(caller);
  std::string list = "[";
  for (const regions::Offer& offer : offers.regions) {
    if (list.size() > 1) list += ',';
    append_offer(offer, offers.located.has_value(), list);
  }
  list += ']';
  std::string body;
  JsonObject(body)
      .json("regions", list)
      .text_or_null("located", offers.located ? std::string_view(offers.located->country) : std::string_view())
      .end();
  http::answer_json(exchange.response, std::move(body));
  exchange.response.cache_control = kCacheControl;
}

}  // namespace

http::Handler regions(const regions::Regions& regions, http::TrustedProxies proxies) {
  return http::immediate(
      [&regions, proxies = std::move(proxies)](http::Exchange& exchange) { answer(regions, proxies, exchange); });
}

}  // namespace sealcast::api
