// Runs sealcast.maintain(), which creates the day partitions of the next days and drops the partitions that
// are older than the retention.
//
// Each run has a connection of its own, because it may take longer than the relay's lease.
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
  Maintenance(asio::any_io_executor executor, std::string dsn);
  ~Maintenance();

  void start();  // runs now and then every hour; 2 seconds after a failed run
  void stop();
  bool done() const { return done_; }  // one run succeeded, so there is a day partition for new messages

 private:
  asio::awaitable<void> run();
  asio::awaitable<bool> maintain();

  asio::any_io_executor executor_;
  std::string dsn_;
  std::shared_ptr<postgres::Connection> connection_;
  Event stopped_;
  bool done_ = false;
};

}  // namespace sealcast::leader
