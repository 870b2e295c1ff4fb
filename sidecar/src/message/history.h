// Asks Postgres whether a user may read a stream, and reads the messages of a stream by offset.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/asio.h"
#include "client/postgres/pool.h"
#include "transport/frame_history.h"
#include "transport/reader_access.h"

namespace sealcast::message {

struct StreamAccess : transport::ReaderRights {
  std::int64_t first_offset;  // of the oldest stored message; last_offset + 1 if no message is stored
  std::int64_t last_offset;   // of the newest message; 0 if the stream never had a message
  // The end of the user's ban as text, empty if the ban has no end; nullopt if the user is not banned.
  std::optional<std::string> ban;
  std::string log_epoch;          // the epoch in which the offsets are valid; empty: it has not begun
  std::int64_t newest_redaction;  // names the newest redaction of the stream; 0 if there is none
  bool noticed;                   // notices() may return notices for the user
};

struct RetainedMessage {
  std::int64_t offset;
  std::int64_t public_prev;
  std::string envelope;
};

// The retained messages of a stream, all of one moment.
struct StreamState {
  std::vector<RetainedMessage> messages;  // in order of offset
  std::int64_t last_offset = 0;           // the newest offset of the stream
  std::int64_t newest_redaction = 0;      // names the newest redaction of the stream; 0 if there is none
  std::string log_epoch{};                // empty: it has not begun
};

// All UUIDs are lower-case. Each call throws postgres::Error after a failure.
class History : public transport::FrameHistory {
 public:
  History(asio::any_io_executor executor, postgres::Pool& pool) : executor_(executor), pool_(pool) {}

  // Returns the rights of the user in the stream; an empty `user_id` is a reader without a session. Simultaneous calls
  // with equal arguments share one statement, because thousands of readers of one stream connect again at once after a
  // sidecar has restarted. The statement always begins after the call, so its answer is never older than the call.
  asio::awaitable<StreamAccess> access(std::string_view stream_id, std::string_view user_id);

  // Returns the offset of the message that announces the newest redaction of the stream, and the highest offset while
  // that message has none. Frames that were relayed before it may hold redacted content.
  asio::awaitable<std::int64_t> redacted_offset(std::string_view stream_id);

  asio::awaitable<StreamState> state(std::string_view stream_id);

  // Returns the sealed notices for a user who begins to read the stream.
  asio::awaitable<std::vector<std::string>> notices(std::string_view stream_id, std::string_view user_id);

  // See transport::FrameHistory::page().
  asio::awaitable<transport::FramePage> page(std::string_view stream_id, std::optional<std::int64_t> after,
                                             std::optional<std::int64_t> before, std::int32_t max_rows,
                                             transport::Channel channel, std::function<bool()> wanted) override;

 private:
  using Handler = asio::any_completion_handler<void(std::exception_ptr, StreamAccess)>;
  struct AccessQuery {
    std::string stream_id;
    std::string user_id;
    std::vector<Handler> waiting;
    bool running = false;
  };
  void enqueue(std::string_view stream_id, std::string_view user_id, Handler handler);
  asio::awaitable<void> run_access_queries(std::string key);

  asio::any_io_executor executor_;
  postgres::Pool& pool_;
  std::unordered_map<std::string, AccessQuery> access_queries_;  // by stream and user
};

}  // namespace sealcast::message
