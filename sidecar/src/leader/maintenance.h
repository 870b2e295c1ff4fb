// Keeps the database in order: sealcast.maintain() makes the partitions of the days ahead and drops what retention has
// passed. On a connection of its own that stands only meanwhile, since it may take longer than the relay's lease.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "base/asio.h"
#include "client/postgres/connection.h"

namespace sealcast::leader {

class Maintenance {
 public:
  Maintenance(asio::any_io_executor executor, std::string dsn);
  ~Maintenance();

  void start();  // now, and every hour; after a failure again soon
  void stop();
  bool done() const { return done_; }  // it succeeded at least once, so that messages have a partition to go to

 private:
  asio::awaitable<void> run();
  asio::awaitable<bool> once();

  asio::any_io_executor executor_;
  std::string dsn_;
  std::shared_ptr<postgres::Connection> connection_;
  asio::steady_timer timer_;
  bool stopping_ = false;
  bool done_ = false;
};

}  // namespace sealcast::leader
