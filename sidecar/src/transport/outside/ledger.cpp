// The statements of a delivery.
#include "transport/outside/ledger.h"

#include <utility>

namespace sealcast::transport::outside {

namespace {

using namespace postgres::oid;

constexpr char kBegin[] = "select shard, batch from sealcast.begin_delivery($1, $2, $3, $4)";
constexpr char kLagging[] = "select stream_id, shard, next_offset from sealcast.lagging_streams($1, $2)";
// Each ends with what take() reads.
constexpr char kAfter[] =
    "select shard, batch, stream_id, \"offset\", prev, public_prev, envelope from sealcast.tail($1, $2, $3)";
constexpr char kOfStream[] =
    "select \"offset\", prev, public_prev, envelope from sealcast.history($1, $2, null, $3, only_public => $4)";
constexpr char kToReplay[] =
    "select stream_id, shard, \"offset\", prev, public_prev, envelope "
    "from sealcast.dead_letters_to_replay($1, $2, $3)";
constexpr char kSettle[] = "select sealcast.settle($1, $2, $3, $4)";
constexpr char kSetLag[] = "select sealcast.set_lag($1, $2, $3, $4, $5, $6)";
constexpr char kBury[] = "select sealcast.bury($1, $2, $3, $4, $5, $6, $7)";
constexpr char kRevive[] = "select sealcast.revive($1, $2, $3)";

std::vector<std::int32_t> shards_of(std::span<const Lead> leads) {
  std::vector<std::int32_t> shards;
  for (const Lead& lead : leads) shards.push_back(lead.shard);
  return shards;
}

}  // namespace

Ledger::Ledger(asio::any_io_executor executor, const std::string& dsn, std::string_view transport, Channel channel,
               std::chrono::milliseconds timeout)
    : transport_(transport),
      channel_(channel),
      connection_(postgres::Connection::create(executor, {dsn, "delivery to " + transport_, timeout})) {}

Ledger::~Ledger() { connection_->stop(); }

void Ledger::start() { connection_->start(); }

void Ledger::stop() { connection_->stop(); }

asio::awaitable<bool> Ledger::connected_by(Clock::time_point deadline) { return connection_->wait_connected(deadline); }

// Reads offset, prev, public_prev and envelope into a frame. False when retention has dropped the message, or it is not
// on the channel.
bool Ledger::take(const postgres::Result& rows, int row, int first_column, Frame& frame) const {
  enum { kOffset, kPrev, kPublicPrev, kEnvelope };
  const int prev = first_column + (channel_ == Channel::everyone ? kPublicPrev : kPrev);
  const int envelope = first_column + kEnvelope;
  if (rows.null(row, envelope) || rows.null(row, prev)) return false;
  frame.offset = rows.integer(row, first_column + kOffset);
  frame.prev = rows.integer(row, prev);
  append_frame(frame.offset, frame.prev, rows.text(row, envelope), frame.text);
  return true;
}

void Ledger::add_leads(std::span<const Lead> leads, bool batches) {
  std::vector<std::int64_t> epochs, reached;
  for (const Lead& lead : leads) {
    epochs.push_back(lead.epoch);
    reached.push_back(lead.batch);
  }
  params_.clear();
  params_.add(std::string_view(transport_));
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, shards_of(leads));
  params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, epochs);
  if (batches) params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, reached);
}

asio::awaitable<std::vector<Ledger::Position>> Ledger::begin(std::span<const Lead> leads) {
  add_leads(leads, true);
  const postgres::Result rows = co_await connection_->query(kBegin, params_);
  std::vector<Position> positions;
  for (int row = 0; row < rows.size(); ++row) {
    const Position position{static_cast<std::int32_t>(rows.integer(row, 0)), rows.integer(row, 1)};
    positions.push_back(position);
  }
  co_return positions;
}

asio::awaitable<std::vector<Ledger::Lag>> Ledger::lagging(std::span<const Lead> leads) {
  params_.clear();
  params_.add(std::string_view(transport_));
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, shards_of(leads));
  const postgres::Result rows = co_await connection_->query(kLagging, params_);
  std::vector<Lag> lags;
  for (int row = 0; row < rows.size(); ++row) {
    Lag lag{rows.uuid(row, 0), static_cast<std::int32_t>(rows.integer(row, 1)), rows.integer(row, 2), {}};
    lags.push_back(std::move(lag));
  }
  co_return lags;
}

