// Reads one stream with many SSE readers. Measures the latency of each frame, and checks that every reader gets every
// message once, in order and unchanged.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "histogram.h"
#include "messages.h"
#include "tcp.h"

namespace sealcast::bench {

struct Deliveries {
  std::uint64_t gaps = 0;        // skipped offsets
  std::uint64_t duplicates = 0;  // repeated offsets
  std::uint64_t forged = 0;      // frames with no valid envelope of this run, or different for two readers
  std::uint64_t ended = 0;       // event streams that the server has ended
  Histogram latency;             // nanoseconds from the message's due time to the arrival of its frame
};

class Readers {
 public:
  // Returns the time when a message was due, or nullopt if the message is not measured.
  using DueOf = std::function<std::optional<Clock::time_point>(std::uint64_t number)>;

  Readers(Poller& poller, Messages& messages, DueOf due_of)
      : poller_(poller), messages_(messages), due_of_(std::move(due_of)) {}
  ~Readers();

  // Returns when all readers have subscribed.
  void subscribe(const std::string& host, std::uint16_t port, std::size_t readers);
  std::size_t count() const { return readers_.size(); }
  // Returns the number of frames that have not arrived, over all readers, if each reader must get `messages` frames.
  std::uint64_t missing(std::uint64_t messages) const;
  const Deliveries& deliveries() const { return deliveries_; }

 private:
  struct Reader final : Watched {
    Reader(Readers& all, int socket) : readers(all), fd(socket) {}
    void ready(std::uint32_t events) override;

    Readers& readers;
    int fd;
    std::string rest;  // the received part of an incomplete chunk
    bool streaming = false;
    std::uint64_t offset = 0;
    std::uint64_t frames = 0;
  };
  // A frame as the first reader received it. All other readers must receive the same bytes.
  struct Seen {
    std::string frame;
    std::optional<Clock::time_point> due;
  };

  void take(Reader& reader, std::string_view bytes);
  void take_event(Reader& reader, std::string_view event, Clock::time_point now);
  void take_frame(Reader& reader, std::uint64_t offset, std::string_view frame, Clock::time_point now);
  void end(Reader& reader);

  Poller& poller_;
  Messages& messages_;
  DueOf due_of_;
  std::deque<Reader> readers_;
  std::size_t subscribed_ = 0;
  std::uint64_t first_offset_ = 0;
  std::vector<Seen> seen_;  // element 0 belongs to first_offset_
  Deliveries deliveries_;
};

}  // namespace sealcast::bench
