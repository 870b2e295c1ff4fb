// The SQL statements of one delivery. They record its progress in Postgres (sql/61_delivery.sql), and read frames that
// are not in memory.
//
// Each transport has its own connection, so that no transport waits for the statements of another one. All coroutines
// except connected_by() throw postgres::Error when the statement fails.
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
    std::int64_t next_offset;  // the next offset to deliver; 0 in save_lags(): the stream has caught up
    std::string reason;
  };
  struct BatchPage {
    std::vector<FramePtr> frames;    // in order of shard, batch and offset
    std::vector<Cursor> read_up_to;  // the newest batch that was read, per shard that has new batches
  };
  struct StreamPage {
    std::vector<FramePtr> frames;
    // The newest offset of all rows, including messages that the channel does not carry. 0 when there was no row.
    std::int64_t last_offset = 0;
  };

  // `timeout` is the longest time for one statement.
  DeliveryStore(asio::any_io_executor executor, const postgres::Dsn& dsn, std::string_view transport, Channel channel,
                std::chrono::milliseconds timeout);
  ~DeliveryStore();

  void start();
  void stop();
  // Returns true when connected, false at `deadline` or after stop().
  asio::awaitable<bool> connected_by(Clock::time_point deadline);

  // Returns the cursors of the shards. A transport without a cursor begins after Lead::batch. That must be the newest
  // batch at the acquisition of the lease: later batches are delivered, also in a database that was just restored. A
  // shard is missing in the result when its lease has another epoch by now.
  asio::awaitable<std::vector<Cursor>> start_shards(std::span<const Lead> leads);
  asio::awaitable<std::vector<StreamLag>> lagging_streams(std::span<const Lead> leads);

  asio::awaitable<BatchPage> batches_after(std::span<const Cursor> cursors, std::int32_t max_batches);
  asio::awaitable<StreamPage> stream_page(const std::string& stream_id, std::int32_t shard, std::int64_t first_offset,
                                          std::int32_t max_frames);
  asio::awaitable<std::vector<FramePtr>> dead_letters_to_replay(std::span<const Lead> leads, std::int32_t max_frames);

  // These three statements change nothing for a shard whose lease has another epoch by now.
  asio::awaitable<void> settle(std::span<const Lead> leads);  // all batches up to Lead::batch are delivered
  asio::awaitable<void> save_lags(std::span<const Lead> leads, std::span<const StreamLag> lags);
  asio::awaitable<void> add_dead_letter(std::span<const Lead> leads, const Frame& frame, std::string_view reason,
                                        int attempts);

  // Removes a dead letter that was marked for replay. Call it after the replay was delivered.
  asio::awaitable<void> remove_dead_letter(const Frame& frame);

 private:
  void begin_params(std::span<const Lead> leads);
  FramePtr read_frame(const postgres::Result& rows, int row, int first_column, Frame frame) const;

  std::string transport_;
  Channel channel_;
  std::shared_ptr<postgres::Connection> connection_;
  postgres::Params params_;
};

}  // namespace sealcast::transport::outside
