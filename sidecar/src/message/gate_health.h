// Watches whether Redis accepts the writes of the gate, for /readyz. Once per second it runs the gate's own script with
// keys of its own. In a cluster it does so in 64 slots that are spread evenly, so that a missing node is noticed.
#pragma once

#include <memory>
#include <string>

#include "base/asio.h"
#include "message/redis_gate.h"

namespace sealcast::message {

class GateHealth {
 public:
  // `client` and `gate` must stay valid until stop() and for as long as the event loop runs afterwards.
  GateHealth(asio::any_io_executor executor, const redis::Client& client, RedisGate& gate);
  ~GateHealth();

  void start();
  void stop();
  // Returns why messages are refused, or an empty string while all is well. A failure counts once two rounds of checks
  // have met it, so that one slow answer makes no sidecar unready.
  std::string problem() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::message
