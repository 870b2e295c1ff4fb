// Logs the transports that no sidecar delivers when they change, and repeats the log lines every minute.
#include "leader/uncarried.h"

#include <cstdint>
#include <utility>

#include "base/log.h"

namespace sealcast::leader {

namespace {

constexpr std::chrono::minutes kLogInterval{1};

}  // namespace

void Uncarried::update(const std::vector<Transport>& transports, Clock::time_point now) {
  for (const auto& [name, gauge] : gauges_) gauge->Set(0);
  std::string problem;
  for (const Transport& transport : transports) {
    Metrics::Gauge*& gauge = gauges_[transport.name];
    if (gauge == nullptr) gauge = &metrics_.uncarried_shards(transport.name);
    gauge->Set(transport.shards);
    problem += problem.empty() ? "no sidecar delivers to " : ", ";
    problem += transport.name + " (shards " + transport.shard_ids + ")";
  }
  const bool changed = std::exchange(problem_, problem) != problem;
  if (!changed && (problem_.empty() || now < logged_ + kLogInterval)) return;
  logged_ = now;
  log(transports);
}

void Uncarried::log(const std::vector<Transport>& transports) const {
  if (transports.empty()) {
    log::write(log::Level::info, log::tag::kDelivery, "sidecars deliver to all transports again");
  }
  for (const Transport& transport : transports) {
    log::write(
        log::Level::error, log::tag::kDelivery,
        "no sidecar delivers to a transport: the leader of the shards does not have it; turn it on, or if it was "
        "removed, run sealcast.forget_transport()",
        {{"transport", std::string_view(transport.name)}, {"shards", std::string_view(transport.shard_ids)}});
  }
}

}  // namespace sealcast::leader
