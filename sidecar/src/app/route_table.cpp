// The list of routes: method, path, handler, and the histogram of durations. docs/http.md describes each route.
#include "api/routes.h"
#include "app/sidecar.h"
#include "http/client_address.h"
#include "http/static_files.h"

namespace sealcast::app {

http::Router Sidecar::make_router() {
  using http::Route;
  constexpr auto get = http::Method::get;
  constexpr auto post = http::Method::post;
  prometheus::Histogram* const send_message = &metrics_.send_message_seconds;
  prometheus::Histogram* const verify = &metrics_.verify_seconds;
  prometheus::Histogram* const history = &metrics_.history_seconds;
  prometheus::Histogram* const heartbeat = &metrics_.heartbeat_seconds;
  prometheus::Histogram* const other = &metrics_.other_seconds;
  const auto moderation = [this](std::string_view function) {
    return api::moderation(function, callers_, gate_, calls_);
  };
  const api::TokenLifetimes lifetimes{.ticket = settings_.session.ticket_ttl,
                                      .transport_token = settings_.session.transport_token_ttl};
  api::AddressRate heartbeat_addresses(http::TrustedProxies(settings_.http.trusted_proxies),
                                       settings_.audience.rate_per_address);
  // clang-format off
  std::vector<Route> routes{
      {post, "/rpc/send_message", api::send_message(callers_, cells_, limits_, gate_, admission_, metrics_), send_message},
      {post, "/rpc/verify", api::verify(verifies_, limits_), verify},
      {post, "/rpc/mute", moderation("mute"), other},
      {post, "/rpc/ban", moderation("ban"), other},
      {post, "/rpc/unmute", moderation("unmute"), other},
      {post, "/rpc/unban", moderation("unban"), other},
      {post, "/rpc/set_role", moderation("set_role"), other},
      {post, "/rpc/migrate_transport", moderation("migrate_transport"), other},
      {get, "/streams/{id}/events", api::events(callers_, cells_, history_, hub_, vip_hub_), nullptr, Route::takes_over,
       Route::allowed_origins, {"access_token", "channel", "last_event_id", "lastEventId"}},
      {get, "/streams/{id}/messages", api::messages(callers_, cells_, history_), history, Route::large,
       Route::allowed_origins, {"access_token", "channel", "after", "before", "limit"}},
      {post, "/streams/{id}/token",
       api::token(callers_, cells_, history_, token_access_, tickets_, token_makers_, lifetimes), other},
      {post, "/streams/{id}/heartbeat",
       api::heartbeat(callers_, cells_, heartbeat_access_, heartbeats_, followers_, std::move(heartbeat_addresses)), heartbeat,
       Route::small, Route::allowed_origins, {"access_token"}},
      {get, "/regions", api::regions(regions_, http::TrustedProxies(settings_.http.trusted_proxies)), other},
      {get, "/.well-known/sealcast-keys", api::public_keys(reads_), other},
      {get, "/healthz", api::health(), nullptr, Route::small, Route::own_pages},
      {get, "/readyz", api::readiness(readiness()), nullptr, Route::small, Route::own_pages},
      {get, "/metrics", api::metrics(metrics_), nullptr, Route::small, Route::own_pages},
      {get, "/openapi.json", api::openapi(), other},
  };
  // clang-format on
  http::Handler fallback;
  if (!settings_.demo.directory.empty()) {
    fallback = api::demo(http::StaticFiles(settings_.demo.directory, settings_.demo.connect_origins));
  }
  return http::Router(std::move(routes), std::move(fallback), other);
}

}  // namespace sealcast::app
