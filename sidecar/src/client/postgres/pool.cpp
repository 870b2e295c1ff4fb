// Creates the connections of a pool, lets statements wait for their turn, and selects a connection for each.
#include "client/postgres/pool.h"

#include <algorithm>
#include <deque>

#include "base/event.h"

namespace sealcast::client::postgres {

// The statements that are sent and have no answer, and the turns that wait. Outlives the pool while a coroutine waits.
struct Pool::Queue {
  std::size_t sent = 0;
  std::size_t room = 0;  // maximum of `sent`
  std::deque<Turn*> waiting;

  void give_turns();
};

// The place of one statement: it waits, then it is sent, until the object ends.
class Pool::Turn {
 public:
  Turn(asio::any_io_executor executor, std::shared_ptr<Queue> queue) : queue_(std::move(queue)), given_(executor) {
    queue_->waiting.push_back(this);
    queue_->give_turns();
  }
  ~Turn() {
    if (given_.is_set()) {
      --queue_->sent;
      queue_->give_turns();
    } else {
      std::erase(queue_->waiting, this);
    }
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  bool given() const { return given_.is_set(); }
  void give() { given_.set(); }
  asio::awaitable<bool> wait_until(Event::Clock::time_point deadline) { return given_.wait_until(deadline); }

 private:
  std::shared_ptr<Queue> queue_;
  Event given_;
};

void Pool::Queue::give_turns() {
  while (sent < room && !waiting.empty()) {
    ++sent;
    Turn* const next = waiting.front();
    waiting.pop_front();
    next->give();
  }
}

Pool::Pool(asio::any_io_executor executor, const ConnectionSettings& settings, std::size_t size)
    : executor_(executor),
      timeout_(settings.timeout),
      max_waiting_(settings.max_queued),
      queue_(std::make_shared<Queue>()) {
  queue_->room = size * kDepth;
  for (std::size_t i = 0; i < size; ++i) {
    ConnectionSettings numbered = settings;
    numbered.name += " " + std::to_string(i + 1);
    numbered.max_queued = queue_->room + 1;  // and the statement that asks for the interface version
    numbered.server_timeout = true;
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

asio::awaitable<Result> Pool::query(const char* sql, const Params& params, std::function<bool()> wanted) {
  if (!connected()) throw Error(Failure::unavailable, "not connected to Postgres");
  if (queue_->waiting.size() >= max_waiting_) {
    throw Error(Failure::unavailable, "too many statements are waiting for Postgres");
  }
  Turn turn(executor_, queue_);
  if (!turn.given()) {
    const bool given = co_await turn.wait_until(Event::Clock::now() + timeout_);
    if (!given) throw Error(Failure::unavailable, "Postgres was busy for too long");
    if (wanted && !wanted()) throw Error(Failure::unavailable, "nobody waits for the answer any more");
  }
  auto shortest = std::ranges::min_element(connections_, {}, [](const auto& connection) {
    return std::pair(!connection->connected(), connection->queued());
  });
  const std::shared_ptr<Connection> connection = *shortest;
  co_return co_await connection->query(sql, params);
}

}  // namespace sealcast::client::postgres
