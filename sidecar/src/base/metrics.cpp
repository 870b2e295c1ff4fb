// Registers metrics and renders them for GET /metrics.
#include "base/metrics.h"

#include <prometheus/text_serializer.h>

#include <sstream>

namespace sealcast {
namespace {

constexpr std::size_t kMaxCodes = 64;

const prometheus::Histogram::BucketBoundaries kSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                          0.1,    0.25,  0.5,    1,     2.5,  5,     10};
const prometheus::Histogram::BucketBoundaries kSizes = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

}  // namespace

Metrics::Metrics() {
  gauges("sealcast_build_info", "Always 1; the label is the version").Add({{"version", SEALCAST_VERSION}}).Set(1);
}

prometheus::Family<prometheus::Counter>& Metrics::counters(const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
}

prometheus::Family<prometheus::Gauge>& Metrics::gauges(const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
}

prometheus::Family<prometheus::Histogram>& Metrics::histograms(const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
}

prometheus::Histogram& Metrics::seconds(const char* name, const char* help) {
  return histograms(name, help).Add({}, kSeconds);
}

prometheus::Histogram& Metrics::sizes(const char* name, const char* help) {
  return histograms(name, help).Add({}, kSizes);
}

prometheus::Histogram& Metrics::request_seconds(const char* route) {
  return requests_.Add({{"route", route}}, kSeconds);
}

prometheus::Counter& Metrics::refused(std::string_view code) {
  const auto known = refused_.find(code);
  if (known != refused_.end()) return *known->second;
  // An admit hook may return any code. kMaxCodes bounds the number of time series.
  const std::string label = refused_.size() < kMaxCodes ? std::string(code) : "other";
  prometheus::Counter& added = messages_.Add({{"code", label}});
  if (refused_.size() <= kMaxCodes) refused_.emplace(label, &added);
  return added;
}

prometheus::Counter& Metrics::gate_checks(std::string_view outcome) {
  return gate_checks_.Add({{"outcome", std::string(outcome)}});
}

Metrics::Delivery Metrics::delivery(std::string_view transport) {
  const prometheus::Labels labels{{"transport", std::string(transport)}};
  return {delivered_.Add(labels), dead_.Add(labels),    retries_.Add(labels),
          queued_.Add(labels),    lagging_.Add(labels), lag_seconds_.Add(labels)};
}

prometheus::Gauge& Metrics::uncarried_shards(std::string_view transport) {
  return uncarried_.Add({{"transport", std::string(transport)}});
}

Metrics::Revocations Metrics::revocations() {
  const auto outcome = [&](const char* value) -> Counter& { return revocations_.Add({{"outcome", value}}); };
  return {outcome("revoked"), outcome("failed"), outcome("impossible")};
}

Metrics::Supabase Metrics::supabase() { return {supabase_events_.Add({}), supabase_limit_.Add({})}; }

Metrics::Memory Metrics::memory(std::string_view holders) {
  const prometheus::Labels labels{{"class", std::string(holders)}};
  return {memory_held_.Add(labels), memory_shed_.Add(labels)};
}

Metrics::EventGroup Metrics::event_group(std::string_view group) {
  const prometheus::Labels labels{{"group", std::string(group)}};
  return {pending_events_.Add(labels), unread_events_.Add(labels), oldest_events_.Add(labels)};
}

void Metrics::forget_event_group(std::string_view group) {
  const EventGroup series = event_group(group);
  pending_events_.Remove(&series.pending);
  unread_events_.Remove(&series.unread);
  oldest_events_.Remove(&series.oldest_seconds);
}

Metrics::Worker Metrics::worker() { return {worker_partitions_.Add({}), worker_held_.Add({}), worker_forged_.Add({})}; }

Metrics::Handler Metrics::handler(std::string_view handler) {
  const std::string name(handler);
  const auto outcome = [&](const char* value) -> prometheus::Counter& {
    return worker_events_.Add({{"handler", name}, {"outcome", value}});
  };
  return {outcome("applied"), outcome("repeated"), outcome("failed"), outcome("dead"),
          worker_seconds_.Add({{"handler", name}}, kSeconds)};
}

void Metrics::forget_handler(std::string_view handler) {
  const Handler series = this->handler(handler);
  for (Counter* const counter : {&series.applied, &series.repeated, &series.failed, &series.dead}) {
    worker_events_.Remove(counter);
  }
  worker_seconds_.Remove(&series.seconds);
}

prometheus::Counter& Metrics::audience_failures(std::string_view source) {
  return audience_failures_.Add({{"source", std::string(source)}});
}

prometheus::Gauge& Metrics::switching_streams(std::string_view step) {
  return switching_streams_.Add({{"step", std::string(step)}});
}

prometheus::Counter& Metrics::switches(std::string_view action) {
  return switches_.Add({{"action", std::string(action)}});
}

prometheus::Gauge& Metrics::region_healthy(std::string_view region) {
  return region_healthy_.Add({{"region", std::string(region)}});
}

std::string Metrics::render() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, registry_.Collect());
  return std::move(out).str();
}

}  // namespace sealcast
