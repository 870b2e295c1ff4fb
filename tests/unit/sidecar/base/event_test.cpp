// Tests events, and the pauses of a backoff.
#include "base/event.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <optional>

#include "base/backoff.h"

namespace sealcast {
namespace {

using std::chrono::milliseconds;

class EventTest : public testing::Test {
 protected:
  void wait(Event& event, std::optional<bool>& result, Event::Clock::time_point deadline) {
    asio::co_spawn(
        io_,
        [](Event& event, std::optional<bool>& result, Event::Clock::time_point deadline) -> asio::awaitable<void> {
          result = co_await event.wait_until(deadline);
        }(event, result, deadline),
        asio::detached);
  }

  asio::io_context io_{1};
};

TEST_F(EventTest, SetWakesEveryWaitingCoroutine) {
  Event event(io_.get_executor());
  std::optional<bool> first, second;
  wait(event, first, Event::Clock::time_point::max());
  wait(event, second, Event::Clock::now() + std::chrono::minutes(1));
  io_.poll();
  EXPECT_FALSE(first || second);
  event.set();
  io_.run();
  EXPECT_EQ(first, true);
  EXPECT_EQ(second, true);
}

TEST_F(EventTest, AnEventThatIsSetReturnsAtOnceUntilItIsCleared) {
  Event event(io_.get_executor());
  event.set();
  std::optional<bool> result;
  wait(event, result, Event::Clock::time_point::max());
  io_.run();
  EXPECT_EQ(result, true);
  event.clear();
  EXPECT_FALSE(event.is_set());
  result.reset();
  io_.restart();
  wait(event, result, Event::Clock::now() + milliseconds(1));
  io_.run();
  EXPECT_EQ(result, false);
}

TEST_F(EventTest, ADestroyedEventWakesItsWaitingCoroutine) {
  std::optional<Event> event(io_.get_executor());
  std::optional<bool> result;
  wait(*event, result, Event::Clock::time_point::max());
  io_.poll();
  event.reset();
  io_.run();
  EXPECT_EQ(result, false);
}

TEST(BackoffTest, TheCeilingDoublesUpToItsMaximumAndResetReturnsToTheFirst) {
  Backoff backoff(milliseconds(10), milliseconds(40));
  for (const int ceiling : {10, 20, 40, 40}) {
    const milliseconds pause = backoff.next(milliseconds(5));
    EXPECT_GE(pause, milliseconds(5));
    EXPECT_LE(pause, milliseconds(5 + ceiling));
  }
  backoff.reset();
  EXPECT_LE(backoff.next(), milliseconds(10));
}

}  // namespace
}  // namespace sealcast
