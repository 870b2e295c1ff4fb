// Limits the requests without a session that one client address may send per second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/address.h"
#include "http/client_address.h"
#include "http/exchange.h"

namespace sealcast::api {

class AddressRate {
 public:
  using Clock = std::chrono::steady_clock;

  // `per_second` 0: no limit.
  AddressRate(http::TrustedProxies proxies, std::int32_t per_second)
      : proxies_(std::move(proxies)), per_second_(per_second) {}

  // Counts the request. The addresses of one IPv6 network of 64 bits count as one, since one host may have them all.
  bool allows(const http::Request& request, Clock::time_point now = Clock::now());

 private:
  http::TrustedProxies proxies_;
  std::int32_t per_second_;
  // By network, in the second that begins at second_. A second has no more entries than requests.
  std::unordered_map<std::string, std::int32_t> counts_;
  Clock::time_point second_{};
};

}  // namespace sealcast::api
