// Calls the SQL functions that record and read the progress of a delivery, and makes frames from the returned rows.
#include "transport/outside/delivery_store.h"

#include <functional>
#include <utility>

namespace sealcast::transport::outside {

namespace {

using namespace postgres::oid;

constexpr char kStartShards[] = "select shard, batch from sealcast_internal.begin_delivery($1, $2, $3, $4)";
constexpr char kLaggingStreams[] =
    "select stream_id, shard, next_offset from sealcast_internal.lagging_streams($1, $2)";
// The last five columns of the next three statements are read by read_frame().
constexpr char kBatchesAfter[] =
    "select shard, batch, stream_id, \"offset\", prev, public_prev, envelope, redacted "
    "from sealcast_internal.tail($1, $2, $3)";
constexpr char kStreamPage[] =
    "select \"offset\", prev, public_prev, envelope, redacted "
    "from sealcast_internal.read_history($1, $2, null, $3, $4)";
constexpr char kDeadLettersToReplay[] =
    "select stream_id, shard, \"offset\", prev, public_prev, envelope, redacted "
    "from sealcast_internal.dead_letters_to_replay($1, $2, $3)";
constexpr char kSettle[] = "select sealcast_internal.settle($1, $2, $3, $4)";
constexpr char kSaveLags[] = "select sealcast_internal.set_lag($1, $2, $3, $4, $5, $6)";
constexpr char kAddDeadLetter[] = "select sealcast_internal.bury($1, $2, $3, $4, $5, $6, $7)";
constexpr char kRemoveDeadLetter[] = "select sealcast_internal.revive($1, $2, $3)";

template <typename Item, typename Field>
void add_array(postgres::Params& params, Oid array_type, Oid element_type, std::span<const Item> items, Field field) {
  params.begin_array(array_type, element_type, items.size());
  for (const Item& item : items) params.element(std::invoke(field, item));
  params.end_array();
}

}  // namespace

DeliveryStore::DeliveryStore(asio::any_io_executor executor, const postgres::Dsn& dsn, std::string_view transport,
                             Channel channel, std::chrono::milliseconds timeout)
    : transport_(transport),
      channel_(channel),
      connection_(postgres::Connection::create(executor, {dsn, "delivery to " + transport_, timeout})) {}

DeliveryStore::~DeliveryStore() { connection_->stop(); }

void DeliveryStore::start() { connection_->start(); }

void DeliveryStore::stop() { connection_->stop(); }

asio::awaitable<bool> DeliveryStore::connected_by(Clock::time_point deadline) {
  return connection_->wait_connected(deadline);
}

// Makes a frame from five columns: offset, prev, public_prev, envelope and redacted. Returns null when the channel of
// this transport does not carry the message.
FramePtr DeliveryStore::read_frame(const postgres::Result& rows, int row, int first_column, Frame frame) const {
  enum { kOffset, kPrev, kPublicPrev, kEnvelope, kRedacted };
  const int prev = first_column + (channel_ == Channel::everyone ? kPublicPrev : kPrev);
  const auto text = [&](int column) {
    return rows.null(row, first_column + column) ? std::string_view() : rows.text(row, first_column + column);
  };
  if (rows.null(row, prev)) return nullptr;
  frame.offset = rows.integer(row, first_column + kOffset);
  frame.prev = rows.integer(row, prev);
  return make_frame(std::move(frame), text(kEnvelope), text(kRedacted));
}

// Sets the first two parameters of a statement: $1 is the transport, $2 contains the shards of `leads`.
void DeliveryStore::begin_params(std::span<const Lead> leads) {
  params_.clear();
  params_.add(std::string_view(transport_));
  add_array(params_, kIntegerArray, kInteger, leads, &Lead::shard);
}

asio::awaitable<std::vector<DeliveryStore::Cursor>> DeliveryStore::start_shards(std::span<const Lead> leads) {
  begin_params(leads);
  add_array(params_, kBigintArray, kBigint, leads, &Lead::epoch);
  add_array(params_, kBigintArray, kBigint, leads, &Lead::batch);
  const postgres::Result rows = co_await connection_->query(kStartShards, params_);
  std::vector<Cursor> cursors;
  for (int row = 0; row < rows.size(); ++row) {
    const Cursor cursor{static_cast<std::int32_t>(rows.integer(row, 0)), rows.integer(row, 1)};
    cursors.push_back(cursor);
  }
  co_return cursors;
}

asio::awaitable<std::vector<DeliveryStore::StreamLag>> DeliveryStore::lagging_streams(std::span<const Lead> leads) {
  begin_params(leads);
  const postgres::Result rows = co_await connection_->query(kLaggingStreams, params_);
  std::vector<StreamLag> lags;
  for (int row = 0; row < rows.size(); ++row) {
    StreamLag lag{rows.uuid(row, 0), static_cast<std::int32_t>(rows.integer(row, 1)), rows.integer(row, 2), {}};
    lags.push_back(std::move(lag));
  }
  co_return lags;
}

asio::awaitable<DeliveryStore::BatchPage> DeliveryStore::batches_after(std::span<const Cursor> cursors,
                                                                       std::int32_t max_batches) {
  enum Column { kShard, kBatch, kStream, kOffset };
  params_.clear();
  add_array(params_, kIntegerArray, kInteger, cursors, &Cursor::shard);
  add_array(params_, kBigintArray, kBigint, cursors, &Cursor::batch);
  params_.add(max_batches);
  const postgres::Result rows = co_await connection_->query(kBatchesAfter, params_);
  BatchPage page;
  for (int row = 0; row < rows.size(); ++row) {
    const Cursor cursor{static_cast<std::int32_t>(rows.integer(row, kShard)), rows.integer(row, kBatch)};
    if (page.read_up_to.empty() || page.read_up_to.back().shard != cursor.shard) page.read_up_to.push_back(cursor);
    page.read_up_to.back().batch = cursor.batch;
    if (rows.null(row, kStream)) continue;  // the batch has no frames
    Frame frame{.stream_id = rows.uuid(row, kStream), .shard = cursor.shard, .batch = cursor.batch};
    if (FramePtr read = read_frame(rows, row, kOffset, std::move(frame))) page.frames.push_back(std::move(read));
  }
  co_return page;
}

asio::awaitable<DeliveryStore::StreamPage> DeliveryStore::stream_page(const std::string& stream_id, std::int32_t shard,
                                                                      std::int64_t first_offset,
                                                                      std::int32_t max_frames) {
  params_.clear();
  params_.add(postgres::uuid_bytes(stream_id));
  params_.add(first_offset - 1);
  params_.add(max_frames);
  params_.add_boolean(channel_ == Channel::everyone);
  const postgres::Result rows = co_await connection_->query(kStreamPage, params_);
  StreamPage page;
  for (int row = 0; row < rows.size(); ++row) {
    page.last_offset = rows.integer(row, 0);
    Frame frame{.stream_id = stream_id, .shard = shard};
    if (FramePtr read = read_frame(rows, row, 0, std::move(frame))) page.frames.push_back(std::move(read));
  }
  co_return page;
}

asio::awaitable<std::vector<FramePtr>> DeliveryStore::dead_letters_to_replay(std::span<const Lead> leads,
                                                                             std::int32_t max_frames) {
  begin_params(leads);
  params_.add(max_frames);
  const postgres::Result rows = co_await connection_->query(kDeadLettersToReplay, params_);
  std::vector<FramePtr> frames;
  for (int row = 0; row < rows.size(); ++row) {
    Frame frame{.stream_id = rows.uuid(row, 0), .shard = static_cast<std::int32_t>(rows.integer(row, 1))};
    if (FramePtr read = read_frame(rows, row, 2, std::move(frame))) frames.push_back(std::move(read));
  }
  co_return frames;
}

asio::awaitable<void> DeliveryStore::settle(std::span<const Lead> leads) {
  begin_params(leads);
  add_array(params_, kBigintArray, kBigint, leads, &Lead::epoch);
  add_array(params_, kBigintArray, kBigint, leads, &Lead::batch);
  co_await connection_->query(kSettle, params_);
}

asio::awaitable<void> DeliveryStore::save_lags(std::span<const Lead> leads, std::span<const StreamLag> lags) {
  begin_params(leads);
  add_array(params_, kBigintArray, kBigint, leads, &Lead::epoch);
  add_array(params_, kUuidArray, kUuid, lags, [](const StreamLag& lag) { return postgres::uuid_bytes(lag.stream_id); });
  add_array(params_, kBigintArray, kBigint, lags, &StreamLag::next_offset);
  add_array(params_, kTextArray, kText, lags, &StreamLag::reason);
  co_await connection_->query(kSaveLags, params_);
}

asio::awaitable<void> DeliveryStore::add_dead_letter(std::span<const Lead> leads, const Frame& frame,
                                                     std::string_view reason, int attempts) {
  begin_params(leads);
  add_array(params_, kBigintArray, kBigint, leads, &Lead::epoch);
  params_.add(postgres::uuid_bytes(frame.stream_id));
  params_.add(frame.offset);
  params_.add(reason);
  params_.add(std::int32_t{attempts});
  co_await connection_->query(kAddDeadLetter, params_);
}

asio::awaitable<void> DeliveryStore::remove_dead_letter(const Frame& frame) {
  params_.clear();
  params_.add(std::string_view(transport_));
  params_.add(postgres::uuid_bytes(frame.stream_id));
  params_.add(frame.offset);
  co_await connection_->query(kRemoveDeadLetter, params_);
}

}  // namespace sealcast::transport::outside
