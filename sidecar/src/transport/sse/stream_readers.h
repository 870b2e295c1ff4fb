// The SSE readers of one stream: the ring that they share, and the state of the rounds that write to them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "base/memory_budget.h"
#include "transport/sse/hub.h"
#include "transport/sse/ring.h"
#include "transport/sse/subscriber.h"

namespace sealcast::transport::sse {

// A reader with a session that is not a subscriber yet. It gets its notices when it is one.
struct Joiner {
  std::string user_id;
  std::vector<ChunkPtr> notices{};
  bool overflowed = false;  // notices are lost, so the reader must connect again
};

struct StreamReaders {
  using Clock = std::chrono::steady_clock;

  StreamReaders(const asio::any_io_executor& executor, std::size_t ring_frames, MemoryBudget& memory,
                std::function<void()> shed_ring)
      : ring(ring_frames), ring_share(memory, MemoryClass::rings, std::move(shed_ring)), round_timer(executor) {}

  std::string stream_id;
  Ring ring;
  MemoryBudget::Share ring_share;
  std::int64_t last_offset = 0;  // the offset of the newest published frame
  std::int64_t clean_of = 0;     // the newest redaction whose announcement the ring has had; 0: not known
  Clock::time_point next_check;  // of a redaction that is not known; see Hub::may_check_redaction()
  std::vector<Subscriber*> subscribers;
  std::vector<Joiner*> joiners;
  std::vector<Hub::Reader*> catching_up;  // readers that get older frames from Postgres
  std::size_t reservations = 0;           // readers that get older frames from Postgres and are not subscribers yet

  // A round writes the new frames to all subscribers. See Hub::schedule_round().
  bool round_needed = false;   // after the start of the last round, frames were added or a subscriber was removed
  bool round_pending = false;  // a round is in progress, is posted to the event loop, or waits for `round_timer`
  Clock::time_point round_started;
  std::uint64_t round_end = 0;     // ring.end() at the start of the last round
  Clock::time_point next_round;    // the earliest start of the next round, unless many frames wait
  asio::steady_timer round_timer;  // expires at `next_round`
};

}  // namespace sealcast::transport::sse
