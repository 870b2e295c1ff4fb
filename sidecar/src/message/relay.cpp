// Runs the relay's loop: renews the leases, tails and drains the shards, gives the frames to the transports, and
// settles.
#include "message/relay.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/event.h"
#include "base/log.h"
#include "client/postgres/connection.h"
#include "message/relay_shards.h"

namespace sealcast::message {
namespace {

constexpr char kCheckLog[] = "select sealcast_internal.check_log($1, $2, $3, $4, $5)";
constexpr char kRenew[] =
    "select shard, epoch, mine, batch, logged_at, log_epoch from sealcast_internal.claim_shards($1, $2, $3)";
constexpr char kDrain[] =
    "select shard, batch, stream_id, \"offset\", prev, envelope, public_prev, redacted, retained "
    "from sealcast_internal.drain($1, $2, $3, $4)";
constexpr char kTail[] =
    "select shard, batch, stream_id, \"offset\", prev, envelope, public_prev, redacted, retained "
    "from sealcast_internal.tail($1, $2, $3)";
constexpr char kSettle[] = "select sealcast_internal.settle($1, $2, $3, $4)";
constexpr char kRelease[] = "select sealcast_internal.release_shards($1)";
enum Column { kShard, kBatch, kStream, kOffset, kPrev, kEnvelope, kPublicPrev, kRedacted, kRetained };

constexpr std::chrono::seconds kMaxRenewInterval{1};
constexpr std::chrono::seconds kSettleInterval{1};
constexpr std::int32_t kTailBatches = 8;  // maximum number of relay batches per shard that one tail() reads
// Minimum time between the starts of two rounds of the loop. It limits the number of statements under load, because an
// empty drain costs a statement too.
constexpr std::chrono::milliseconds kPace{10};
constexpr std::chrono::seconds kPauseAfterError{1};

}  // namespace

class Relay::Impl {
 public:
  Impl(asio::any_io_executor executor, const config::Settings::Relay& settings, std::chrono::milliseconds timeout,
       Parts parts);
  ~Impl();
  void start();
  void wake() { wake_up_.set(); }
  bool listening() const { return listening_; }
  std::span<const transport::Lead> leads() const { return leads_; }
  asio::awaitable<void> finish(Clock::time_point deadline);

 private:
  asio::awaitable<void> run();
  asio::awaitable<void> serve_connection();
  asio::awaitable<void> check_log();
  asio::awaitable<void> renew_leases();
  void begin_log(std::string_view log_epoch);
  asio::awaitable<bool> tail();   // returns true if there may be more to read
  asio::awaitable<bool> drain();  // returns true if there may be more to drain
  asio::awaitable<void> settle();
  asio::awaitable<void> release_leases();
  void publish(const postgres::Result& rows);
  void hand_out_frames();
  void clear_frames();

