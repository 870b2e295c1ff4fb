// Calls the operator's webhook when the transport for a stream must warm up or may cool down. Each call is signed as
// Standard Webhooks 1.0.0 (https://www.standardwebhooks.com) defines it, in the headers webhook-id, webhook-timestamp
// and webhook-signature.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/secret.h"
#include "client/http/client.h"

namespace sealcast::leader::switching {

class Webhook {
 public:
  // `secret` is whsec_ followed by 24 to 64 bytes in base64. Throws SettingsError, which names the setting.
  Webhook(asio::any_io_executor executor, std::string url, Secret secret, std::string ca_file);

  // Sends one call. Returns an empty text if the webhook accepted it (2xx), otherwise the problem. A caller that
  // retries passes the same `id` again, so that the receiver can drop repeats.
  asio::awaitable<std::string> call(std::string id, std::string body);
  void stop() { client_.stop(); }

  // Returns the value of the header webhook-signature. `timestamp` is in Unix seconds.
  std::string signature(std::string_view id, std::int64_t timestamp, std::string_view body) const;

 private:
  client::http::Client client_;
  std::string url_;
  Secret secret_;
};

}  // namespace sealcast::leader::switching
