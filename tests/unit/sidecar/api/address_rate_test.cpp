// Tests the limit of requests per client address.
#include "api/address_rate.h"

#include <gtest/gtest.h>

namespace sealcast::api {
namespace {

using std::chrono::milliseconds;

http::Request from(const char* address, const char* forwarded_for = "") {
  http::Request request;
  request.peer = *parse_address(address);
  request.forwarded_for = forwarded_for;
  return request;
}

TEST(AddressRate, EachAddressHasItsOwnRatePerSecond) {
  AddressRate rate(http::TrustedProxies({}), 2);
  const auto now = AddressRate::Clock::now();
  for (const char* address : {"192.0.2.1", "192.0.2.2"}) {
    EXPECT_TRUE(rate.allows(from(address), now));
    EXPECT_TRUE(rate.allows(from(address), now + milliseconds(500)));
    EXPECT_FALSE(rate.allows(from(address), now + milliseconds(999))) << address;
  }
  EXPECT_TRUE(rate.allows(from("192.0.2.1"), now + milliseconds(1000)));
}

TEST(AddressRate, AnIpv6NetworkOf64BitsIsOneAddress) {
  AddressRate rate(http::TrustedProxies({}), 1);
  const auto now = AddressRate::Clock::now();
  EXPECT_TRUE(rate.allows(from("2001:db8:0:1::1"), now));
  EXPECT_FALSE(rate.allows(from("2001:db8:0:1:ffff::2"), now));
  EXPECT_TRUE(rate.allows(from("2001:db8:0:2::1"), now));
}

TEST(AddressRate, BehindATrustedProxyTheClientIsLimited) {
  AddressRate rate(http::TrustedProxies({"10.0.0.0/8"}), 1);
  const auto now = AddressRate::Clock::now();
  EXPECT_TRUE(rate.allows(from("10.0.0.1", "192.0.2.1"), now));
  EXPECT_FALSE(rate.allows(from("10.0.0.2", "192.0.2.1"), now));
  EXPECT_TRUE(rate.allows(from("10.0.0.1", "192.0.2.2"), now));
  EXPECT_TRUE(rate.allows(from("192.0.2.3", "192.0.2.1"), now)) << "the header of a client is ignored";
  EXPECT_FALSE(rate.allows(from("192.0.2.3", "192.0.2.4"), now));
}

TEST(AddressRate, ZeroIsNoLimit) {
  AddressRate rate(http::TrustedProxies({}), 0);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(rate.allows(from("192.0.2.1")));
}

}  // namespace
}  // namespace sealcast::api