  asio::any_io_executor executor_;
  const config::Settings::Relay& settings_;
  Parts parts_;
  std::shared_ptr<postgres::Connection> connection_;
  postgres::Params params_;
  RelayShards shards_;
  std::string log_epoch_;  // empty before the first renewal
  // Frames and leads of the last publish() or renewal. They are members, so that their memory is used again.
  std::vector<transport::FramePtr> frames_;
  std::vector<transport::FramePtr> public_frames_;
  std::vector<transport::Lead> leads_;
  Clock::time_point next_renewal_{};
  Clock::time_point next_settle_{};
  Event wake_up_;   // set when the next round must begin now
  Event finished_;  // run() has ended
  bool listening_ = false;
  bool finishing_ = false;
};

Relay::Impl::Impl(asio::any_io_executor executor, const config::Settings::Relay& settings,
                  std::chrono::milliseconds timeout, Parts parts)
    : executor_(executor),
      settings_(settings),
      parts_(std::move(parts)),
      connection_(postgres::Connection::create(executor, {settings.dsn, "relay", timeout})),
      wake_up_(executor),
      finished_(executor) {
  connection_->on_notify = [this](std::string_view) { wake(); };
  connection_->on_loss = [this] {
    listening_ = false;
    wake();
  };
}

Relay::Impl::~Impl() {
  connection_->on_notify = nullptr;
  connection_->on_loss = nullptr;
  connection_->stop();
}

void Relay::Impl::start() {
  connection_->start();
  asio::co_spawn(executor_, run(), asio::detached);
}

asio::awaitable<void> Relay::Impl::run() {
  while (!finishing_) {
    if (!co_await connection_->wait_connected(Clock::now() + settings_.poll)) continue;
    std::optional<postgres::Error> error;
    try {
      co_await serve_connection();
    } catch (const postgres::Error& caught) {
      error = caught;
    }
    listening_ = false;
    shards_.lose_connection();
    if (error && error->failure() == postgres::Failure::refused && !finishing_) {
      log::write(log::Level::error, log::tag::kRelay, "Postgres refused a statement of the relay; retrying",
                 {{"sqlstate", error->sqlstate()}, {"reason", std::string_view(error->what())}});
      wake_up_.clear();
      co_await wake_up_.wait_for(kPauseAfterError);
    }
  }
  parts_.metrics.relay_shards.Set(0);
  finished_.set();
}

asio::awaitable<void> Relay::Impl::serve_connection() {
  params_.clear();
  co_await connection_->query("listen sealcast", params_);
  if (!log_epoch_.empty()) co_await check_log();
  next_renewal_ = Clock::now();
  while (connection_->connected()) {
    if (Clock::now() >= next_renewal_) co_await renew_leases();
    listening_ = true;
    const bool last_round = finishing_;
    wake_up_.clear();
    const auto began = Clock::now();
    bool more = co_await tail();
    more = co_await drain() || more;
    if (Clock::now() >= next_settle_ || (last_round && !more)) co_await settle();
    if (more) continue;
    if (last_round) co_return co_await release_leases();
    if (finishing_) continue;
    co_await wake_up_.wait_until(std::min(next_renewal_, Clock::now() + settings_.poll));
    if (Clock::now() < began + kPace) co_await sleep_until(began + kPace);
  }
}

// The server of the new connection may lack batches that this sidecar knows, because a failover has lost these batches.
asio::awaitable<void> Relay::Impl::check_log() {
  const KnownBatches known = shards_.known();
  params_.clear();
  params_.add(std::string_view(log_epoch_));
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, known.ids);
  for (const auto* numbers : {&known.published, &known.newest, &known.logged_at}) {
    params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, *numbers);
  }
  co_await connection_->query(kCheckLog, params_);
}

asio::awaitable<void> Relay::Impl::renew_leases() {
  enum { kId, kEpoch, kLed, kNewest, kLoggedAt, kLogEpoch };
  next_renewal_ = Clock::now() + std::min<Clock::duration>(kMaxRenewInterval, settings_.lease / 3);
  params_.clear();
  params_.add(std::string_view(settings_.holder));
  params_.add(static_cast<std::int32_t>(settings_.lease.count()));
  params_.begin_array(postgres::oid::kTextArray, postgres::oid::kText, parts_.transports.size());
  for (const transport::Transport* transport : parts_.transports) params_.element(transport->name());
  params_.end_array();
  const postgres::Result rows = co_await connection_->query(kRenew, params_);
  if (rows.size() > 0 && rows.text(0, kLogEpoch) != log_epoch_) begin_log(rows.text(0, kLogEpoch));
  for (int row = 0; row < rows.size(); ++row) {
    const auto id = static_cast<std::int32_t>(rows.integer(row, kId));
    const std::int64_t epoch = rows.integer(row, kEpoch);
    const bool led = rows.boolean(row, kLed);
    const KnownBatch newest{rows.integer(row, kNewest), rows.integer(row, kLoggedAt)};
    if (!shards_.renew(id, epoch, led, newest)) continue;
    log::write(log::Level::info, log::tag::kRelay,
               led ? "acquired the lease of a shard" : "no longer has the lease of a shard",
               {{"shard", std::int64_t{id}}, {"epoch", epoch}});
  }
  parts_.metrics.relay_shards.Set(static_cast<double>(shards_.led_count()));
  clear_frames();
  hand_out_frames();
}

// The database has another history, or this is the first renewal. Batches and offsets of before say nothing about it.
void Relay::Impl::begin_log(std::string_view log_epoch) {
  if (!log_epoch_.empty()) {
    parts_.metrics.relay_new_epochs.Increment();
    log::write(log::Level::error, log::tag::kRelay,
               "the log of the database has another epoch: after a failover, a recovery or a restore it may lack "
               "relayed messages; readers get a reset",
               {{"from", std::string_view(log_epoch_)}, {"to", log_epoch}});
  }
  log_epoch_ = log_epoch;
  shards_.forget();
  if (parts_.on_log) parts_.on_log();
  for (transport::Transport* transport : parts_.transports) transport->begin_log(log_epoch_);
}

asio::awaitable<void> Relay::Impl::release_leases() {
  params_.clear();
  params_.add(std::string_view(settings_.holder));
  co_await connection_->query(kRelease, params_);
}

