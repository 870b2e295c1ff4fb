// The interface of an adapter: the code that publishes to one outside service and speaks its protocol.
//
// An adapter only publishes frames of one stream and reports the outcome. The delivery around it (delivery.h) has the
// queues, order, retries, dead letters and cursors; they are the same for all adapters.
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

namespace sealcast::transport::outside {

// The result of one publish().
struct Outcome {
  enum class Kind {
    done,             // the service has accepted all frames
    retry_stream,     // only this stream must retry: a rate limit, or an error of its channel
    retry_transport,  // all streams must retry: the service is unreachable or overloaded, or rejects our credentials
    dead,             // the first frame that was not delivered can never succeed, for example because of its size
  };
  Kind kind = Kind::done;
  std::size_t delivered = 0;           // how many frames, counted from the first, the service has certainly accepted
  std::chrono::milliseconds after{0};  // the pause that the service asks for; 0: only the delivery's own backoff
  std::string reason;                  // one line, for dead letters and the log; without secrets and payloads
};

class Adapter {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~Adapter() = default;
  virtual std::size_t max_batch() const = 0;  // the largest number of frames in one publish()

  // For metrics of the adapter's own, beside those of every delivery. The metrics outlive the adapter.
  virtual void count_in(Metrics&) {}
  virtual void start() = 0;
  virtual void stop() = 0;  // each publish() in progress must return soon after

  // Publishes frames of one stream, in order. Calls for different streams overlap, calls for one stream never do. Must
  // return by `deadline`, and must not throw. The frames outlive the call.
  virtual asio::awaitable<Outcome> publish(std::span<const FramePtr> frames, Clock::time_point deadline) = 0;
};

struct RegisteredAdapter {
  std::string_view name;  // as in settings, tables and metrics
  Channel channel;
  std::unique_ptr<Adapter> adapter;
};

// Replaces each `placeholder` in `pattern`: "sealcast/{stream_id}" becomes "sealcast/<value>".
std::string expand_template(std::string_view pattern, std::string_view value,
                            std::string_view placeholder = "{stream_id}");

}  // namespace sealcast::transport::outside
