// Tests that the parser limits the header of a request that arrives in pieces.
#include "http/parser.h"

#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>

namespace sealcast::http {
namespace {

constexpr std::size_t kMaxHeader = 1024;

// Passes the same header field to the parser many times, one field per put(), and returns the parser's last error. Each
// piece ends with the first byte of the next field, because the parser recognises the end of a field only by that byte.
boost::system::error_code repeat(const std::string& field) {
  Request request;
  RequestParser parser(request, kMaxHeader, 64);
  boost::system::error_code error;
  std::string rest = "GET / HTTP/1.1\r\n" + field.substr(0, 1);
  for (std::size_t sent = 0; sent < 10 * kMaxHeader; sent += field.size()) {
    rest.erase(0, parser.put(boost::asio::const_buffer(rest.data(), rest.size()), error));
    if (error != beast::http::error::need_more) break;
    rest += field.substr(1) + field.substr(0, 1);
  }
  EXPECT_LE(request.forwarded_for.size(), kMaxHeader);
  return error;
}

TEST(HttpParser, AHeaderThatArrivesFieldByFieldIsLimited) {
  EXPECT_EQ(repeat("X-Forwarded-For: 192.0.2.1\r\n"), beast::http::error::header_limit);
  EXPECT_EQ(repeat("X-Nothing: " + std::string(200, 'a') + "\r\n"), beast::http::error::header_limit);
}

TEST(HttpParser, AFieldThatDoesNotEndIsLimited) { EXPECT_EQ(repeat("X-Nothing: "), beast::http::error::header_limit); }

}  // namespace
}  // namespace sealcast::http
