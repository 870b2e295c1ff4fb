// The relay's loop and what it asks of Postgres.
#include "message/relay.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "base/log.h"

namespace sealcast::message {

namespace {

constexpr char kClaim[] = "select shard, epoch, mine, batch from sealcast.claim_shards($1, $2)";
constexpr char kDrain[] =
    "select shard, batch, stream_id, \"offset\", prev, envelope, public_prev from sealcast.drain($1, $2, $3, $4)";
constexpr char kTail[] =
    "select shard, batch, stream_id, \"offset\", prev, envelope, public_prev from sealcast.tail($1, $2, $3)";
constexpr char kSettle[] = "select sealcast.settle($1, $2, $3, $4)";
constexpr char kRelease[] = "select sealcast.release_shards($1)";
enum Column { kShard, kBatch, kStream, kOffset, kPrev, kEnvelope, kPublicPrev };

constexpr std::chrono::seconds kSettleEvery{1};
constexpr std::int32_t kTailBatches = 8;
// From one look to the next under load: each has a price of its own, whatever it finds.
constexpr std::chrono::milliseconds kPace{10};
constexpr std::chrono::seconds kAfterRefusal{1};

}  // namespace

Relay::Relay(asio::any_io_executor executor, Metrics& metrics, RelaySettings settings,
             std::vector<transport::Transport*> transports, Observer observer)
    : executor_(executor),
      metrics_(metrics),
      settings_(std::move(settings)),
      transports_(std::move(transports)),
      observer_(std::move(observer)),
      connection_(postgres::Connection::create(executor, {settings_.dsn, "relay", settings_.timeout})),
      timer_(executor) {
  connection_->on_notify = [this](std::string_view) { wake(); };
  connection_->on_loss = [this] {
    listening_ = false;
    wake();
  };
}

Relay::~Relay() {
  connection_->on_notify = nullptr;
  connection_->on_loss = nullptr;
  connection_->stop();
}

void Relay::start() {
  connection_->start();
  asio::co_spawn(executor_, run(), asio::detached);
}

void Relay::wake() {
  woken_ = true;
  timer_.cancel();
}

asio::awaitable<void> Relay::run() {
  while (!finishing_) {
    if (!co_await connection_->wait_connected(Clock::now() + settings_.poll)) continue;
    std::optional<postgres::Error> error;
    try {
      co_await serve();
    } catch (const postgres::Error& caught) {
      error = caught;
    }
    listening_ = false;
    forget_sync();
    if (error && error->failure() == postgres::Failure::refused && !finishing_) {
      log::write(log::Level::error, log::tag::kRelay, "Postgres refused a statement of the relay; trying again",
                 {{"sqlstate", error->sqlstate()}, {"reason", std::string_view(error->what())}});
      timer_.expires_after(kAfterRefusal);
      boost::system::error_code ignored;
      co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }
  metrics_.relay_shards.Set(0);
  finished_ = true;
}

asio::awaitable<void> Relay::serve() {
  params_.clear();
  co_await connection_->query("listen sealcast", params_);
  next_claim_ = Clock::now();
  while (connection_->connected()) {
    if (Clock::now() >= next_claim_) co_await claim();
    listening_ = true;
    bool last_round = finishing_;
    woken_ = false;
    last_round_ = Clock::now();
    bool more = co_await tail();
    more = co_await drain() || more;
    if (Clock::now() >= next_settle_ || (last_round && !more)) co_await settle();
    if (more) continue;
    if (last_round) {
      params_.clear();
      params_.add(std::string_view(settings_.holder));
      co_await connection_->query(kRelease, params_);
      co_return;
    }
    if (finishing_) continue;
    co_await wait_until(std::min(next_claim_, Clock::now() + settings_.poll));
    if (Clock::now() < last_round_ + kPace) {
      asio::steady_timer pace(executor_, last_round_ + kPace);
      co_await pace.async_wait(asio::use_awaitable);
    }
  }
}

asio::awaitable<void> Relay::wait_until(Clock::time_point deadline) {
  if (woken_) co_return;
  timer_.expires_at(deadline);
  boost::system::error_code ignored;
  co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

asio::awaitable<void> Relay::claim() {
  next_claim_ = Clock::now() + std::min<Clock::duration>(std::chrono::seconds(1), settings_.lease / 3);
  params_.clear();
  params_.add(std::string_view(settings_.holder));
  params_.add(static_cast<std::int32_t>(settings_.lease.count()));
  take_claim(co_await connection_->query(kClaim, params_));
}

void Relay::take_claim(const postgres::Result& rows) {
  int mine_count = 0;
  for (int row = 0; row < rows.size(); ++row) {
    auto id = static_cast<std::int32_t>(rows.integer(row, 0));
    std::int64_t epoch = rows.integer(row, 1);
    bool mine = rows.boolean(row, 2);
    std::int64_t newest = rows.integer(row, 3);
    Shard* shard = find(id);
    if (!shard) {
      // What was relayed before this process began is history, which clients read from Postgres.
      shards_.push_back({id, epoch, false, false, newest, newest, newest});
      shard = &shards_.back();
    }
    if (mine != shard->mine) {
      log::write(log::Level::info, log::tag::kRelay, mine ? "took the lead of a shard" : "no longer leads a shard",
                 {{"shard", std::int64_t{id}}, {"epoch", epoch}});
    }
    if (!mine || epoch != shard->epoch) shard->synced = false;
    shard->mine = mine;
    shard->epoch = epoch;
    shard->newest = std::max(shard->newest, newest);
    if (mine && !shard->synced && shard->position >= newest) shard->synced = true;
    mine_count += mine;
  }
  metrics_.relay_shards.Set(mine_count);
  forget_frames();
  hand_out();
}

asio::awaitable<bool> Relay::tail() {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> positions;
  for (const Shard& shard : shards_) {
    if (shard.synced) continue;
    ids.push_back(shard.id);
    positions.push_back(shard.position);
  }
  if (ids.empty()) co_return false;
  params_.clear();
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, ids);
  params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, positions);
  params_.add(kTailBatches);
  postgres::Result rows = co_await connection_->query(kTail, params_);
  publish(rows);
  for (Shard& shard : shards_) {
    if (shard.mine && !shard.synced && shard.position >= shard.newest) shard.synced = true;
  }
  co_return rows.size() > 0;
}

asio::awaitable<bool> Relay::drain() {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> epochs;
  for (const Shard& shard : shards_) {
    if (!shard.synced) continue;
    ids.push_back(shard.id);
    epochs.push_back(shard.epoch);
  }
  if (ids.empty()) co_return false;
  params_.clear();
  params_.add(std::string_view(settings_.holder));
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, ids);
  params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, epochs);
  params_.add(settings_.max_rows);
  postgres::Result rows = co_await connection_->query(kDrain, params_);
  publish(rows);
  // A drain that came back short found all there was.
  co_return rows.size() >= settings_.max_rows;
}

