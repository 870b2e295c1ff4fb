// Runs sealcast.maintain() now and then.
#include "leader/maintenance.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"

namespace sealcast::leader {

namespace {

constexpr std::chrono::hours kEvery{1};
constexpr std::chrono::seconds kAfterFailure{2};
constexpr std::chrono::minutes kTimeout{10};
constexpr std::chrono::seconds kToConnect{5};

}  // namespace

Maintenance::Maintenance(asio::any_io_executor executor, std::string dsn)
    : executor_(executor), dsn_(std::move(dsn)), timer_(executor) {}

Maintenance::~Maintenance() { stop(); }

void Maintenance::start() { asio::co_spawn(executor_, run(), asio::detached); }

void Maintenance::stop() {
  stopping_ = true;
  timer_.cancel();
  if (connection_) connection_->stop();
}

asio::awaitable<void> Maintenance::run() {
  while (!stopping_) {
    connection_ = postgres::Connection::create(executor_, {dsn_, "maintenance", kTimeout});
    connection_->start();
    bool succeeded = co_await once();
    connection_->stop();
    if (stopping_) break;
    done_ = done_ || succeeded;
    timer_.expires_after(succeeded ? std::chrono::seconds(kEvery) : kAfterFailure);
    boost::system::error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<bool> Maintenance::once() {
  try {
    if (!co_await connection_->wait_connected(postgres::Connection::Clock::now() + kToConnect)) co_return false;
    postgres::Result rows = co_await connection_->query("select action, object from sealcast.maintain()");
    for (int row = 0; row < rows.size(); ++row) {
      log::write(log::Level::info, log::tag::kDatabase, "maintenance",
                 {{"action", rows.text(row, 0)}, {"object", rows.text(row, 1)}});
    }
    co_return true;
  } catch (const postgres::Error& error) {
    if (!stopping_) {
      log::write(log::Level::error, log::tag::kDatabase, "sealcast.maintain() failed; trying again",
                 {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
    }
    co_return false;
  }
}

}  // namespace sealcast::leader
