// Runs sealcast.maintain(), which creates the day partitions of the next days and drops the day partitions that are
// older than the retention. Each call is a statement and a transaction of its own, and does one step.
//
// Each run opens a connection of its own. On the relay's connection a long run would delay the renewal of the leases,
// and the leases would expire.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/event.h"
#include "client/postgres/connection.h"

namespace sealcast::leader {

class Maintenance {
 public:
  Maintenance(asio::any_io_executor executor, postgres::Dsn dsn);
  ~Maintenance();

  void start();  // does maintenance now and one hour after each success; after a failure, 2 seconds later
  void stop();
  bool done() const { return done_; }  // a call has succeeded, so a day partition for new messages exists

 private:
  asio::awaitable<void> run();
  asio::awaitable<bool> maintain();  // calls step() until it finishes; returns false after an error
  asio::awaitable<bool> step();      // returns whether maintain() must be called again

  asio::any_io_executor executor_;
  postgres::Dsn dsn_;
  std::shared_ptr<postgres::Connection> connection_;
  Event stopped_;
  bool done_ = false;
};

}  // namespace sealcast::leader