asio::awaitable<void> Relay::settle() {
  next_settle_ = Clock::now() + kSettleEvery;
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> epochs, positions;
  for (const Shard& shard : shards_) {
    if (!shard.synced || shard.settled == shard.position) continue;
    ids.push_back(shard.id);
    epochs.push_back(shard.epoch);
    positions.push_back(shard.position);
  }
  if (ids.empty()) co_return;
  for (transport::Transport* transport : transports_) {
    if (!transport->delivers_at_once()) continue;
    params_.clear();
    params_.add(transport->name());
    params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, ids);
    params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, epochs);
    params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, positions);
    co_await connection_->query(kSettle, params_);
  }
  for (std::size_t i = 0; i < ids.size(); ++i) find(ids[i])->settled = positions[i];
}

void Relay::publish(const postgres::Result& rows) {
  if (rows.size() == 0) return;
  forget_frames();
  for (int row = 0; row < rows.size(); ++row) {
    Shard* shard = find(static_cast<std::int32_t>(rows.integer(row, kShard)));
    std::int64_t batch = rows.integer(row, kBatch);
    if (!shard) continue;
    shard->position = std::max(shard->position, batch);
    if (rows.null(row, kStream) || rows.null(row, kEnvelope)) continue;
    std::string_view envelope = rows.text(row, kEnvelope);
    const auto frame_after = [&](std::int64_t prev) {
      auto frame = std::make_shared<transport::Frame>(
          transport::Frame{rows.uuid(row, kStream), rows.integer(row, kOffset), prev, shard->id, batch, {}});
      transport::append_frame(frame->offset, prev, envelope, frame->text);
      return frame;
    };
    const std::int64_t prev = rows.integer(row, kPrev);
    frames_.push_back(frame_after(prev));
    if (rows.null(row, kPublicPrev)) continue;
    const std::int64_t public_prev = rows.integer(row, kPublicPrev);
    public_frames_.push_back(public_prev == prev ? frames_.back() : frame_after(public_prev));
  }
  if (!frames_.empty()) {
    metrics_.relay_messages.Increment(static_cast<double>(frames_.size()));
    if (auto ts = transport::envelope_ts(frames_.back()->text)) {
      auto now =
          std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
      metrics_.relay_lag_seconds.Set(static_cast<double>(now.count() - *ts) / 1000);
    }
  }
  hand_out();
}

void Relay::hand_out() {
  leads_.clear();
  for (const Shard& shard : shards_) {
    if (shard.mine) leads_.push_back({shard.id, shard.epoch, shard.position});
  }
  if (observer_) observer_(frames_);
  for (transport::Transport* transport : transports_) {
    transport->publish(transport->channel() == transport::Channel::everyone ? public_frames_ : frames_, leads_);
  }
}

void Relay::forget_frames() {
  frames_.clear();
  public_frames_.clear();
}

void Relay::forget_sync() {
  for (Shard& shard : shards_) shard.synced = false;
}

Relay::Shard* Relay::find(std::int32_t id) {
  auto at = std::ranges::find(shards_, id, &Shard::id);
  return at == shards_.end() ? nullptr : &*at;
}

asio::awaitable<void> Relay::finish(Clock::time_point deadline) {
  finishing_ = true;
  wake();
  while (!finished_ && connection_->connected() && Clock::now() < deadline) {
    asio::steady_timer pause(executor_, std::chrono::milliseconds(5));
    co_await pause.async_wait(asio::use_awaitable);
  }
  connection_->stop();
}

}  // namespace sealcast::message
