// At each tick: reads the sampling rates in effect, decides the new rates, and sets all of them with one statement.
#include "leader/sampling/storm_sampling.h"

#include <algorithm>
#include <utility>

#include "client/postgres/params.h"

namespace sealcast::leader::sampling {
namespace {

constexpr char kInEffect[] = "select stream_id, rate, forced from sealcast_internal.sampled_streams($1)";
constexpr char kSample[] =
    "select told, pg_catalog.array_to_string(locked[1:10], ', ') from sealcast_internal.sample_streams($1, $2, $3, $4)";

}  // namespace

StormSampling::StormSampling(asio::any_io_executor executor, const config::Settings::Sampling& settings, Parts parts)
    : settings_(settings),
      metrics_(parts.metrics),
      on_sent_(std::move(parts.on_sent)),
      loop_(executor, {.dsn = std::move(parts.dsn),
                       .name = "sampling",
                       .timeout = parts.timeout,
                       .log_tag = log::tag::kSampling,
                       .failure = "Postgres refused to set the sampling rates; retrying",
                       .leads = std::move(parts.leads),
                       .tick = [this](const LedShards& led) { return tick(led); }}) {}

asio::awaitable<LeaderLoop::Milliseconds> StormSampling::tick(const LedShards& led) {
  if (led.shards.empty()) {
    metrics_.sampled_streams.Set(0);
    co_return LeaderLoop::kSecond;
  }
  postgres::Params params;
  params.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, led.shards);
  Effects in_effect;
  const postgres::Result rows = co_await loop_.connection().query(kInEffect, params);
  for (int row = 0; row < rows.size(); ++row) {
    in_effect[rows.uuid(row, 0)] = {static_cast<int>(rows.integer(row, 1)), rows.boolean(row, 2)};
  }

  const Rates rates = decide(led, in_effect);
  const auto forced = std::ranges::count_if(
      in_effect, [](const auto& stream) { return stream.second.forced && stream.second.rate < kAllUsers; });
  metrics_.sampled_streams.Set(static_cast<double>(rates.size()) + static_cast<double>(forced));
  if (rates.empty() && in_effect.empty()) co_return LeaderLoop::kSecond;
  params.clear();
  led.add_to(params);
  params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, rates.size());
  for (const auto& [stream, rate] : rates) params.element(postgres::uuid_bytes(stream));
  params.end_array();
  params.begin_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, rates.size());
  for (const auto& [stream, rate] : rates) params.element(std::int32_t{rate});
  params.end_array();
  const postgres::Result sent = co_await loop_.connection().query(kSample, params);
  if (sent.integer(0, 0) > 0) on_sent_();
  if (const std::string_view locked = sent.text(0, 1); !locked.empty() && locked_throttle_.allows()) {
    log::write(log::Level::warn, log::tag::kSampling, "another transaction has locked streams; their rates wait for it",
               {{"stream_ids", locked}});
  }
  co_return LeaderLoop::kSecond;
}

// Returns the streams of the led shards that are sampled from now on, with their rates. Streams whose rate a person has
// set are left out.
StormSampling::Rates StormSampling::decide(const LedShards& led, const Effects& in_effect) {
  const auto now = RateControl::Clock::now();
  const auto& velocities = velocity_.measure(now);
  Rates rates;
  const auto decide_one = [&](const std::string& stream, double velocity, int before) {
    const int rate = controls_[stream].next(settings_, velocity, before, now);
    if (rate < kAllUsers) rates[stream] = rate;
    if (rate == before) return;
    log::write(log::Level::info, log::tag::kSampling,
               rate < kAllUsers ? "a stream is sampled" : "a stream is no longer sampled",
               {{"stream_id", stream},
                {"rate", std::int64_t{rate}},
                {"messages_per_second", static_cast<std::int64_t>(velocity)}});
  };
  for (const auto& [stream, effect] : in_effect) {
    const auto velocity = velocities.find(stream);
    if (!effect.forced) decide_one(stream, velocity == velocities.end() ? 0 : velocity->second, effect.rate);
  }
  for (const auto& [stream, velocity] : velocities) {
    if (velocity >= settings_.storm && !in_effect.contains(stream) && led.has(stream)) {
      decide_one(stream, velocity, kAllUsers);
    }
  }
  std::erase_if(controls_, [&](const auto& control) { return !rates.contains(control.first); });
  return rates;
}

}  // namespace sealcast::leader::sampling
