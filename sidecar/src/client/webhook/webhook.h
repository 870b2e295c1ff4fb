// Calls an operator's webhook. Each call is signed as Standard Webhooks 1.0.0
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md) defines it, in the
// headers webhook-id, webhook-timestamp and webhook-signature.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/secret.h"
#include "client/http/client.h"

namespace sealcast::client::webhook {

class Webhook {
 public:
  struct Options {
    std::string url;
    Secret secret;  // text for WebhookSecrets
    std::string ca_file;
    std::chrono::milliseconds timeout{20'000};  // Standard Webhooks recommends 15 to 30 s
    long max_connections = 4;
  };

  struct Answer {
    std::string problem;  // empty: the webhook accepted the call (2xx)
    bool gone = false;    // 410: the webhook wants no more calls
    bool busy = false;    // 429, 502, 503 or 504: no call of any kind should follow soon
    bool late = false;    // no answer within the timeout: the webhook may hang on this call only
    bool away = false;    // no answer for another reason
    std::chrono::milliseconds retry_after{0};

    // True when calls for other events would fail, too.
    bool unavailable() const { return busy || away; }
  };

  // Throws SettingsError when the secret is not valid.
  Webhook(asio::any_io_executor executor, Options options);

  // Sends one call. A caller that retries passes the same `id` again, so that the receiver can drop repeats.
  asio::awaitable<Answer> call(std::string id, std::string body);
  void read_secret_again() { secret_.read_again(secret_.text()); }
  void stop() { client_.stop(); }

  // Returns the value of the header webhook-signature. `timestamp` is in Unix seconds.
  std::string signature(std::string_view id, std::int64_t timestamp, std::string_view body) const;

 private:
  http::Client client_;
  const std::string url_;
  const Secret secret_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace sealcast::client::webhook
