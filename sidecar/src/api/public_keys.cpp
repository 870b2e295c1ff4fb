// GET /.well-known/sealcast-keys: returns the public keys that verify envelopes.
#include <chrono>
#include <memory>
#include <string>

#include "api/database_failure.h"
#include "api/routes.h"
#include "client/postgres/pool.h"

namespace sealcast::api {

namespace {

// A new key must be published for longer than max-age before it signs (docs/keys.md). Otherwise a reader with a cached
// answer would not know the key.
constexpr std::string_view kCacheControl = "public, max-age=60";

struct PublicKeys {
  using Clock = std::chrono::steady_clock;
  using KeySet = std::shared_ptr<const std::string>;  // a JSON Web Key Set
  static constexpr std::chrono::seconds kAge{1};

  postgres::Pool& pool;
  KeySet known{};
  Clock::time_point fresh_until{};

  asio::awaitable<KeySet> read();
  asio::awaitable<void> answer(http::Exchange& exchange);
};

asio::awaitable<PublicKeys::KeySet> PublicKeys::read() {
  const auto now = Clock::now();
  if (known && now < fresh_until) co_return known;
  // Set before the query, so that requests during the query get the known keys and Postgres gets one query per second.
  fresh_until = now + kAge;
  try {
    postgres::Result rows = co_await pool.query("select sealcast.public_keys()");
    known = std::make_shared<const std::string>(rows.text(0, 0));
  } catch (const postgres::Error&) {
    known.reset();
    throw;
  }
  co_return known;
}

asio::awaitable<void> PublicKeys::answer(http::Exchange& exchange) {
  http::Response& response = exchange.response;
  response.any_origin = true;
  try {
    KeySet keys = co_await read();
    response.content_type = http::kJson;
    response.cache_control = kCacheControl;
    response.shared_body = *keys;
    response.storage = std::move(keys);
  } catch (const postgres::Error& error) {
    answer_database_failure(error, "cannot read the public keys", response);
  }
}

}  // namespace

http::Handler public_keys(postgres::Pool& pool) {
  auto route = std::make_shared<PublicKeys>(PublicKeys{.pool = pool});
  return [route](http::Exchange& exchange, std::string_view) { return route->answer(exchange); };
}

}  // namespace sealcast::api
