// Declares the metrics of GET /metrics: the name and the help text of each. metrics.cpp has most labels, and declares
// sealcast_build_info.
//
// Callers count through a reference to the metric, so that counting needs no look-up. To add a metric with a label,
// declare its family and an accessor here, and define the accessor in metrics.cpp.
// docs/operations.md describes each metric for operators.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace sealcast {

class Metrics {
 public:
  using Counter = prometheus::Counter;
  using Gauge = prometheus::Gauge;
  using Histogram = prometheus::Histogram;

  Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  std::string render() const;  // Prometheus text format 0.0.4
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

  // Accessors of the metrics with a label. Each call looks the metric up by a hash, so callers keep the reference.

  // Messages over HTTP that were refused, by the `code` of the answer (docs/errors.md). After the first 64 different
  // codes, each new code counts as "other".
  Counter& refused(std::string_view code);
  Counter& gate_checks(std::string_view outcome);

  // The metrics of one delivery, which belongs to one transport to an outside service.
  struct Delivery {
    Counter& delivered;
    Counter& dead;
    Counter& retries;
    Gauge& queued;
    Gauge& lagging;
    Gauge& lag_seconds;
  };
  Delivery delivery(std::string_view transport);
  Gauge& uncarried_shards(std::string_view transport);

  // The revocations of readers' tokens, one per user, by outcome.
  struct Revocations {
    Counter& revoked;
    Counter& failed;
    Counter& impossible;
  };
  Revocations revocations();

  // What Supabase Realtime counts of the broadcasts of this sidecar, and the limit of the project.
  struct Supabase {
    Counter& events;
    Gauge& limit;
  };
  Supabase supabase();

  // The memory that clients make the process hold, of one class (memory_budget.h).
  struct Memory {
    Gauge& held;
    Counter& shed;
  };
  Memory memory(std::string_view holders);

  // The progress of one consumer group of the event partitions.
  struct EventGroup {
    Gauge& pending;
    Gauge& unread;
    Gauge& oldest_seconds;
  };
  EventGroup event_group(std::string_view group);
  // Ends the series of the group. References to its metrics become invalid.
  void forget_event_group(std::string_view group);

  // The metrics of the process `sealcastd worker`, and of each of its handlers.
  struct Worker {
    Gauge& partitions;
    Gauge& held;
    Counter& forged;
  };
  Worker worker();
  struct Handler {
    Counter& applied;
    Counter& repeated;
    Counter& failed;
    Counter& dead;
    Histogram& seconds;
  };
  Handler handler(std::string_view handler);
  // Ends the series of the handler. References to its metrics become invalid.
  void forget_handler(std::string_view handler);

  Counter& audience_failures(std::string_view source);
  Gauge& switching_streams(std::string_view step);
  Counter& switches(std::string_view action);
  Gauge& region_healthy(std::string_view region);  // 1 or 0

 private:
  template <typename Metric>
  using Family = prometheus::Family<Metric>;

  Family<Counter>& counters(const char* name, const char* help);
  Family<Gauge>& gauges(const char* name, const char* help);
  Family<Histogram>& histograms(const char* name, const char* help);
  Counter& counter(const char* name, const char* help) { return counters(name, help).Add({}); }
  Gauge& gauge(const char* name, const char* help) { return gauges(name, help).Add({}); }
  Histogram& seconds(const char* name, const char* help);
  Histogram& sizes(const char* name, const char* help);
  Histogram& request_seconds(const char* route);

  prometheus::Registry registry_;

  // Declarations of the metrics with labels. A family without a metric is not rendered.

  // HTTP and messages
  Family<Histogram>& requests_ =
      histograms("sealcast_request_seconds", "Duration of HTTP requests, from the last byte read to the response");
  Family<Counter>& messages_ = counters("sealcast_messages_total", "Answers to messages over HTTP, by verdict code");
  std::map<std::string, Counter*, std::less<>> refused_;

  // Memory
  Family<Gauge>& memory_held_ =
      gauges("sealcast_memory_held_bytes", "Memory that clients make the process hold, by class");
  Family<Counter>& memory_shed_ =
      counters("sealcast_memory_shed_total", "Holders that lost their memory because memory.max_bytes was exceeded");

  // Gate
  Family<Counter>& gate_checks_ = counters("sealcast_gate_checks_total", "Checks of the gate, by outcome");

  // Transports to outside services
  Family<Counter>& delivered_ =
      counters("sealcast_delivery_messages_total", "Messages that the outside service has accepted");
  Family<Counter>& dead_ =
      counters("sealcast_delivery_dead_total", "Messages that became dead letters, see sealcast.dead_letters");
  Family<Counter>& retries_ = counters("sealcast_delivery_retries_total", "Publishes that failed and are retried");
  Family<Gauge>& queued_ = gauges("sealcast_delivery_queued", "Frames in memory that are not delivered yet");
  Family<Gauge>& lagging_ =
      gauges("sealcast_delivery_lagging_streams", "Lagging streams: they are delivered separately, from Postgres");
  Family<Gauge>& lag_seconds_ =
      gauges("sealcast_delivery_lag_seconds", "Age of the oldest message in memory that is not delivered yet");

  Family<Gauge>& uncarried_ =
      gauges("sealcast_delivery_uncarried_shards", "Shards of the database that no sidecar delivers to the transport");

  Family<Counter>& revocations_ =
      counters("sealcast_token_revocations_total", "Revocations of the reader tokens of one user, by outcome");

