// GET /.well-known/sealcast-keys.
#include "api/public_keys.h"

#include "api/api.h"
#include "api/database_failure.h"

namespace sealcast::api {

namespace {

// A key must have been shown for so long before it signs (docs/keys.md), else caches have readers call it unknown.
constexpr std::string_view kCacheControl = "public, max-age=60";

}  // namespace

asio::awaitable<PublicKeys::KeySet> PublicKeys::read() {
  const auto now = Clock::now();
  if (known_ && now < fresh_until_) co_return known_;
  // Who asks meanwhile gets what is known: one question a second, however many readers there are.
  fresh_until_ = now + kAge;
  try {
    postgres::Result rows = co_await pool_.query("select sealcast.public_keys()");
    known_ = std::make_shared<const std::string>(rows.text(0, 0));
  } catch (const postgres::Error&) {
    known_.reset();
    throw;
  }
  co_return known_;
}

asio::awaitable<void> Api::public_keys(http::Exchange& exchange) {
  http::Response& response = exchange.response;
  response.any_origin = true;
  try {
    PublicKeys::KeySet keys = co_await public_keys_.read();
    response.content_type = http::kJson;
    response.cache_control = kCacheControl;
    response.shared_body = *keys;
    response.storage = std::move(keys);
  } catch (const postgres::Error& error) {
    answer_database_failure(error, "cannot read the public keys", response);
  }
}

}  // namespace sealcast::api
