// Tests the order in which the parts of a process start and stop.
#include "app/parts.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <stdexcept>
#include <string>

namespace sealcast::app {
namespace {

class PartsTest : public testing::Test {
 protected:
  void add(const std::string& name, bool fails = false) {
    parts_.add(
        [this, name, fails] {
          if (fails) throw std::runtime_error(name);
          events_ += " +" + name;
        },
        [this, name] { events_ += " -" + name; });
  }
  void stop() {
    asio::io_context io;
    asio::co_spawn(io, parts_.stop(Parts::Clock::now()), asio::detached);
    io.run();
  }

  Parts parts_;
  std::string events_;
};

TEST_F(PartsTest, PartsStartInOrderAndStopInReverse) {
  add("a");
  add("b");
  parts_.add([this] { events_ += " +c"; },
             [this](Parts::Clock::time_point) -> asio::awaitable<void> {
               events_ += " -c";
               co_return;
             });
  parts_.start();
  stop();
  EXPECT_EQ(events_, " +a +b +c -c -b -a");
}

TEST_F(PartsTest, OnlyStartedPartsAreStopped) {
  add("a");
  add("b", true);
  add("c");
  EXPECT_THROW(parts_.start(), std::runtime_error);
  stop();
  EXPECT_EQ(events_, " +a -a");
}

}  // namespace
}  // namespace sealcast::app
