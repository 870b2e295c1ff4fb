// Asks Postgres who may read a stream, and reads its messages by offset.
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
  bool readable;              // by the user of the query
  bool vip;                   // the user has a role in the stream
  std::int64_t first_offset;  // the oldest stored message; last_offset + 1 if there is none
  std::int64_t last_offset;   // 0 if there is none
};

// Each call throws postgres::Error. UUIDs are lower-case.
class History : public transport::FrameHistory {
 public:
  History(asio::any_io_executor executor, postgres::Pool& pool) : executor_(executor), pool_(pool) {}

  // An empty `user_id` asks for a reader without a session. Callers with the same question share one statement, which
  // always begins after the call: when a sidecar restarts, thousands of readers of one stream return at once.
  asio::awaitable<StreamAccess> access(std::string_view stream_id, std::string_view user_id);

  // With `after`: the rows after it, ascending. Else with `before`: the last rows before it. Else the newest rows.
  asio::awaitable<transport::FramePage> page(std::string_view stream_id, std::optional<std::int64_t> after,
                                             std::optional<std::int64_t> before, std::int32_t max_rows,
                                             transport::Channel channel) override;

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
