// The statements of one delivery: its records in Postgres (sql/61_delivery.sql), and reading frames again.
//
// Each transport has a connection of its own, so that no transport waits for another one. All coroutines throw
// postgres::Error.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/asio.h"
#include "client/postgres/connection.h"
#include "transport/transport.h"

namespace sealcast::transport::outside {

class DeliveryStore {
 public:
  using Clock = std::chrono::steady_clock;

  struct Cursor {
    std::int32_t shard;
    std::int64_t batch;
  };
  struct StreamLag {
    std::string stream_id;
    std::int32_t shard;
    std::int64_t next_offset;  // save_lags(): 0 = the stream has caught up
    std::string reason;
  };
  struct BatchPage {
    std::vector<FramePtr> frames;    // in order of shard, batch and offset
    std::vector<Cursor> read_up_to;  // the newest batch that was found, per shard
  };
  struct StreamPage {
    std::vector<FramePtr> frames;
    std::int64_t last_offset = 0;  // of all rows, including messages that retention has removed; 0: no row
  };

  // `timeout` is for one statement.
  DeliveryStore(asio::any_io_executor executor, const std::string& dsn, std::string_view transport, Channel channel,
                std::chrono::milliseconds timeout);
  ~DeliveryStore();

  void start();
  void stop();
  // True when connected, false when `deadline` passed first.
  asio::awaitable<bool> connected_by(Clock::time_point deadline);

  // Returns the cursors of the shards. A shard is missing when its lease has another holder or epoch.
  asio::awaitable<std::vector<Cursor>> start_shards(std::span<const Lead> leads);
  asio::awaitable<std::vector<StreamLag>> lagging_streams(std::span<const Lead> leads);

  asio::awaitable<BatchPage> batches_after(std::span<const Cursor> cursors, std::int32_t max_batches);
  asio::awaitable<StreamPage> stream_page(const std::string& stream_id, std::int32_t shard, std::int64_t first_offset,
                                          std::int32_t max_frames);
  asio::awaitable<std::vector<FramePtr>> dead_letters_to_replay(std::span<const Lead> leads, std::int32_t max_frames);

  // Under an epoch that has ended, these change nothing.
  asio::awaitable<void> settle(std::span<const Lead> leads);  // Lead::batch: all batches up to it are delivered
  asio::awaitable<void> save_lags(std::span<const Lead> leads, std::span<const StreamLag> lags);
  asio::awaitable<void> add_dead_letter(std::span<const Lead> leads, const Frame& frame, std::string_view reason,
                                        int attempts);

  // After its replay was delivered.
  asio::awaitable<void> remove_dead_letter(const Frame& frame);

 private:
  void begin_params(std::span<const Lead> leads);
  bool read_frame(const postgres::Result& rows, int row, int first_column, Frame& frame) const;

  std::string transport_;
  Channel channel_;
  std::shared_ptr<postgres::Connection> connection_;
  postgres::Params params_;
};

}  // namespace sealcast::transport::outside
