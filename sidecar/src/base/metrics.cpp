// Names, help texts and buckets of everything GET /metrics tells.
#include "base/metrics.h"

#include <prometheus/text_serializer.h>

#include <sstream>

namespace sealcast {
namespace {

constexpr std::size_t kMaxCodes = 64;

const prometheus::Histogram::BucketBoundaries kSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                          0.1,    0.25,  0.5,    1,     2.5,  5,     10};
const prometheus::Histogram::BucketBoundaries kBatchSizes = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}
prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return counters(registry, name, help).Add({});
}
prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}
prometheus::Family<prometheus::Histogram>& histograms(prometheus::Registry& registry, const char* name,
                                                      const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}
prometheus::Histogram& histogram(prometheus::Registry& registry, const char* name, const char* help,
                                 const prometheus::Histogram::BucketBoundaries& buckets) {
  return histograms(registry, name, help).Add({}, buckets);
}

}  // namespace

Metrics::Metrics()
    : messages_(counters(registry_, "sealcast_messages_total", "Messages answered, by the code of their verdict.")),
      requests_(histograms(registry_, "sealcast_request_seconds", "HTTP requests, from whole request to answer.")),
      heartbeats_(
          counters(registry_, "sealcast_audience_heartbeats_total", "Heartbeats of viewers answered, by outcome.")),
      messages_ok(messages_.Add({{"code", "ok"}})),
      messages_replayed(messages_.Add({{"code", "replayed"}})),
      send_message_seconds(requests_.Add({{"route", "send_message"}}, kSeconds)),
      verify_seconds(requests_.Add({{"route", "verify"}}, kSeconds)),
      history_seconds(requests_.Add({{"route", "history"}}, kSeconds)),
      heartbeat_seconds(requests_.Add({{"route", "heartbeat"}}, kSeconds)),
      other_seconds(requests_.Add({{"route", "other"}}, kSeconds)),
      http_connections(gauge(registry_, "sealcast_http_connections", "HTTP connections open.")),
      admission_batch_size(
          histogram(registry_, "sealcast_admission_batch_size", "Messages in one admission statement.", kBatchSizes)),
      admission_seconds(
          histogram(registry_, "sealcast_admission_seconds", "One batch, from statement to verdicts.", kSeconds)),
      admission_waiting(gauge(registry_, "sealcast_admission_waiting", "Messages waiting for a batch.")),
      gate_seconds(histogram(registry_, "sealcast_gate_seconds", "One check of the gate in Redis.", kSeconds)),
      relay_messages(counter(registry_, "sealcast_relay_messages_total", "Messages drained by the relay.")),
      relay_lag_seconds(gauge(registry_, "sealcast_relay_lag_seconds", "Age of the newest message when drained.")),
      relay_shards(gauge(registry_, "sealcast_relay_shards", "Shards whose lease this sidecar holds.")),
      sse_subscribers(gauge(registry_, "sealcast_sse_subscribers", "Open event streams.")),
      sse_dropped(counter(registry_, "sealcast_sse_dropped_total", "Event streams cut off because they lagged.")),
      sse_frames(counter(registry_, "sealcast_sse_frames_total", "Frames written to event streams.")),
      heartbeats_counted(heartbeats_.Add({{"outcome", "counted"}})),
      heartbeats_unavailable(heartbeats_.Add({{"outcome", "unavailable"}})),
      heartbeats_overloaded(heartbeats_.Add({{"outcome", "overloaded"}})),
      audience_updates(
          counter(registry_, "sealcast_audience_updates_total", "Viewer counts published by this sidecar.")),
      audience_streams(gauge(registry_, "sealcast_audience_streams",
                             "Streams with viewers, in the shards that this sidecar leads.")),
      sampled_streams(gauge(registry_, "sealcast_sampled_streams",
                            "Streams that are sampled, in the shards that this sidecar leads.")),
      socket_connections(gauge(registry_, "sealcast_socket_connections", "Connections to the gate's Unix socket.")),
      socket_checks(counter(registry_, "sealcast_socket_checks_total", "Checks asked over the gate's Unix socket.")),
      socket_errors(counter(registry_, "sealcast_socket_errors_total", "Bad lines and refused socket connections.")) {
  prometheus::BuildGauge()
      .Name("sealcast_build_info")
      .Help("1, labelled with the version.")
      .Register(registry_)
      .Add({{"version", SEALCAST_VERSION}})
      .Set(1);
}

