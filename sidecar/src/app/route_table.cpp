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
  using Parameters = std::vector<std::string_view>;
  const Parameters of_reports{"limit", "after", "resolved"};
  const Parameters of_held{"limit", "after"};
  const Parameters of_log{"user_id", "before", "limit"};
  const auto moderation_page = [this](std::string_view function, const Parameters& parameters) {
    return api::moderation_page(function, parameters, callers_, cells_, gate_, calls_);
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
      {post, "/rpc/redact_message", moderation("redact_message"), other},
      {post, "/rpc/redact_messages", moderation("redact_messages"), other},
      {post, "/rpc/set_role", moderation("set_role"), other},
      {post, "/rpc/add_blocked_term", moderation("add_blocked_term"), other},
      {post, "/rpc/remove_blocked_term", moderation("remove_blocked_term"), other},
      {post, "/rpc/blocked_terms_of", moderation("blocked_terms_of"), other},
      {post, "/rpc/term_hits_of", moderation("term_hits_of"), other},
      {post, "/rpc/migrate_transport", moderation("migrate_transport"), other},
      {post, "/rpc/set_stream_rules", moderation("set_stream_rules"), other},
      {post, "/rpc/pin_message", moderation("pin_message"), other},
      {post, "/rpc/unpin_message", moderation("unpin_message"), other},
      {post, "/rpc/report_message", moderation("report_message"), other},
      {post, "/rpc/resolve_report", moderation("resolve_report"), other},
      {post, "/rpc/approve_message", moderation("approve_message"), other},
      {post, "/rpc/deny_message", moderation("deny_message"), other},
      {get, "/streams/{id}/held", moderation_page("held_messages_of", of_held), other, Route::large,
       Route::allowed_origins, of_held},
      {get, "/streams/{id}/reports", moderation_page("reported_messages", of_reports), other, Route::large,
       Route::allowed_origins, of_reports},
      {get, "/streams/{id}/moderation_log", moderation_page("moderation_log_of", of_log), other, Route::large,
       Route::allowed_origins, of_log},
      {get, "/streams/{id}/events", api::events(callers_, cells_, history_, states_, hub_, vip_hub_), nullptr, Route::takes_over,
       Route::allowed_origins, {"access_token", "channel", "last_event_id", "lastEventId"}},
      {get, "/streams/{id}/messages", api::messages(callers_, cells_, history_), history, Route::large,
       Route::allowed_origins, {"access_token", "channel", "after", "before", "limit"}},
      {get, "/streams/{id}/state", api::stream_state(callers_, cells_, history_, states_), history, Route::large,
       Route::allowed_origins, {"access_token", "channel"}},
      {get, "/streams/{id}/rules", api::stream_rules(callers_, cells_, history_, reads_), other, Route::small,
       Route::allowed_origins, {"access_token"}},
      {get, "/streams/{id}/notices", api::notices(callers_, cells_, history_), other},
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
