// Tests the look-up of host names.
#include "base/resolver.h"

#include <gmock/gmock.h>

#include "support/async.h"

namespace sealcast {
namespace {

using asio::ip::tcp;

class ResolverTest : public testing::Test {
 protected:
  std::vector<tcp::endpoint> resolve(const std::string& host,
                                     Resolver::Clock::time_point deadline = Resolver::Clock::time_point::max()) {
    return test::await(io_, resolver_.resolve(host, 80, deadline));
  }

  asio::io_context io_;
  Resolver resolver_{io_.get_executor()};
};

TEST_F(ResolverTest, AnAddressNeedsNoLookUp) {
  // Without a look-up, a deadline that has passed does not matter.
  const auto passed = Resolver::Clock::time_point::min();
  EXPECT_THAT(resolve("127.0.0.1", passed),
              testing::ElementsAre(tcp::endpoint(asio::ip::make_address("127.0.0.1"), 80)));
  EXPECT_THAT(resolve("::1", passed), testing::ElementsAre(tcp::endpoint(asio::ip::make_address("::1"), 80)));
}

TEST_F(ResolverTest, ANameIsLookedUp) {
  EXPECT_THAT(resolve("localhost"),
              testing::Contains(testing::AnyOf(tcp::endpoint(asio::ip::make_address("127.0.0.1"), 80),
                                               tcp::endpoint(asio::ip::make_address("::1"), 80))));
}

TEST_F(ResolverTest, ALookUpEndsAtTheDeadline) {
  try {
    resolve("localhost", Resolver::Clock::time_point::min());
    ADD_FAILURE() << "the deadline did not count";
  } catch (const boost::system::system_error& error) {
    EXPECT_EQ(error.code(), asio::error::timed_out);
  }
}

TEST_F(ResolverTest, ANameWithoutAnAddressIsAnError) {
  EXPECT_THROW(resolve("no.such.host.invalid"), boost::system::system_error);
}

}  // namespace
}  // namespace sealcast
