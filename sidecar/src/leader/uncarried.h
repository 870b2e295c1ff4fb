// Reports the transports that no sidecar delivers: in the log, in the metrics and for /readyz. This happens when the
// leader of a shard lacks a transport that other sidecars of the database have, or had.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "base/metrics.h"

namespace sealcast::leader {

class Uncarried {
 public:
  using Clock = std::chrono::steady_clock;

  struct Transport {
    std::string name;
    int shards;             // number of shards whose leader lacks the transport
    std::string shard_ids;  // separated by commas
  };

  // `metrics` must stay valid as long as this object.
  explicit Uncarried(Metrics& metrics) : metrics_(metrics) {}

  // Must be called with each reading of sealcast_internal.uncarried(). `now` is the time of the reading.
  void update(const std::vector<Transport>& transports, Clock::time_point now);
  const std::string& problem() const { return problem_; }  // empty while sidecars deliver to all transports

 private:
  void log(const std::vector<Transport>& transports) const;

  Metrics& metrics_;
  std::map<std::string, Metrics::Gauge*> gauges_;
  std::string problem_;
  Clock::time_point logged_{};
};

}  // namespace sealcast::leader
