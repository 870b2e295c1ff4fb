// At each tick, asks both sources for their counts and publishes the counts with one statement.
#include "leader/viewers/count_publisher.h"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>

#include "base/log.h"
#include "client/postgres/params.h"

namespace sealcast::leader::viewers {
namespace {

// Returns the sum of both. A source that does not count has no viewers.
ViewerCounts total_of(std::optional<ViewerCounts> one, const std::optional<ViewerCounts>& other) {
  ViewerCounts total = std::move(one).value_or(ViewerCounts());
  if (other) {
    for (const auto& [stream, viewers] : *other) total[stream] += viewers;
  }
  return total;
}

constexpr char kPublish[] =
    "select published, next_ms from sealcast_internal.publish_viewer_counts($1, $2, $3, $4, $5, $6, $7, $8)";

// Adds the array of the followed streams; null when they are unknown, so that every count is published.
void add_followed(const FollowedStreams& followed, postgres::Params& params) {
  if (!followed) {
    params.add_null(postgres::oid::kUuidArray);
    return;
  }
  params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, followed->size());
  for (const std::string& stream : *followed) params.element(postgres::uuid_bytes(stream));
  params.end_array();
}

}  // namespace

class CountPublisher::Ticks {
 public:
  Ticks(asio::any_io_executor executor, const config::Settings::Audience& settings, Parts parts);

  void start() { loop_.start(); }
  void stop();

 private:
  using Counted = std::optional<ViewerCounts>;
  struct Source {
    ViewerSource* source;
    prometheus::Counter& failures;

    asio::awaitable<Counted> count(std::span<const std::int32_t> shards, const FollowedStreams& followed) const;
    bool complete(const Counted& counts) const { return !source || counts; }
  };

  asio::awaitable<LeaderLoop::Milliseconds> tick(const LedShards& led);
  void add_counts(const Counted& webrtc, const Counted& hls, postgres::Params& params);

  const config::Settings::Audience& settings_;
  Metrics& metrics_;
  Followers& followers_;
  std::function<void(ViewerCounts)> on_counted_;
  std::function<void()> on_published_;
  Source webrtc_;
  Source hls_;
  LeaderLoop loop_;
};

CountPublisher::Ticks::Ticks(asio::any_io_executor executor, const config::Settings::Audience& settings, Parts parts)
    : settings_(settings),
      metrics_(parts.metrics),
      followers_(parts.followers),
      on_counted_(std::move(parts.on_counted)),
      on_published_(std::move(parts.on_published)),
      webrtc_{parts.webrtc, metrics_.audience_failures("webrtc")},
      hls_{parts.hls, metrics_.audience_failures("hls")},
      loop_(executor, {.dsn = std::move(parts.dsn),
                       .name = "audience",
                       .timeout = parts.timeout,
                       .log_tag = log::tag::kAudience,
                       .failure = "Postgres refused to publish viewer counts; retrying",
                       .retry = settings.update,
                       .leads = std::move(parts.leads),
                       .tick = [this](const LedShards& led) { return tick(led); }}) {}

void CountPublisher::Ticks::stop() {
  loop_.stop();
  for (const Source& source : {webrtc_, hls_}) {
    if (source.source) source.source->stop();
  }
}

asio::awaitable<LeaderLoop::Milliseconds> CountPublisher::Ticks::tick(const LedShards& led) {
  if (led.shards.empty()) {
    metrics_.audience_streams.Set(0);
    co_return std::min(settings_.update, LeaderLoop::kSecond);
  }
  const FollowedStreams followed = co_await followers_.find(led.shards);
  const Counted webrtc = co_await webrtc_.count(led.shards, followed);
  const Counted hls = co_await hls_.count(led.shards, followed);
  postgres::Params params;
  led.add_to(params);
  add_counts(webrtc, hls, params);
  const bool complete = webrtc_.complete(webrtc) && hls_.complete(hls);
  if (complete) on_counted_(total_of(webrtc, hls));
  params.add_boolean(complete);
  params.add(static_cast<std::int32_t>(settings_.update.count()));
  add_followed(followed, params);
  const postgres::Result rows = co_await loop_.connection().query(kPublish, params);
  const std::int64_t published = rows.integer(0, 0);
  metrics_.audience_updates.Increment(static_cast<double>(published));
  if (published > 0) on_published_();
  co_return LeaderLoop::Milliseconds(rows.integer(0, 1));
}

asio::awaitable<CountPublisher::Ticks::Counted> CountPublisher::Ticks::Source::count(
    std::span<const std::int32_t> shards, const FollowedStreams& followed) const {
  if (!source) co_return std::nullopt;
  Counted counts = co_await source->count(shards, followed);
  if (!counts) failures.Increment();
  co_return counts;
}

// Adds three parameters: the array of the streams that have viewers, and per source the array of their counts. The
// array of an unavailable source is null.
void CountPublisher::Ticks::add_counts(const Counted& webrtc, const Counted& hls, postgres::Params& params) {
  std::unordered_set<std::string_view> streams;
  for (const Counted* counts : {&webrtc, &hls}) {
    if (!*counts) continue;
    for (const auto& [stream, viewers] : **counts) {
      if (viewers > 0) streams.insert(stream);
    }
  }
  metrics_.audience_streams.Set(static_cast<double>(streams.size()));
  params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, streams.size());
  for (const std::string_view stream : streams) params.element(postgres::uuid_bytes(stream));
  params.end_array();
  for (const Counted* counts : {&webrtc, &hls}) {
    if (!*counts) {
      params.add_null(postgres::oid::kIntegerArray);
      continue;
    }
    params.begin_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, streams.size());
    for (const std::string_view stream : streams) {
      const auto viewers = (*counts)->find(std::string(stream));
      params.element(viewers == (*counts)->end() ? std::int32_t{0} : viewers->second);
    }
    params.end_array();
  }
}

CountPublisher::CountPublisher(asio::any_io_executor executor, const config::Settings::Audience& settings, Parts parts)
    : ticks_(std::make_unique<Ticks>(std::move(executor), settings, std::move(parts))) {}

CountPublisher::~CountPublisher() = default;

void CountPublisher::start() { ticks_->start(); }

void CountPublisher::stop() { ticks_->stop(); }

}  // namespace sealcast::leader::viewers