  Family<Counter>& supabase_events_ =
      counters("sealcast_supabase_events_total",
               "Estimate of the events that Supabase Realtime counts: each broadcast, and one delivery per viewer");
  Family<Gauge>& supabase_limit_ =
      gauges("sealcast_supabase_events_limit", "Events per second that Supabase Realtime allows the project");

  // Event partitions and workers
  Family<Gauge>& pending_events_ =
      gauges("sealcast_events_pending", "Events that a consumer of the group has read and not finished");
  Family<Gauge>& unread_events_ = gauges("sealcast_events_unread", "Events that the group has not read yet");
  Family<Gauge>& oldest_events_ =
      gauges("sealcast_events_oldest_seconds", "Age of the oldest unread or pending event of the group");
  Family<Gauge>& worker_partitions_ =
      gauges("sealcast_worker_partitions", "Event partitions whose lease this worker holds");
  Family<Gauge>& worker_held_ =
      gauges("sealcast_worker_held", "Events that wait for the retry of an earlier event of the same sender");
  Family<Counter>& worker_forged_ =
      counters("sealcast_worker_forged_total", "Entries of the event partitions that are not messages of Sealcast");
  Family<Counter>& worker_events_ = counters("sealcast_worker_events_total", "Events handled, by outcome");
  Family<Histogram>& worker_seconds_ =
      histograms("sealcast_worker_apply_seconds", "Duration of one statement that applies events");

  // Viewers, switching, regions
  Family<Counter>& heartbeats_ =
      counters("sealcast_audience_heartbeats_total", "Answers to heartbeats of viewers, by outcome");
  Family<Counter>& audience_failures_ =
      counters("sealcast_audience_failures_total", "Viewer counts that the source did not provide");
  Family<Gauge>& switching_streams_ =
      gauges("sealcast_switching_streams",
             "Streams in each switching step, or with a manually set mode, in the shards that this sidecar leads");
  Family<Counter>& switches_ = counters("sealcast_switches_total", "Switching steps that this sidecar has taken");
  Family<Gauge>& region_healthy_ =
      gauges("sealcast_region_healthy", "1 while the region answers the probes of this sidecar, else 0");

 public:
  // Metrics without a label, and metrics whose label values are constants. GET /metrics shows them from the start, also
  // before they are counted.

  // HTTP and messages
  Histogram& send_message_seconds = request_seconds("send_message");
  Histogram& verify_seconds = request_seconds("verify");
  Histogram& history_seconds = request_seconds("history");
  Histogram& heartbeat_seconds = request_seconds("heartbeat");
  Histogram& other_seconds = request_seconds("other");
  Gauge& http_connections = gauge("sealcast_http_connections", "Open HTTP connections, without event streams");
  Counter& messages_ok = messages_.Add({{"code", "ok"}});
  Counter& messages_replayed = messages_.Add({{"code", "replayed"}});

  // Gate
  Histogram& gate_seconds = seconds("sealcast_gate_seconds", "Duration of one check of the gate in Redis");
  Gauge& socket_connections = gauge("sealcast_socket_connections", "Connections to the gate's Unix socket");
  Counter& socket_checks =
      counter("sealcast_socket_checks_total", "Checks that were requested over the gate's Unix socket");
  Counter& socket_errors =
      counter("sealcast_socket_errors_total", "Invalid lines and refused connections on the gate's Unix socket");

  // Admission
  Histogram& admission_batch_size =
      sizes("sealcast_admission_batch_size", "Number of messages in one statement that admits");
  Histogram& admission_seconds =
      seconds("sealcast_admission_seconds", "Duration of one batch, from its statement to its verdicts");
  Gauge& admission_waiting = gauge("sealcast_admission_waiting", "Messages that wait for a batch");

  // Relay
  Counter& relay_messages = counter("sealcast_relay_messages_total", "Messages that this sidecar has drained");
  Gauge& relay_lag_seconds =
      gauge("sealcast_relay_lag_seconds",
            "Age of the oldest message of the database that is committed and not relayed; grows while it is unknown");
  Gauge& relay_lag_age_seconds =
      gauge("sealcast_relay_lag_age_seconds", "0, or the time since Postgres could last be asked for the relay's lag");
  Gauge& relay_shards = gauge("sealcast_relay_shards", "Shards whose lease this sidecar holds");
  Counter& relay_new_epochs = counter("sealcast_relay_new_epochs_total",
                                      "How often this sidecar found another epoch of the log, as after a failover");

  // Event streams (transport sse)
  Gauge& sse_subscribers = gauge("sealcast_sse_subscribers", "Open event streams");
  Counter& sse_frames = counter("sealcast_sse_frames_total", "Frames written to event streams");
  Counter& sse_dropped =
      counter("sealcast_sse_dropped_total", "Event streams that were disconnected because they lagged");

  // Viewers and sampling
  Counter& heartbeats_counted = heartbeats_.Add({{"outcome", "counted"}});
  Counter& heartbeats_unavailable = heartbeats_.Add({{"outcome", "unavailable"}});
  Counter& heartbeats_overloaded = heartbeats_.Add({{"outcome", "overloaded"}});
  Counter& audience_updates = counter("sealcast_audience_updates_total", "Viewer counts that this sidecar published");
  Gauge& audience_streams =
      gauge("sealcast_audience_streams", "Streams with viewers, in the shards that this sidecar leads");
  Gauge& sampled_streams =
      gauge("sealcast_sampled_streams", "Streams that are sampled, in the shards that this sidecar leads");
};

}  // namespace sealcast
