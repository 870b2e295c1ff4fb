// Publishes viewer counts. If the count of a stream has changed, the system sends a viewer_count_update to the stream.
// That message is sealed, stored and relayed like every message.
//
// A tick counts the viewers of the streams in the shards that this sidecar leads. After that, one statement publishes
// the counts that have changed. Between two ticks the database gets no statement.
//
// The statement, sealcast_internal.publish_viewer_counts(), has three safeguards:
// - It compares the epochs of the leases. So a sidecar that was frozen publishes nothing after another sidecar has
//   acquired the leases.
// - It derives the txn_id of an update from the stream and the tick. So no tick is published twice.
// - It stores the counts that were published last. So a new leader can publish 0 for a stream whose last viewer has
//   left.
//
// A count goes only to a stream that somebody follows (followers.h). A count that nobody would see stays as it was
// published, so heartbeats without a session store no message by themselves.
//
// While a source is unavailable, the update contains null for its count and for the total.
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
#include "leader/viewers/followers.h"
#include "leader/viewers/viewer_source.h"

namespace sealcast::leader::viewers {

class CountPublisher {
 public:
  struct Parts {
    postgres::Dsn dsn;
    std::chrono::milliseconds timeout;  // of each statement
    Metrics& metrics;
    ViewerSource* webrtc;  // null if viewers over WebRTC are not counted
    ViewerSource* hls;     // null if viewers over HLS are not counted
    Followers& followers;
    LeaderLoop::Leads leads;
    std::function<void(ViewerCounts)> on_counted;  // called with the totals, unless a source is unavailable
    std::function<void()> on_published;            // called after a tick that published at least one count
  };

  // `settings`, the metrics and the sources must stay valid as long as this object.
  CountPublisher(asio::any_io_executor executor, const config::Settings::Audience& settings, Parts parts);
  ~CountPublisher();

  void start();
  void stop();

 private:
  class Ticks;
  std::unique_ptr<Ticks> ticks_;
};

}  // namespace sealcast::leader::viewers