asio::awaitable<Ledger::Page> Ledger::after(std::span<const Position> positions, std::int32_t max_batches) {
  enum Column { kShard, kBatch, kStream, kOffset };
  std::vector<std::int32_t> shards;
  std::vector<std::int64_t> batches;
  for (const Position& position : positions) {
    shards.push_back(position.shard);
    batches.push_back(position.batch);
  }
  params_.clear();
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, shards);
  params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, batches);
  params_.add(max_batches);
  const postgres::Result rows = co_await connection_->query(kAfter, params_);
  Page page;
  for (int row = 0; row < rows.size(); ++row) {
    const Position position{static_cast<std::int32_t>(rows.integer(row, kShard)), rows.integer(row, kBatch)};
    if (page.positions.empty() || page.positions.back().shard != position.shard) page.positions.push_back(position);
    page.positions.back().batch = position.batch;
    if (rows.null(row, kStream)) continue;  // an empty batch
    Frame frame{.stream_id = rows.uuid(row, kStream), .shard = position.shard, .batch = position.batch};
    if (take(rows, row, kOffset, frame)) page.frames.push_back(std::make_shared<Frame>(std::move(frame)));
  }
  co_return page;
}

asio::awaitable<Ledger::StreamPage> Ledger::of_stream(const std::string& stream_id, std::int32_t shard,
                                                      std::int64_t first_offset, std::int32_t max_frames) {
  params_.clear();
  params_.add(postgres::uuid_bytes(stream_id));
  params_.add(first_offset - 1);
  params_.add(max_frames);
  params_.add_boolean(channel_ == Channel::everyone);
  const postgres::Result rows = co_await connection_->query(kOfStream, params_);
  StreamPage page;
  for (int row = 0; row < rows.size(); ++row) {
    page.last_offset = rows.integer(row, 0);
    Frame frame{.stream_id = stream_id, .shard = shard};
    if (take(rows, row, 0, frame)) page.frames.push_back(std::make_shared<Frame>(std::move(frame)));
  }
  co_return page;
}

asio::awaitable<std::vector<FramePtr>> Ledger::to_replay(std::span<const Lead> leads, std::int32_t max_frames) {
  params_.clear();
  params_.add(std::string_view(transport_));
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, shards_of(leads));
  params_.add(max_frames);
  const postgres::Result rows = co_await connection_->query(kToReplay, params_);
  std::vector<FramePtr> frames;
  for (int row = 0; row < rows.size(); ++row) {
    Frame frame{.stream_id = rows.uuid(row, 0), .shard = static_cast<std::int32_t>(rows.integer(row, 1))};
    if (take(rows, row, 2, frame)) frames.push_back(std::make_shared<Frame>(std::move(frame)));
  }
  co_return frames;
}

asio::awaitable<void> Ledger::settle(std::span<const Lead> leads) {
  add_leads(leads, true);
  co_await connection_->query(kSettle, params_);
}

asio::awaitable<void> Ledger::set_lag(std::span<const Lead> leads, std::span<const Lag> lags) {
  add_leads(leads, false);
  params_.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, lags.size());
  for (const Lag& lag : lags) params_.element(postgres::uuid_bytes(lag.stream_id));
  params_.end_array();
  params_.begin_array(postgres::oid::kBigintArray, postgres::oid::kBigint, lags.size());
  for (const Lag& lag : lags) params_.element(lag.next_offset);
  params_.end_array();
  params_.begin_array(postgres::oid::kTextArray, postgres::oid::kText, lags.size());
  for (const Lag& lag : lags) params_.element(std::string_view(lag.reason));
  params_.end_array();
  co_await connection_->query(kSetLag, params_);
}

asio::awaitable<void> Ledger::bury(std::span<const Lead> leads, const Frame& frame, std::string_view reason,
                                   int attempts) {
  add_leads(leads, false);
  params_.add(postgres::uuid_bytes(frame.stream_id));
  params_.add(frame.offset);
  params_.add(reason);
  params_.add(std::int32_t{attempts});
  co_await connection_->query(kBury, params_);
}

asio::awaitable<void> Ledger::revive(const Frame& frame) {
  params_.clear();
  params_.add(std::string_view(transport_));
  params_.add(postgres::uuid_bytes(frame.stream_id));
  params_.add(frame.offset);
  co_await connection_->query(kRevive, params_);
}

}  // namespace sealcast::transport::outside
