// What became of one publish() of an adapter.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace sealcast::transport::outside {

struct Outcome {
  enum class Kind {
    done,             // the service has taken all frames
    retry_stream,     // this stream's frames may succeed later: a rate limit or an error of this channel
    retry_transport,  // nothing may succeed now: the service cannot be reached, refuses our credentials, is overloaded
    dead,             // the frame after those delivered can never succeed, say by its size
  };
  Kind kind = Kind::done;
  std::size_t delivered = 0;           // frames, from the first on, that the service has certainly taken
  std::chrono::milliseconds after{0};  // how long the service asks to wait; 0: the delivery's own backoff
  std::string reason;                  // one line for dead letters, log and people; holds no secret and no payload
};

}  // namespace sealcast::transport::outside
