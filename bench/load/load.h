// Sends messages at a fixed rate, or the next message on each connection after each answer. Checks each answer and
// measures its latency.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "histogram.h"
#include "messages.h"
#include "readers.h"
#include "tcp.h"

namespace sealcast::bench {

struct LoadOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::size_t connections = 64;
  double seconds = 10;
  double warmup = 2;
  double rate = 0;  // requests per second; 0: each connection sends its next request after an answer
};

struct Answers {
  std::map<int, std::uint64_t> statuses;
  std::uint64_t forged = 0;      // answers with status 200 and a wrong envelope
  std::uint64_t lost = 0;        // measured requests whose connection ended before the answer
  std::uint64_t unanswered = 0;  // requests without an answer at the end
  std::uint64_t total = 0;       // all answers, including those of the warm-up
  std::uint64_t accepted = 0;    // answers with status 200, including those of the warm-up
  Histogram latency;             // of measured answers, in nanoseconds
};

class Load {
 public:
  Load(LoadOptions options, Poller& poller, Messages& messages);
  ~Load();

  // Returns when all answers have arrived and every reader has every message, or 10 s after the end of the measurement.
  const Answers& run(const Readers& readers);
  // Returns the time when a message was due. Returns nullopt if that time is not within the measurement.
  std::optional<Clock::time_point> due_of(std::uint64_t number) const;

 private:
  struct Connection final : Watched {
    void ready(std::uint32_t events) override;

    Load* load = nullptr;
    int fd = -1;
    std::string out;
    std::size_t sent = 0;
    std::string in;
    std::size_t parsed = 0;
    bool writing = false;  // `out` has unsent bytes, and epoll reports when the socket can send
    std::deque<MessageId> waiting;
  };

  void open(Connection& connection);
  void reopen(Connection& connection);
  void request(Connection& connection, Clock::time_point due);
  void flush(Connection& connection);
  void receive(Connection& connection);
  bool take_answer(Connection& connection, Clock::time_point now);
  std::size_t waiting() const;
  bool closed_loop() const { return options_.rate == 0; }
  bool measured(Clock::time_point due, Clock::time_point now) const {
    return closed_loop() ? now >= begin_ && now < end_ : due >= begin_ && due < end_;
  }

  LoadOptions options_;
  Poller& poller_;
  Messages& messages_;
  Answers answers_;
  std::vector<Connection> connections_;
  // The time when each message was due, indexed by the message's number. Latency is measured from this time and not
  // from the time of sending. Otherwise a sender that is late because the server is slow would hide the server's delay.
  std::vector<Clock::time_point> due_;
  Clock::time_point begin_, end_;
  bool sending_ = true;
};

}  // namespace sealcast::bench
