// Runs the tick function of a leader loop again and again, pauses between the ticks, and logs refused statements.
#include "leader/leader_loop.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "base/log.h"
#include "client/postgres/params.h"
#include "core/shard.h"

namespace sealcast::leader {

bool LedShards::has(std::string_view stream_id) const {
  return std::ranges::find(shards, core::shard_of(postgres::uuid_bytes(stream_id).back())) != shards.end();
}

void LedShards::add_to(postgres::Params& params) const {
  params.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, shards);
  params.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, epochs);
}

LeaderLoop::LeaderLoop(asio::any_io_executor executor, Parts parts)
    : executor_(executor),
      parts_(std::move(parts)),
      connection_(postgres::Connection::create(executor, {parts_.dsn, parts_.name, parts_.timeout})),
      stopped_(executor) {}

LeaderLoop::~LeaderLoop() { stop(); }

void LeaderLoop::start() {
  connection_->start();
  asio::co_spawn(executor_, run(), asio::detached);
}

void LeaderLoop::stop() {
  stopped_.set();
  connection_->stop();
}

LedShards LeaderLoop::led() const {
  LedShards led;
  for (const transport::Lead& lead : parts_.leads()) {
    led.shards.push_back(lead.shard);
    led.epochs.push_back(lead.epoch);
  }
  return led;
}

asio::awaitable<void> LeaderLoop::run() {
  while (!stopped_.is_set()) {
    const Milliseconds pause = co_await run_tick();
    if (co_await stopped_.wait_for(pause)) break;
  }
}

asio::awaitable<LeaderLoop::Milliseconds> LeaderLoop::run_tick() {
  try {
    const LedShards led = this->led();
    co_return co_await parts_.tick(led);
  } catch (const postgres::Error& error) {
    // Not logged here: after most transient errors the connection is lost, and the connection logs that itself.
    if (error.transient()) co_return std::min(parts_.retry, kSecond);
    if (!stopped_.is_set()) {
      log::write(log::Level::error, parts_.log_tag, parts_.failure,
                 {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
    }
  }
  co_return parts_.retry;
}

}  // namespace sealcast::leader
