// The loop.
#include "leader/leader_loop.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
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

LeaderLoop::LeaderLoop(asio::any_io_executor executor, LeaderLoopSettings settings, Leads leads, Tick tick)
    : executor_(executor),
      settings_(std::move(settings)),
      leads_(std::move(leads)),
      tick_(std::move(tick)),
      connection_(postgres::Connection::create(executor, {settings_.dsn, settings_.name, settings_.timeout})),
      timer_(executor) {}

LeaderLoop::~LeaderLoop() { stop(); }

void LeaderLoop::start() {
  connection_->start();
  asio::co_spawn(executor_, run(), asio::detached);
}

void LeaderLoop::stop() {
  stopping_ = true;
  timer_.cancel();
  connection_->stop();
}

LedShards LeaderLoop::led() const {
  LedShards led;
  for (const transport::Lead& lead : leads_()) {
    led.shards.push_back(lead.shard);
    led.epochs.push_back(lead.epoch);
  }
  return led;
}

asio::awaitable<void> LeaderLoop::run() {
  while (!stopping_) {
    try {
      const LedShards led = this->led();
      co_await tick_(led);
    } catch (const postgres::Error& error) {
      if (!error.transient() && !stopping_) {
        log::write(log::Level::error, settings_.log_tag, settings_.failure,
                   {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
      }
    }
    if (stopping_) break;
    timer_.expires_after(kEvery);
    boost::system::error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

}  // namespace sealcast::leader
