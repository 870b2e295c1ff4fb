// The interface of an adapter: the code that publishes to one outside service and speaks its protocol.
//
// An adapter only publishes frames and reports the outcome. Queues, order, retries, dead letters and cursors are the
// task of the delivery that calls the adapter (delivery.h). They are the same for all adapters.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/metrics.h"
#include "transport/frame.h"
#include "transport/stream_viewers.h"

namespace sealcast::transport::outside {

// The result of one publish().
struct Outcome {
  enum class Kind {
    done,  // the outside service has accepted all frames
    // The service has accepted `delivered` frames, and would soon refuse frames of all streams because of its rate
    // limit. All streams pause for `after`.
    slow_down,
    retry_stream,     // only this stream must retry, for example after a rate limit or an error of its channel
    retry_transport,  // all streams must retry: the service is unavailable or overloaded, or rejects our credentials
    dead,             // the first undelivered frame can never be delivered, for example because it is too large
  };
  Kind kind = Kind::done;
  std::size_t delivered = 0;           // the number of frames, from the first, that the service has certainly accepted
  std::chrono::milliseconds after{0};  // the pause that the service demands, in addition to the backoff; 0: none
  std::string reason;                  // one line for dead letters and the log; it must not contain secrets or payloads
};

class Adapter {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~Adapter() = default;
  virtual std::size_t max_batch() const = 0;  // the largest number of frames in one publish()

  // Gives the adapter the metrics in which it counts its own events, and the viewers of the streams, whose readers it
  // may have to count. The delivery already counts published frames, retries and dead letters. Both stay valid as long
  // as the adapter.
  virtual void count_in(Metrics&, const StreamViewers&) {}
  virtual void start() = 0;
  virtual void stop() = 0;  // makes each publish() in progress return soon

  // This sidecar has acquired the lease of a shard. The next publish() may continue the work of another sidecar.
  virtual void begin_lead() {}
  // The delivery is about to record that everything is delivered for which publish() has returned Outcome::done. The
  // adapter records first what it must know to notice a later loss. Throws postgres::Error.
  virtual asio::awaitable<void> before_settle() { co_return; }

  // Publishes frames of one stream, in order. Several calls may be in progress at the same time, but only one per
  // stream. Must return by `deadline`, and must not throw. `frames` stays valid until the call returns.
  virtual asio::awaitable<Outcome> publish(std::span<const FramePtr> frames, Clock::time_point deadline) = 0;
};

struct RegisteredAdapter {
  std::string_view name;  // the name of the transport in settings, tables and metrics
  Channel channel;
  std::unique_ptr<Adapter> adapter;
};

// Returns `pattern` with each `placeholder` replaced by `value`: "sealcast/{stream_id}" becomes "sealcast/<value>".
std::string expand_template(std::string_view pattern, std::string_view value,
                            std::string_view placeholder = "{stream_id}");

}  // namespace sealcast::transport::outside
