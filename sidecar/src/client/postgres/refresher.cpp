// Runs the loop of a refresher: calls the function that reads the table, then pauses. Logs only the first failure of a
// series of failures.
#include "client/postgres/refresher.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <exception>
#include <utility>

#include "base/log.h"

namespace sealcast::client::postgres {

Refresher::Refresher(asio::any_io_executor executor, std::chrono::milliseconds every, std::string_view tag,
                     std::string_view failure, Read read)
    : executor_(executor), every_(every), tag_(tag), failure_(failure), read_(std::move(read)), stopped_(executor) {}

void Refresher::start() { asio::co_spawn(executor_, run(), asio::detached); }

void Refresher::stop() { stopped_.set(); }

asio::awaitable<void> Refresher::run() {
  bool failing = false;
  while (!stopped_.is_set()) {
    try {
      co_await read_();
      failing = false;
    } catch (const std::exception& error) {
      if (!std::exchange(failing, true)) {
        log::write(log::Level::warn, tag_, failure_, {{"reason", std::string_view(error.what())}});
      }
    }
    co_await stopped_.wait_for(every_);
  }
}

}  // namespace sealcast::client::postgres
