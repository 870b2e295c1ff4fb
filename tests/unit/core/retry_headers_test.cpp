// Tests the values of the headers that tell a client when to send again.
#include "core/retry_headers.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace sealcast::core {
namespace {

TEST(RetryHeaders, TheRateLimitHasPolicyNumberAndWindow) {
  EXPECT_STREQ(HeaderValue::rate_limit_policy("chat", 5).c_str(), "\"chat\";q=5;w=1");
  EXPECT_STREQ(HeaderValue::rate_limit("chat", 0).c_str(), "\"chat\";r=0;t=1");
}

TEST(RetryHeaders, TheLongestNameAndNumberFit) {
  const std::string name(kMaxMessageType, 'x');
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(HeaderValue::rate_limit_policy(name, kMost).c_str(), '"' + name + "\";q=9223372036854775807;w=1");
  EXPECT_STREQ(HeaderValue::retry_after(kMost).c_str(), "9223372036854776");
}

TEST(RetryHeaders, SecondsAreRoundedUp) {
  for (const auto& [ms, seconds] : {std::pair(1, "1"), {999, "1"}, {1000, "1"}, {1001, "2"}}) {
    EXPECT_STREQ(HeaderValue::retry_after(ms).c_str(), seconds) << ms;
  }
}

}  // namespace
}  // namespace sealcast::core
