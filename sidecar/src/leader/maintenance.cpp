// Runs sealcast.maintain() every hour until it finishes, and logs each change that it has made.
#include "leader/maintenance.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "base/log.h"

namespace sealcast::leader {

namespace {

constexpr std::chrono::hours kPeriod{1};
constexpr std::chrono::seconds kRetry{2};
constexpr std::chrono::minutes kTimeout{10};
constexpr std::chrono::seconds kConnectTimeout{5};

}  // namespace

Maintenance::Maintenance(asio::any_io_executor executor, postgres::Dsn dsn)
    : executor_(executor), dsn_(std::move(dsn)), stopped_(executor) {}

Maintenance::~Maintenance() { stop(); }

void Maintenance::start() { asio::co_spawn(executor_, run(), asio::detached); }

void Maintenance::stop() {
  stopped_.set();
  if (connection_) connection_->stop();
}

asio::awaitable<void> Maintenance::run() {
  while (!stopped_.is_set()) {
    connection_ = postgres::Connection::create(executor_, {dsn_, "maintenance", kTimeout});
    connection_->start();
    const bool succeeded = co_await maintain();
    connection_->stop();
    if (stopped_.is_set()) break;
    done_ = done_ || succeeded;
    if (co_await stopped_.wait_for(succeeded ? std::chrono::seconds(kPeriod) : kRetry)) break;
  }
}

asio::awaitable<bool> Maintenance::step() {
  postgres::Result rows = co_await connection_->query("select action, object from sealcast.maintain()");
  bool unfinished = false;
  for (int row = 0; row < rows.size(); ++row) {
    if (rows.text(row, 0) == "unfinished") {
      unfinished = true;
      continue;
    }
    log::write(log::Level::info, log::tag::kDatabase, "maintenance",
               {{"action", rows.text(row, 0)}, {"object", rows.text(row, 1)}});
  }
  co_return unfinished;
}

asio::awaitable<bool> Maintenance::maintain() {
  try {
    if (!co_await connection_->wait_connected(postgres::Connection::Clock::now() + kConnectTimeout)) co_return false;
    bool unfinished = true;
    while (unfinished) {
      unfinished = co_await step();
      done_ = true;
    }
    co_return true;
  } catch (const postgres::Error& error) {
    if (!stopped_.is_set()) {
      log::write(log::Level::error, log::tag::kDatabase, "sealcast.maintain() failed; retrying",
                 {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
    }
    co_return false;
  }
}

}  // namespace sealcast::leader
