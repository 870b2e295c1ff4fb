// Viewer counts: what the sources of viewers tell of a stream becomes a viewer_count_update of the system's, sealed,
// stored and relayed as every message.
//
// Life of a tick: the streams of the shards whose relaying this sidecar leads are counted, and one statement
// (sealcast.publish_viewer_counts) publishes what changed, and what has not changed for long enough. It looks at the
// epochs of the leases, so that a sidecar that was frozen publishes nothing when another has taken over, and makes the
// txn_id of stream and tick, so that no tick is published twice. What was published last stands in Postgres: whoever
// leads next knows of whom to say that nobody watches any more. The database is asked for nothing in between.
//
// A source that is away is null in the update, and so is the total.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/metrics.h"
#include "client/postgres/connection.h"
#include "leader/viewers/source.h"
#include "transport/transport.h"

namespace sealcast::leader::viewers {

struct AudienceSettings {
  std::string dsn;
  std::chrono::milliseconds timeout;  // of the statement
  std::chrono::milliseconds update;
  std::chrono::milliseconds repeat;
};

class Audience {
 public:
  // Null: there is no such source. `leads` says what this sidecar leads, `published` is called when something was.
  struct Parts {
    Metrics& metrics;
    ViewerSource* webrtc;
    ViewerSource* hls;
    std::function<std::span<const transport::Lead>()> leads;
    std::function<void()> published;
  };

  Audience(asio::any_io_executor executor, AudienceSettings settings, Parts parts);
  ~Audience();

  void start();
  void stop();

 private:
  using Counted = std::optional<ViewerCounts>;

  asio::awaitable<void> run();
  asio::awaitable<std::chrono::milliseconds> tick();  // until the next one
  asio::awaitable<Counted> count(ViewerSource* source, prometheus::Counter& failures,
                                 std::span<const std::int32_t> shards);
  void describe(const Counted& webrtc, const Counted& hls);

  asio::any_io_executor executor_;
  AudienceSettings settings_;
  Parts parts_;
  std::shared_ptr<postgres::Connection> connection_;
  asio::steady_timer timer_;
  prometheus::Counter& webrtc_failures_;
  prometheus::Counter& hls_failures_;
  postgres::Params params_;
  bool stopping_ = false;
};

}  // namespace sealcast::leader::viewers
