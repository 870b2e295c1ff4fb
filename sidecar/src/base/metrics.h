// What GET /metrics tells: every counter, gauge and histogram of the sidecar, held by reference so that counting never
// looks anything up.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace sealcast {

class Metrics {
 public:
  Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  std::string render() const;  // Prometheus text format 0.0.4
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  // What is told of one transport to a service outside.
  struct Delivery {
    prometheus::Counter& delivered;
    prometheus::Counter& dead;
    prometheus::Counter& retries;  // publishes that failed and are made again
    prometheus::Gauge& queued;     // frames in memory
    prometheus::Gauge& lagging;    // streams delivered apart from their shard
    prometheus::Gauge& lag_seconds;
  };
  Delivery delivery(std::string_view transport);

  // How far a consumer group of the event partitions has come.
  struct EventGroup {
    prometheus::Gauge& pending;
    prometheus::Gauge& unread;
    prometheus::Gauge& oldest_seconds;
  };
  EventGroup event_group(std::string_view group);

  // What a worker counts of one handler (sealcastd worker).
  struct Handler {
    prometheus::Counter& applied;
    prometheus::Counter& repeated;
    prometheus::Counter& failed;
    prometheus::Counter& dead;
    prometheus::Histogram& seconds;  // one statement
  };
  Handler handler(std::string_view handler);
  struct Worker {
    prometheus::Gauge& partitions;  // that it leases
    prometheus::Gauge& held;        // events that wait for one to be tried again
    prometheus::Counter& forged;
  };
  Worker worker();

  // Counts that could not be had of one source of viewers.
  prometheus::Counter& audience_failures(std::string_view source);

  // Streams of the shards that this sidecar leads, by the step at which they stand, and the steps that it has taken.
  prometheus::Gauge& switching_streams(std::string_view step);
  prometheus::Counter& switches(std::string_view action);

  // Whether a region answers, as seen from here: 1 or 0.
  prometheus::Gauge& region_healthy(std::string_view region);

  // Messages refused, by the `code` of their verdict (docs/errors.md). Codes beyond the first 64 count as "other".
  prometheus::Counter& refused(std::string_view code);
  // Checks of the gate, by outcome. Look-ups cost a hash: keep the reference.
  prometheus::Counter& gate_checks(std::string_view outcome);

 private:
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& messages_;
  std::map<std::string, prometheus::Counter*, std::less<>> refused_;
  prometheus::Family<prometheus::Histogram>& requests_;
  prometheus::Family<prometheus::Counter>& heartbeats_;

 public:
  // sealcast_messages_total{code="ok"} and {code="replayed"}
  prometheus::Counter& messages_ok;
  prometheus::Counter& messages_replayed;

  // sealcast_request_seconds{route=…}: from the last byte of the request to the first of the answer
  prometheus::Histogram& send_message_seconds;
  prometheus::Histogram& verify_seconds;
  prometheus::Histogram& history_seconds;
  prometheus::Histogram& heartbeat_seconds;
  prometheus::Histogram& other_seconds;
  prometheus::Gauge& http_connections;

  prometheus::Histogram& admission_batch_size;
  prometheus::Histogram& admission_seconds;  // one batch, from its statement to its verdicts
  prometheus::Gauge& admission_waiting;

  prometheus::Histogram& gate_seconds;

  prometheus::Counter& relay_messages;
  prometheus::Gauge& relay_lag_seconds;  // age of the newest message when it was last drained
  prometheus::Gauge& relay_shards;       // shards this sidecar holds

  prometheus::Gauge& sse_subscribers;
  prometheus::Counter& sse_dropped;  // subscribers cut off because they lagged
  prometheus::Counter& sse_frames;

  prometheus::Counter& heartbeats_counted;  // sealcast_audience_heartbeats_total{outcome=…}
  prometheus::Counter& heartbeats_unavailable;
  prometheus::Counter& heartbeats_overloaded;
  prometheus::Counter& audience_updates;
  prometheus::Gauge& audience_streams;  // with viewers, in the shards that this sidecar leads
  prometheus::Gauge& sampled_streams;   // likewise

  prometheus::Gauge& socket_connections;
  prometheus::Counter& socket_checks;
  prometheus::Counter& socket_errors;  // lines that were no check, connections over the bound
};

}  // namespace sealcast
