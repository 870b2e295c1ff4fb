// What Postgres keeps of one transport's deliveries (sql/61_delivery.sql), and the frames that are read again from
// there. One connection a transport, so that none waits for another. All calls throw postgres::Error.
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

class Ledger {
 public:
  using Clock = std::chrono::steady_clock;

  struct Lag {
    std::string stream_id;
    std::int32_t shard;
    std::int64_t next_offset;  // set_lag(): 0 = the stream has caught up
    std::string reason;
  };
  struct Position {
    std::int32_t shard;
    std::int64_t batch;
  };
  struct Page {
    std::vector<FramePtr> frames;     // in order of shard, batch and offset
    std::vector<Position> positions;  // the newest batch that was found of each shard
  };
  struct StreamPage {
    std::vector<FramePtr> frames;
    std::int64_t last_offset = 0;  // of what was found, dropped by retention or not; 0: nothing follows
  };

  // Reads what is on `channel`.
  Ledger(asio::any_io_executor executor, const std::string& dsn, std::string_view transport, Channel channel,
         std::chrono::milliseconds timeout);
  ~Ledger();

  void start();
  void stop();
  asio::awaitable<bool> connected_by(Clock::time_point deadline);

  // Where this transport goes on in each shard that is led.
  asio::awaitable<std::vector<Position>> begin(std::span<const Lead> leads);
  asio::awaitable<std::vector<Lag>> lagging(std::span<const Lead> leads);

  asio::awaitable<Page> after(std::span<const Position> positions, std::int32_t max_batches);
  asio::awaitable<StreamPage> of_stream(const std::string& stream_id, std::int32_t shard, std::int64_t first_offset,
                                        std::int32_t max_frames);
  asio::awaitable<std::vector<FramePtr>> to_replay(std::span<const Lead> leads, std::int32_t max_frames);

  // What is recorded under an epoch that is over changes nothing.
  asio::awaitable<void> settle(std::span<const Lead> leads);  // Lead::batch = delivered up to here
  asio::awaitable<void> set_lag(std::span<const Lead> leads, std::span<const Lag> lags);
  asio::awaitable<void> bury(std::span<const Lead> leads, const Frame& frame, std::string_view reason, int attempts);
  asio::awaitable<void> revive(const Frame& frame);

 private:
  void add_leads(std::span<const Lead> leads, bool batches);

  bool take(const postgres::Result& rows, int row, int first_column, Frame& frame) const;

  std::string transport_;
  Channel channel_;
  std::shared_ptr<postgres::Connection> connection_;
  postgres::Params params_;
};

}  // namespace sealcast::transport::outside
