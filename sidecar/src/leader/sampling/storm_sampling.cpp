// What a tick does, and its statements.
#include "leader/sampling/storm.h"

#include <utility>
#include <vector>

#include "base/log.h"
#include "client/postgres/params.h"

namespace sealcast::leader::sampling {
namespace {

constexpr char kInEffect[] = "select stream_id, rate, forced from sealcast.sampled_streams($1)";
constexpr char kSample[] = "select told from sealcast.sample_streams($1, $2, $3, $4, $5)";

}  // namespace

Storm::Storm(asio::any_io_executor executor, StormSettings settings, Parts parts)
    : settings_(std::move(settings)),
      parts_(std::move(parts)),
      loop_(executor,
            {settings_.dsn, "sampling", settings_.timeout, log::tag::kSampling,
             "cannot set what is sampled; trying again"},
            parts_.leads, [this](const LedShards& led) { return tick(led); }) {}

asio::awaitable<void> Storm::tick(const LedShards& led) {
  parts_.metrics.sampled_streams.Set(0);
  if (led.shards.empty()) co_return;
  params_.clear();
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, led.shards);
  std::unordered_map<std::string, Effect> in_effect;
  const postgres::Result rows = co_await loop_.connection().query(kInEffect, params_);
  for (int row = 0; row < rows.size(); ++row) {
    in_effect[rows.uuid(row, 0)] = {static_cast<int>(rows.integer(row, 1)), rows.boolean(row, 2)};
  }

  const auto rates = decide(led, in_effect);
  parts_.metrics.sampled_streams.Set(static_cast<double>(rates.size()));
  if (rates.empty() && in_effect.empty()) co_return;
  params_.clear();
  led.add_to(params_);
  params_.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, rates.size());
  for (const auto& [stream, rate] : rates) params_.element(postgres::uuid_bytes(stream));
  params_.end_array();
  params_.begin_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, rates.size());
  for (const auto& [stream, rate] : rates) params_.element(std::int32_t{rate});
  params_.end_array();
  params_.add(static_cast<std::int32_t>(settings_.repeat.count()));
  const postgres::Result answer = co_await loop_.connection().query(kSample, params_);
  if (answer.integer(0, 0) > 0) parts_.told();
}

// The streams of our shards that are to be sampled, and their rates.
std::unordered_map<std::string, int> Storm::decide(const LedShards& led,
                                                   const std::unordered_map<std::string, Effect>& in_effect) {
  const auto now = RateControl::Clock::now();
  const auto& velocities = velocity_.measure(now);
  std::unordered_map<std::string, int> rates;
  const auto decide_one = [&](const std::string& stream, double velocity, int before) {
    const int rate = controls_[stream].next(settings_.rates, velocity, before, now);
    if (rate < kAllUsers) rates[stream] = rate;
    if (rate == before) return;
    log::write(log::Level::info, log::tag::kSampling,
               rate < kAllUsers ? "a stream is sampled" : "a stream is calm again",
               {{"stream_id", stream},
                {"rate", std::int64_t{rate}},
                {"messages_per_second", static_cast<std::int64_t>(velocity)}});
  };
  for (const auto& [stream, effect] : in_effect) {
    const auto velocity = velocities.find(stream);
    if (!effect.forced) decide_one(stream, velocity == velocities.end() ? 0 : velocity->second, effect.rate);
  }
  for (const auto& [stream, velocity] : velocities) {
    if (velocity >= settings_.rates.storm && !in_effect.contains(stream) && led.has(stream)) {
      decide_one(stream, velocity, kAllUsers);
    }
  }
  std::erase_if(controls_, [&](const auto& control) { return !rates.contains(control.first); });
  return rates;
}

}  // namespace sealcast::leader::sampling