asio::awaitable<bool> Relay::Impl::tail() {
  const ShardArrays shards = shards_.to_tail();
  if (shards.ids.empty()) co_return false;
  params_.clear();
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, shards.ids);
  params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, shards.published);
  params_.add(kTailBatches);
  const postgres::Result rows = co_await connection_->query(kTail, params_);
  publish(rows);
  shards_.catch_up();
  co_return rows.size() > 0;
}

asio::awaitable<bool> Relay::Impl::drain() {
  const ShardArrays shards = shards_.to_drain();
  if (shards.ids.empty()) co_return false;
  params_.clear();
  params_.add(std::string_view(settings_.holder));
  params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, shards.ids);
  params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, shards.epochs);
  params_.add(settings_.max_rows);
  const postgres::Result rows = co_await connection_->query(kDrain, params_);
  publish(rows);
  // A drain that returns fewer rows than max_rows has left nothing in the outbox of its shards.
  co_return rows.size() >= settings_.max_rows;
}

asio::awaitable<void> Relay::Impl::settle() {
  next_settle_ = Clock::now() + kSettleInterval;
  const ShardArrays shards = shards_.to_settle();
  if (shards.ids.empty()) co_return;
  for (transport::Transport* transport : parts_.transports) {
    if (!transport->delivers_at_once()) continue;
    params_.clear();
    params_.add(transport->name());
    params_.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, shards.ids);
    params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, shards.epochs);
    params_.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, shards.published);
    co_await connection_->query(kSettle, params_);
  }
  shards_.settle(shards);
}

void Relay::Impl::publish(const postgres::Result& rows) {
  if (rows.size() == 0) return;
  clear_frames();
  for (int row = 0; row < rows.size(); ++row) {
    const auto shard = static_cast<std::int32_t>(rows.integer(row, kShard));
    const std::int64_t batch = rows.integer(row, kBatch);
    if (!shards_.advance(shard, batch)) continue;
    if (rows.null(row, kStream)) continue;
    const std::string_view envelope = rows.null(row, kEnvelope) ? std::string_view() : rows.text(row, kEnvelope);
    const std::string_view redacted = rows.null(row, kRedacted) ? std::string_view() : rows.text(row, kRedacted);
    const auto frame_after = [&](std::int64_t prev) {
      return transport::make_frame({.stream_id = rows.uuid(row, kStream),
                                    .offset = rows.integer(row, kOffset),
                                    .prev = prev,
                                    .shard = shard,
                                    .batch = batch},
                                   envelope, redacted);
    };
    const std::int64_t prev = rows.integer(row, kPrev);
    frames_.push_back(frame_after(prev));
    if (parts_.on_retained && rows.boolean(row, kRetained)) parts_.on_retained(*frames_.back());
    if (rows.null(row, kPublicPrev)) continue;
    const std::int64_t public_prev = rows.integer(row, kPublicPrev);
    public_frames_.push_back(public_prev == prev ? frames_.back() : frame_after(public_prev));
  }
  parts_.metrics.relay_messages.Increment(static_cast<double>(frames_.size()));
  hand_out_frames();
}

void Relay::Impl::hand_out_frames() {
  shards_.write_leads(leads_);
  if (parts_.observer) parts_.observer(frames_);
  for (transport::Transport* transport : parts_.transports) {
    transport->publish(transport->channel() == transport::Channel::everyone ? public_frames_ : frames_, leads_);
  }
}

void Relay::Impl::clear_frames() {
  frames_.clear();
  public_frames_.clear();
}

asio::awaitable<void> Relay::Impl::finish(Clock::time_point deadline) {
  finishing_ = true;
  wake();
  // If the connection is lost during this wait, run() ends and sets finished_.
  if (connection_->connected()) co_await finished_.wait_until(deadline);
  connection_->stop();
}

Relay::Relay(asio::any_io_executor executor, const config::Settings::Relay& settings, std::chrono::milliseconds timeout,
             Parts parts)
    : impl_(std::make_unique<Impl>(std::move(executor), settings, timeout, std::move(parts))) {}
Relay::~Relay() = default;

void Relay::start() { impl_->start(); }
void Relay::wake() { impl_->wake(); }
bool Relay::listening() const { return impl_->listening(); }
std::span<const transport::Lead> Relay::leads() const { return impl_->leads(); }
asio::awaitable<void> Relay::finish(Clock::time_point deadline) { return impl_->finish(deadline); }

}  // namespace sealcast::message
