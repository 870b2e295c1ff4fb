// Creates the connections of a pool, and selects a connection for each statement.
#include "client/postgres/pool.h"

#include <algorithm>

namespace sealcast::client::postgres {

Pool::Pool(asio::any_io_executor executor, const ConnectionSettings& settings, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    ConnectionSettings numbered = settings;
    numbered.name += " " + std::to_string(i + 1);
    connections_.push_back(Connection::create(executor, std::move(numbered)));
    connections_.back()->on_connect = [this] {
      if (on_connect) on_connect();
    };
  }
}

Pool::~Pool() { stop(); }

void Pool::start() {
  for (auto& connection : connections_) connection->start();
}

void Pool::stop() {
  for (auto& connection : connections_) {
    connection->on_connect = nullptr;
    connection->stop();
  }
}

bool Pool::connected() const {
  return std::ranges::any_of(connections_, [](const auto& connection) { return connection->connected(); });
}

asio::awaitable<Result> Pool::query(const char* sql, const Params& params) {
  auto shortest = std::ranges::min_element(connections_, {}, [](const auto& connection) {
    return std::pair(!connection->connected(), connection->queued());
  });
  return (*shortest)->query(sql, params);
}

}  // namespace sealcast::client::postgres
