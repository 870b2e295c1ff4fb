// What Postgres knows of a stream: who may read it, and its messages by offset.
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

namespace sealcast::message {

struct StreamAccess {
  bool found;
  bool readable;              // by the user that was asked for
  bool vip;                   // the user has a role in the stream
  std::int64_t first_offset;  // the oldest that is kept; last_offset + 1 when there is none
  std::int64_t last_offset;   // 0 when there is none
};

// Every call throws postgres::Error. UUIDs are lower-case.
class History : public transport::FrameHistory {
 public:
  History(asio::any_io_executor executor, postgres::Pool& pool) : executor_(executor), pool_(pool) {}

  // `user_id` empty: nobody. Postgres is asked after this is called, but once for all who wait to ask the same: when a
  // sidecar restarts, thousands of readers of one stream come back in a moment.
  asio::awaitable<StreamAccess> access(std::string_view stream_id, std::string_view user_id);

  // After `after` ascending; else the last rows before `before`; else the newest.
  asio::awaitable<transport::FramePage> page(std::string_view stream_id, std::optional<std::int64_t> after,
                                             std::optional<std::int64_t> before, std::int32_t max_rows,
                                             transport::Channel channel) override;

 private:
  using Handler = asio::any_completion_handler<void(std::exception_ptr, StreamAccess)>;
  struct Question {
    std::string stream_id;
    std::string user_id;
    std::vector<Handler> waiting;
    bool asking = false;
  };
  void enqueue(std::string_view stream_id, std::string_view user_id, Handler handler);
  asio::awaitable<void> ask(std::string key);

  asio::any_io_executor executor_;
  postgres::Pool& pool_;
  std::unordered_map<std::string, Question> questions_;
};

}  // namespace sealcast::message
