// Tests the parsing of addresses and networks, and which entry of X-Forwarded-For is taken as the client's address.
#include "http/client_address.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace sealcast::http {
namespace {

std::string canonical(std::string_view text) {
  const auto address = parse_address(text);
  return address ? address->text() : "none";
}

std::string problem(std::string_view network) {
  try {
    parse_network(network);
    return "no problem";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

bool within(std::string_view network, std::string_view address) {
  return parse_network(network).contains(*parse_address(address));
}

// Returns the client's address. The trusted proxies are 10.0.0.0/8, fd00::/8 and 192.0.2.1.
std::string client(std::string_view peer, std::string_view forwarded_for) {
  static const TrustedProxies proxies({"10.0.0.0/8", "fd00::/8", "192.0.2.1"});
  return proxies.client(*parse_address(peer), forwarded_for).text();
}

TEST(ClientAddress, AddressesAreParsed) {
  EXPECT_EQ(canonical("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(canonical("::ffff:192.0.2.1"), "192.0.2.1") << "an IPv4 address is the same after IPv4 and IPv6 sockets";
  EXPECT_EQ(canonical("2001:DB8:0::1"), "2001:db8::1");
  EXPECT_EQ(canonical("::"), "::");
  for (const char* text :
       {"", " 192.0.2.1", "192.0.2", "192.0.2.256", "192.0.2.1.", "192.0.02.1", "0x7f.1", "2130706433", "fe80::1%eth0",
        "[::1]", "1:2:3:4:5:6:7", ":::", "localhost", "192.0.2.1:80"}) {
    EXPECT_EQ(canonical(text), "none") << text;
  }
  EXPECT_EQ(canonical({"192.0.2.1\0x", 11}), "none");
  EXPECT_EQ(canonical(std::string(5000, '1')), "none");
}

TEST(ClientAddress, ANetworkContainsItsAddresses) {
  EXPECT_TRUE(within("10.0.0.0/8", "10.255.1.2"));
  EXPECT_FALSE(within("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(within("192.0.2.128/25", "192.0.2.129"));
  EXPECT_FALSE(within("192.0.2.128/25", "192.0.2.127"));
  EXPECT_TRUE(within("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(within("192.0.2.1", "192.0.2.0"));
  EXPECT_TRUE(within("0.0.0.0/0", "203.0.113.9"));
  EXPECT_FALSE(within("0.0.0.0/0", "2001:db8::1")) << "no IPv6 address is in an IPv4 network";
  EXPECT_TRUE(within("::/0", "203.0.113.9")) << "IPv4 addresses are in ::/0";
  EXPECT_TRUE(within("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(within("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_FALSE(within("10.0.0.0/8", "a00::"));
}

TEST(ClientAddress, InvalidNetworksAreRefused) {
  EXPECT_EQ(problem("10.0.0.0/8"), "no problem");
  for (const char* text : {"", "/8", "example.org", "10.0.0/8", "10.0.0.0 /8"}) {
    EXPECT_EQ(problem(text), "is no IPv4 or IPv6 address") << text;
  }
  for (const char* text : {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8x", "10.0.0.0/8/8",
                           "10.0.0.0/255.0.0.0", "10.0.0.0/99999999999"}) {
    EXPECT_EQ(problem(text), "has no prefix of 0 to 32 bits") << text;
  }
  EXPECT_EQ(problem("::/129"), "has no prefix of 0 to 128 bits");
  EXPECT_EQ(problem("10.0.0.1/8"), "has bits set after its prefix; the network begins at 10.0.0.0");
  EXPECT_EQ(problem("2001:db8::1/32"), "has bits set after its prefix; the network begins at 2001:db8::");
}

TEST(ClientAddress, APeerThatIsNotAProxyIsTheClient) {
  EXPECT_EQ(client("203.0.113.9", ""), "203.0.113.9");
  EXPECT_EQ(client("203.0.113.9", "198.51.100.7"), "203.0.113.9");
  EXPECT_EQ(client("203.0.113.9", "10.0.0.1"), "203.0.113.9");
  EXPECT_EQ(TrustedProxies({}).client(*parse_address("127.0.0.1"), "198.51.100.7").text(), "127.0.0.1");
}

TEST(ClientAddress, BehindProxiesTheClientIsTheLastAddressThatIsNotAProxy) {
  EXPECT_EQ(client("10.0.0.1", ""), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", "198.51.100.7"), "198.51.100.7");
  EXPECT_EQ(client("::ffff:10.0.0.1", "198.51.100.7"), "198.51.100.7");
  EXPECT_EQ(client("10.0.0.1", "198.51.100.7, 10.2.3.4"), "198.51.100.7");
  EXPECT_EQ(client("10.0.0.1", "198.51.100.7,fd00::2 ,\t192.0.2.1"), "198.51.100.7");
  EXPECT_EQ(client("10.0.0.1", "2001:db8::7, 10.2.3.4"), "2001:db8::7");
  // The client itself may have written the entries before its address, so they are not trusted.
  EXPECT_EQ(client("10.0.0.1", "1.1.1.1, 198.51.100.7"), "198.51.100.7");
  EXPECT_EQ(client("10.0.0.1", "10.9.9.9, 198.51.100.7, 10.2.3.4"), "198.51.100.7");
  EXPECT_EQ(client("10.0.0.1", "nonsense, 198.51.100.7"), "198.51.100.7");
  // All addresses are proxies.
  EXPECT_EQ(client("10.0.0.1", "10.7.7.7, 10.2.3.4"), "10.7.7.7");
}

TEST(ClientAddress, AnEntryMayHaveAPortAndBrackets) {
  EXPECT_EQ(client("10.0.0.1", "198.51.100.7:4711"), "198.51.100.7");
  EXPECT_EQ(client("10.0.0.1", "[2001:db8::7]:4711"), "2001:db8::7");
  EXPECT_EQ(client("10.0.0.1", "[2001:db8::7]"), "2001:db8::7");
  for (const char* text : {"198.51.100.7:", "198.51.100.7:65536", "198.51.100.7:-1", "198.51.100.7:8x", "[2001:db8::7",
                           "[2001:db8::7]4711", "[198.51.100.7]", "[]", ":80"}) {
    EXPECT_EQ(client("10.0.0.1", text), "10.0.0.1") << text;
  }
}

TEST(ClientAddress, AListWithAMalformedEntryIsIgnored) {
  for (const char* text : {"unknown", "_hidden", "198.51.100.7,", "198.51.100.7, , 10.2.3.4", "\"198.51.100.7\"",
                           "for=198.51.100.7", "198.51.100.7 10.2.3.4", "198.51.100.7; 10.2.3.4"}) {
    EXPECT_EQ(client("10.0.0.1", text), "10.0.0.1") << text;
  }
}

TEST(ClientAddress, AListWithTooManyHopsIsIgnored) {
  std::string hops = "198.51.100.7";
  for (std::size_t i = 1; i < TrustedProxies::kMaxHops; ++i) hops += ", 10.2.3.4";
  EXPECT_EQ(client("10.0.0.1", hops), "198.51.100.7");
  EXPECT_EQ(client("10.0.0.1", hops + ", 10.2.3.4"), "10.0.0.1");
  // Entries before the client's address are not read, so they do not count as hops.
  EXPECT_EQ(client("10.0.0.1", std::string(100'000, ',') + "198.51.100.7"), "198.51.100.7");
}

}  // namespace
}  // namespace sealcast::http
