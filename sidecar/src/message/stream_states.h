// Keeps the states of streams in memory: the retained messages that each late joiner gets first.
//
// The state of a stream is read from Postgres when the first joiner asks, and then kept. A frame of the relay that
// changes the state, a message of a retained type or a redaction, makes the next joiner read it again. So Postgres
// alone decides what is retained, and a join costs no statement.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/asio.h"
#include "base/event.h"
#include "base/memory_budget.h"
#include "message/history.h"
#include "transport/frame.h"

namespace sealcast::message {

class StreamStates {
 public:
  using Clock = std::chrono::steady_clock;
  // Reads the state from Postgres. Throws postgres::Error.
  using Load = std::function<asio::awaitable<StreamState>(std::string_view stream_id)>;

  // `memory` must stay valid as long as this object.
  StreamStates(asio::any_io_executor executor, MemoryBudget& memory, Load load);

  // Must be called with every frame that the relay publishes.
  void observe(std::span<const transport::FramePtr> frames);
  // Must be called with every frame of a retained type that the relay publishes.
  void note_retained(const transport::Frame& frame);
  // Must be called when the relay learns another epoch of the log: the offsets from before are void.
  void begin_log();

  struct Current {
    std::shared_ptr<const StreamState> state;
    std::int64_t as_of;  // no later message up to this offset changes the state
  };
  // Returns the state. `newest_redaction` was read from Postgres after the reader had asked: the state is at least as
  // new. Simultaneous calls share one statement. Throws the error of Load.
  asio::awaitable<Current> read(std::string_view stream_id, std::int64_t newest_redaction);

 private:
  struct Entry {
    explicit Entry(const asio::any_io_executor& executor) : done(executor) {}
    std::shared_ptr<const StreamState> state{};
    Clock::time_point loaded_at{};
    std::int64_t published = 0;  // the newest offset that observe() saw
    std::int64_t changed = 0;    // the newest offset of a frame that changes the state
    std::size_t bytes = 0;
    std::uint64_t started = 0, ended = 0;  // numbers of the newest load that has started, and of the one that has ended
    std::exception_ptr failure{};          // of the newest load that has ended
    Event done;                            // set when no load is running
  };
  using EntryPtr = std::shared_ptr<Entry>;

  bool is_current(const Entry& entry, std::int64_t newest_redaction) const;
  asio::awaitable<void> load(std::string stream_id, EntryPtr entry);
  void forget_all();

  asio::any_io_executor executor_;
  Load load_;
  std::unordered_map<std::string, EntryPtr> entries_;
  std::size_t bytes_ = 0;
  MemoryBudget::Share share_;
};

// Appends the text of a retained frame, as a frame of the channel with the member "retained":true.
void append_retained_frame(const RetainedMessage& message, transport::Channel channel, std::string& out);

}  // namespace sealcast::message
