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

#include "gate/limits.h"
#include "postgres/pool.h"
#include "transport/transport.h"

namespace sealcast {

struct StreamAccess {
  bool found;
  bool readable;              // by the user that was asked for
  bool vip;                   // the user has a role in the stream
  std::int64_t first_offset;  // the oldest that is kept; last_offset + 1 when there is none
  std::int64_t last_offset;   // 0 when there is none
};

struct HistoryRow {
  std::int64_t offset;
  std::int64_t prev;
  std::string_view envelope;  // belongs to the page
};

class HistoryPage {
 public:
  HistoryPage(pg::Result rows, Channel channel)
      : rows_(std::move(rows)), prev_(channel == Channel::everyone ? kPublicPrev : kPrev) {}
  int size() const { return rows_.size(); }
  HistoryRow operator[](int row) const {
    return {rows_.integer(row, kOffset), rows_.integer(row, prev_), rows_.text(row, kEnvelope)};
  }

 private:
  enum Column { kOffset, kPrev, kEnvelope, kPublicPrev };
  pg::Result rows_;
  Column prev_;
};

// Every call throws pg::Error. UUIDs are lower-case.
class History {
 public:
  History(asio::any_io_executor executor, pg::Pool& pool) : executor_(executor), pool_(pool) {}

  // `user_id` empty: nobody. Postgres is asked after this is called, but once for all who wait to ask the same: when a
  // sidecar restarts, thousands of readers of one stream come back in a moment.
  asio::awaitable<StreamAccess> access(std::string_view stream_id, std::string_view user_id);

  // After `after` ascending; else the last rows before `before`; else the newest.
  asio::awaitable<HistoryPage> page(std::string_view stream_id, std::optional<std::int64_t> after,
                                    std::optional<std::int64_t> before, std::int32_t max_rows, Channel channel);

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
  pg::Pool& pool_;
  std::unordered_map<std::string, Question> questions_;
};

// The gate's caches, read from Postgres.
class PostgresLimits final : public LimitsSource {
 public:
  explicit PostgresLimits(pg::Pool& pool) : pool_(pool) {}
  asio::awaitable<std::vector<TypeRow>> gate_limits() override;
  asio::awaitable<std::vector<std::string>> roles_of(std::vector<Membership> memberships) override;

 private:
  pg::Pool& pool_;
};

}  // namespace sealcast
