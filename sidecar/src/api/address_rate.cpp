// Counts the requests of each network in windows of one second.
#include "api/address_rate.h"

namespace sealcast::api {

namespace {

constexpr std::size_t kIpv6NetworkBytes = 8;

std::string network_of(const Address& address) {
  const std::size_t bytes = address.is_v4() ? address.bytes.size() : kIpv6NetworkBytes;
  return {reinterpret_cast<const char*>(address.bytes.data()), bytes};
}

}  // namespace

bool AddressRate::allows(const http::Request& request, Clock::time_point now) {
  if (per_second_ == 0) return true;
  if (now - second_ >= std::chrono::seconds(1)) {
    counts_.clear();
    second_ = now;
  }
  return ++counts_[network_of(proxies_.client(request.peer, request.forwarded_for))] <= per_second_;
}

}  // namespace sealcast::api
