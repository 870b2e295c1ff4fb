// What Postgres knows of a stream: who may read it, and its messages by offset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gate/limits.h"
#include "postgres/pool.h"

namespace sealcast {

struct StreamAccess {
  bool found;
  bool readable;  // by the user that was asked for
  bool is_private;
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
  explicit HistoryPage(pg::Result rows) : rows_(std::move(rows)) {}
  int size() const { return rows_.size(); }
  HistoryRow operator[](int row) const { return {rows_.integer(row, 0), rows_.integer(row, 1), rows_.text(row, 2)}; }

 private:
  pg::Result rows_;
};

// Every call throws pg::Error. UUIDs are lower-case.
class History {
 public:
  explicit History(pg::Pool& pool) : pool_(pool) {}

  // `user_id` empty: nobody.
  asio::awaitable<StreamAccess> access(std::string_view stream_id, std::string_view user_id);

  // After `after` ascending; else the last rows before `before`; else the newest.
  asio::awaitable<HistoryPage> page(std::string_view stream_id, std::optional<std::int64_t> after,
                                    std::optional<std::int64_t> before, std::int32_t max_rows);

 private:
  pg::Pool& pool_;
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