Metrics::Delivery Metrics::delivery(std::string_view transport) {
  const prometheus::Labels labels{{"transport", std::string(transport)}};
  auto gauge_of = [&](const char* name, const char* help) -> prometheus::Gauge& {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels);
  };
  auto counter_of = [&](const char* name, const char* help) -> prometheus::Counter& {
    return counters(registry_, name, help).Add(labels);
  };
  return {counter_of("sealcast_delivery_messages_total", "Messages that the transport's service has taken."),
          counter_of("sealcast_delivery_dead_total", "Messages given up, see sealcast.dead_letters."),
          counter_of("sealcast_delivery_retries_total", "Publishes that failed and are made again."),
          gauge_of("sealcast_delivery_queued", "Frames in memory that are not delivered yet."),
          gauge_of("sealcast_delivery_lagging_streams", "Streams delivered apart from the others, from Postgres."),
          gauge_of("sealcast_delivery_lag_seconds", "Age of the oldest message that is not delivered yet.")};
}

Metrics::EventGroup Metrics::event_group(std::string_view group) {
  const prometheus::Labels labels{{"group", std::string(group)}};
  auto gauge_of = [&](const char* name, const char* help) -> prometheus::Gauge& {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels);
  };
  return {gauge_of("sealcast_events_pending", "Events given to a consumer of the group and not finished."),
          gauge_of("sealcast_events_unread", "Events that the group has not been given yet."),
          gauge_of("sealcast_events_oldest_seconds", "Age of the oldest event that the group has not finished.")};
}

Metrics::Handler Metrics::handler(std::string_view handler) {
  auto& events = counters(registry_, "sealcast_worker_events_total", "Events handled, by outcome.");
  auto outcome = [&](const char* name) -> prometheus::Counter& {
    return events.Add({{"handler", std::string(handler)}, {"outcome", name}});
  };
  return {outcome("applied"), outcome("repeated"), outcome("failed"), outcome("dead"),
          histograms(registry_, "sealcast_worker_apply_seconds", "One statement that applies events.")
              .Add({{"handler", std::string(handler)}}, kSeconds)};
}

Metrics::Worker Metrics::worker() {
  return {gauge(registry_, "sealcast_worker_partitions", "Partitions that this worker leases."),
          gauge(registry_, "sealcast_worker_held", "Events that wait until one of their sender's is tried again."),
          counter(registry_, "sealcast_worker_forged_total",
                  "Entries of the event partitions that are no messages of ours.")};
}

prometheus::Counter& Metrics::audience_failures(std::string_view source) {
  return counters(registry_, "sealcast_audience_failures_total", "Viewer counts that a source did not give.")
      .Add({{"source", std::string(source)}});
}

prometheus::Gauge& Metrics::switching_streams(std::string_view step) {
  return prometheus::BuildGauge()
      .Name("sealcast_switching_streams")
      .Help("Streams on their way between transports, or held in a place, in the shards that this sidecar leads.")
      .Register(registry_)
      .Add({{"step", std::string(step)}});
}

prometheus::Counter& Metrics::switches(std::string_view action) {
  return counters(registry_, "sealcast_switches_total", "Steps of switching that this sidecar has taken.")
      .Add({{"action", std::string(action)}});
}

prometheus::Gauge& Metrics::region_healthy(std::string_view region) {
  return prometheus::BuildGauge()
      .Name("sealcast_region_healthy")
      .Help("1 while the region answers its probes, seen from here.")
      .Register(registry_)
      .Add({{"region", std::string(region)}});
}

prometheus::Counter& Metrics::refused(std::string_view code) {
  const auto known = refused_.find(code);
  if (known != refused_.end()) return *known->second;
  // An admit_hook may word its own codes: the number of series stays bounded whatever it does.
  const std::string label = refused_.size() < kMaxCodes ? std::string(code) : "other";
  prometheus::Counter& added = messages_.Add({{"code", label}});
  if (refused_.size() <= kMaxCodes) refused_.emplace(label, &added);
  return added;
}

prometheus::Counter& Metrics::gate_checks(std::string_view outcome) {
  return counters(registry_, "sealcast_gate_checks_total", "Checks of the gate, by outcome.")
      .Add({{"outcome", std::string(outcome)}});
}

std::string Metrics::render() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, registry_.Collect());
  return std::move(out).str();
}

}  // namespace sealcast
