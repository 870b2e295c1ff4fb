// Publishes viewer counts: each changed count of a stream becomes a viewer_count_update of the system, which is sealed,
// stored and relayed like every message.
//
// A tick counts the streams of the shards that this sidecar leads. One statement (sealcast.publish_viewer_counts) then
// publishes the counts that have changed, and the counts that have not been published for the time `repeat`. The
// statement compares the epochs of the leases, so a sidecar that was frozen publishes nothing after another sidecar has
// acquired the leases. It makes the txn_id from the stream and the tick, so no tick is published twice. Postgres holds
// the counts that were published last, so a new leader can publish 0 for a stream whose last viewer has left. Between
// two ticks the database gets no statement.
//
// While a source is unavailable, its count and the total are null in the update.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "leader/leader_loop.h"
#include "leader/viewers/viewer_source.h"

namespace sealcast::leader::viewers {

class CountPublisher {
 public:
  struct Parts {
    std::string dsn;
    std::chrono::milliseconds timeout;  // of a statement
    Metrics& metrics;
    ViewerSource* webrtc;  // null: there is no such source
    ViewerSource* hls;     // likewise
    LeaderLoop::Leads leads;
    std::function<void()> on_published;  // called after a tick that published at least one count
  };

  // `settings` and the sources outlive this.
  CountPublisher(asio::any_io_executor executor, const config::Settings::Audience& settings, Parts parts);
  ~CountPublisher();

  void start();
  void stop();

 private:
  class Ticks;
  std::unique_ptr<Ticks> ticks_;
};

}  // namespace sealcast::leader::viewers
