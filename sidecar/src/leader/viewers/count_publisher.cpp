// The loop of ticks, and its statement.
#include "leader/viewers/audience.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unordered_set>
#include <utility>

#include "base/log.h"

namespace sealcast::leader::viewers {
namespace {

using std::chrono::milliseconds;

constexpr char kPublish[] =
    "select published, next_ms from sealcast.publish_viewer_counts($1, $2, $3, $4, $5, $6, $7, $8)";
constexpr milliseconds kAgain{1000};  // to look whether anything is led, or Postgres is back

}  // namespace

Audience::Audience(asio::any_io_executor executor, AudienceSettings settings, Parts parts)
    : executor_(executor),
      settings_(std::move(settings)),
      parts_(std::move(parts)),
      connection_(postgres::Connection::create(executor, {settings_.dsn, "audience", settings_.timeout})),
      timer_(executor),
      webrtc_failures_(parts_.metrics.audience_failures("webrtc")),
      hls_failures_(parts_.metrics.audience_failures("hls")) {}

Audience::~Audience() { stop(); }

void Audience::start() {
  connection_->start();
  asio::co_spawn(executor_, run(), asio::detached);
}

void Audience::stop() {
  stopping_ = true;
  timer_.cancel();
  connection_->stop();
  for (ViewerSource* source : {parts_.webrtc, parts_.hls}) {
    if (source) source->stop();
  }
}

asio::awaitable<void> Audience::run() {
  while (!stopping_) {
    milliseconds wait = std::min(settings_.update, kAgain);
    if (parts_.leads().empty()) {
      parts_.metrics.audience_streams.Set(0);
    } else {
      wait = co_await tick();
    }
    if (stopping_) break;
    timer_.expires_after(wait);
    boost::system::error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<milliseconds> Audience::tick() {
  std::vector<std::int32_t> shards;
  std::vector<std::int64_t> epochs;
  for (const transport::Lead& lead : parts_.leads()) {
    shards.push_back(lead.shard);
    epochs.push_back(lead.epoch);
  }
  const Counted webrtc = co_await count(parts_.webrtc, webrtc_failures_, shards);
  const Counted hls = co_await count(parts_.hls, hls_failures_, shards);
  params_.clear();
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, shards);
  params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, epochs);
  describe(webrtc, hls);
  try {
    const postgres::Result rows = co_await connection_->query(kPublish, params_);
    const std::int64_t published = rows.integer(0, 0);
    parts_.metrics.audience_updates.Increment(static_cast<double>(published));
    if (published > 0) parts_.published();
    co_return milliseconds(rows.integer(0, 1));
  } catch (const postgres::Error& error) {
    if (error.transient()) co_return std::min(settings_.update, kAgain);
    log::write(log::Level::error, log::tag::kAudience, "cannot publish viewer counts; trying again",
               {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
  }
  co_return settings_.update;
}

asio::awaitable<Audience::Counted> Audience::count(ViewerSource* source, prometheus::Counter& failures,
                                                   std::span<const std::int32_t> shards) {
  if (!source) co_return std::nullopt;
  Counted counts = co_await source->count(shards);
  if (!counts) failures.Increment();
  co_return counts;
}

void Audience::describe(const Counted& webrtc, const Counted& hls) {
  std::unordered_set<std::string_view> streams;
  for (const Counted* counts : {&webrtc, &hls}) {
    if (!*counts) continue;
    for (const auto& [stream, viewers] : **counts) {
      if (viewers > 0) streams.insert(stream);
    }
  }
  parts_.metrics.audience_streams.Set(static_cast<double>(streams.size()));
  params_.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, streams.size());
  for (const std::string_view stream : streams) params_.element(postgres::uuid_bytes(stream));
  params_.end_array();
  for (const Counted* counts : {&webrtc, &hls}) {
    if (!*counts) {
      params_.add_null(postgres::oid::kIntegerArray);
      continue;
    }
    params_.begin_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, streams.size());
    for (const std::string_view stream : streams) {
      const auto viewers = (*counts)->find(std::string(stream));
      params_.element(viewers == (*counts)->end() ? std::int32_t{0} : viewers->second);
    }
    params_.end_array();
  }
  params_.add_boolean((webrtc || !parts_.webrtc) && (hls || !parts_.hls));
  params_.add(static_cast<std::int32_t>(settings_.update.count()));
  params_.add(static_cast<std::int32_t>(settings_.repeat.count()));
}

}  // namespace sealcast::leader::viewers
