// Forms batches of waiting messages, sends each with one statement, and answers every message, also after failures.
#include "message/admission.h"

#include <algorithm>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/event.h"
#include "base/log.h"
#include "client/postgres/connection.h"
#include "client/postgres/outage.h"

namespace sealcast::message {

namespace {

constexpr char kAdmit[] =
    "select item, status, code, message, details, hint, retry_after_ms, replayed, envelope "
    "from sealcast.admit($1, $2, $3, $4, $5)";
enum Column { kItem, kStatus, kCode, kMessage, kDetails, kHint, kRetryAfter, kReplayed, kEnvelope };

constexpr std::string_view kTxnInProgress = "txn_in_progress";
constexpr int kMaxSerializationRetries = 5;
// How long /readyz reports a full disk after the last message that met it. A balancer that sends no messages meanwhile
// must try again.
constexpr std::chrono::seconds kDiskFullFor{10};
constexpr std::chrono::milliseconds kRetryPause{50};  // before a retry on the same connection
// Maximum number of unanswered statements of messages that are sent alone. These statements share one connection, and
// each of them may wait for a lock.
constexpr std::size_t kMaxAlone = 1024;

Verdict verdict_of(const postgres::Result& rows, int row) {
  return {static_cast<int>(rows.integer(row, kStatus)),
          rows.text(row, kCode),
          rows.text(row, kMessage),
          rows.text(row, kDetails),
          rows.text(row, kHint),
          rows.integer(row, kRetryAfter),
          rows.boolean(row, kReplayed),
          rows.text(row, kEnvelope),
          rows.storage()};
}

Verdict internal_error() {
  return {.status = 500,
          .code = "internal_error",
          .message = "the message could not be admitted because of an error in the database",
          .hint = "Retry with the same txn_id. The log of sealcastd names the error."};
}

// True if a (sender_id, txn_id) of the batch is locked by another transaction that has not ended. In this case admit()
// has inserted nothing, and every row has the verdict txn_in_progress.
bool met_open_transaction(const postgres::Result& rows) {
  return rows.size() > 0 && rows.integer(0, kStatus) == 503 && rows.text(0, kCode) == kTxnInProgress;
}

}  // namespace

Verdict refused_by(const postgres::Outage& outage) {
  return {.status = 503,
          .code = outage.code,
          .message = outage.message,
          .details = outage.in_doubt
                         ? "If the message was on its way when the database failed, it may have been accepted."
                         : "Nothing was inserted.",
          .hint = "Retry with the same txn_id.",
          .retry_after_ms = 1000};
}

Verdict database_unavailable() {
  return refused_by(postgres::outage_of(postgres::Error(postgres::Failure::unavailable, {})));
}

Verdict incompatible_extension() {
  return {.status = 503,
          .code = "database_unavailable",
          .message = "the extension in the database does not work with this sidecar",
          .details = "Nothing was inserted. The operator finds both versions in /readyz.",
          .hint = "Retry with the same txn_id.",
          .retry_after_ms = 1000};
}

Verdict overloaded(std::string_view message) {
  return {.status = 503,
          .code = "overloaded",
          .message = message,
          .hint = "Retry with the same txn_id after a pause.",
          .retry_after_ms = 1000};
}

class Admission::Impl {
 public:
  using Handler = asio::any_completion_handler<void(Verdict)>;

  Impl(asio::any_io_executor executor, const config::Settings::Admission& settings,
       const config::Settings::Postgres& postgres, Parts parts);
  void start();
  void stop();
  void enqueue(Message message, Handler handler);
  bool connected() const { return connected(fresh_); }
  std::string problem() const;
  bool idle() const { return waiting() == 0 && in_flight_ == 0; }
  asio::awaitable<bool> wait_idle(Clock::time_point deadline) { return idle_.wait_until(deadline); }

 private:
  struct Item {
    Message message;
    Handler handler;
    Clock::time_point deadline;
  };
  using Batch = std::vector<Item>;
  struct Lane {
    std::shared_ptr<postgres::Connection> connection;
    postgres::Params params;
    bool busy = false;
  };
  struct Queue {
    std::deque<Item> waiting;
    std::vector<std::unique_ptr<Lane>> lanes;
    bool scheduled = false;
  };

  static bool connected(const Queue& queue) {
    return std::ranges::any_of(queue.lanes, [](const auto& lane) { return lane->connection->connected(); });
  }
  std::size_t waiting() const { return fresh_.waiting.size() + repeats_.waiting.size(); }

  void add_lane(Queue& queue, std::string name);
  void on_lane_lost(Queue& queue);
  void schedule(Queue& queue);
  void dispatch(Queue& queue);
  Batch next_batch(Queue& queue);
  asio::awaitable<void> admit_batch(Queue& queue, Lane& lane, Batch batch);
  asio::awaitable<void> admit_alone(Item item);
  asio::awaitable<postgres::Result> run_admit(postgres::Connection& connection, postgres::Params& params,
                                              std::span<const Item> items);
  Verdict verdict_after(const postgres::Error& error, std::string_view problem);
  Verdict unavailable(const Queue& queue) const;
  static const std::string* incompatibility(const Queue& queue);
  void answer(Item& item, Verdict verdict);
  void answer_waiting(Item& item, Verdict verdict);
  void update_idle();

  asio::any_io_executor executor_;
  const config::Settings::Admission& settings_;
  const config::Settings::Postgres& postgres_;
  Parts parts_;
  Queue fresh_;
  Queue repeats_;
  std::shared_ptr<postgres::Connection> alone_;  // for messages that are sent alone
  std::size_t in_flight_ = 0;                    // messages that were sent in a batch or alone and have no verdict yet
  Clock::time_point disk_full_until_{};
  log::Throttle log_throttle_;
  Event idle_;
};

Admission::Impl::Impl(asio::any_io_executor executor, const config::Settings::Admission& settings,
                      const config::Settings::Postgres& postgres, Parts parts)
    : executor_(executor), settings_(settings), postgres_(postgres), parts_(std::move(parts)), idle_(executor) {
  idle_.set();
  for (std::size_t i = 0; i < settings_.lanes; ++i) add_lane(fresh_, "admission " + std::to_string(i + 1));
  add_lane(repeats_, "admission of repeats");
  alone_ =
      postgres::Connection::create(executor_, {postgres_.dsn, "admission one by one", postgres_.timeout, kMaxAlone});
}

void Admission::Impl::add_lane(Queue& queue, std::string name) {
  auto lane = std::make_unique<Lane>();
  lane->connection = postgres::Connection::create(executor_, {postgres_.dsn, std::move(name), postgres_.timeout});
  lane->connection->on_connect = [this, &queue] { schedule(queue); };
  lane->connection->on_loss = [this, &queue] { on_lane_lost(queue); };
  queue.lanes.push_back(std::move(lane));
}

void Admission::Impl::start() {
  for (auto* queue : {&fresh_, &repeats_}) {
    for (auto& lane : queue->lanes) lane->connection->start();
  }
  alone_->start();
}

void Admission::Impl::stop() {
  for (auto* queue : {&fresh_, &repeats_}) {
    for (auto& lane : queue->lanes) {
      lane->connection->on_connect = nullptr;
      lane->connection->on_loss = nullptr;
      lane->connection->stop();
    }
  }
  alone_->stop();
}

std::string Admission::Impl::problem() const {
  for (const Queue* queue : {&fresh_, &repeats_}) {
    if (connected(*queue)) continue;
    if (const std::string* reason = incompatibility(*queue)) return *reason;
    return queue == &fresh_ ? "no connection for new messages" : "no connection for repeats";
  }
  if (Clock::now() < disk_full_until_) return "the disk of the database is full (SQLSTATE 53100)";
  return {};
}

// Returns why the extension does not work with this sidecar, or null.
const std::string* Admission::Impl::incompatibility(const Queue& queue) {
  for (const auto& lane : queue.lanes) {
    if (!lane->connection->incompatible_extension().empty()) return &lane->connection->incompatible_extension();
  }
  return nullptr;
}

Verdict Admission::Impl::unavailable(const Queue& queue) const {
  return incompatibility(queue) == nullptr ? database_unavailable() : incompatible_extension();
}

// Returns the verdict of a message whose last attempt failed. Logs `problem`, unless another attempt may succeed.
Verdict Admission::Impl::verdict_after(const postgres::Error& error, std::string_view problem) {
  if (error.disk_full()) disk_full_until_ = Clock::now() + kDiskFullFor;
  if (!error.transient() || (error.disk_full() && log_throttle_.allows())) {
    log::write(log::Level::error, log::tag::kDatabase, problem,
               {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
  }
  return error.transient() ? refused_by(postgres::outage_of(error)) : internal_error();
}

void Admission::Impl::enqueue(Message message, Handler handler) {
  Queue& queue = message.seen ? repeats_ : fresh_;
  auto refuse = [&](Verdict verdict) { asio::post(executor_, asio::append(std::move(handler), std::move(verdict))); };
  if (!connected(queue)) return refuse(unavailable(queue));
  if (waiting() >= settings_.max_waiting) {
    return refuse(overloaded("too many messages are waiting for the database"));
  }
  queue.waiting.push_back({std::move(message), std::move(handler), Clock::now() + postgres_.timeout});
  idle_.clear();
  schedule(queue);
}

// Posts dispatch() instead of calling it, so that all requests of this iteration of the event loop share a batch.
void Admission::Impl::schedule(Queue& queue) {
  if (std::exchange(queue.scheduled, true)) return;
  asio::post(executor_, [this, &queue] {
    queue.scheduled = false;
    dispatch(queue);
  });
}

void Admission::Impl::dispatch(Queue& queue) {
  for (auto& lane : queue.lanes) {
    if (queue.waiting.empty()) break;
    if (lane->busy || !lane->connection->connected()) continue;
    Batch batch = next_batch(queue);
    if (batch.empty()) break;
    lane->busy = true;
    in_flight_ += batch.size();
    asio::co_spawn(executor_, admit_batch(queue, *lane, std::move(batch)), asio::detached);
  }
  parts_.metrics.admission_waiting.Set(static_cast<double>(waiting()));
  update_idle();
}

Admission::Impl::Batch Admission::Impl::next_batch(Queue& queue) {
  Batch batch;
  batch.reserve(std::min(queue.waiting.size(), settings_.max_batch));
  auto now = Clock::now();
  while (!queue.waiting.empty() && batch.size() < settings_.max_batch) {
    Item item = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    if (item.deadline > now) {
      batch.push_back(std::move(item));
    } else {
      answer_waiting(item, overloaded("the message waited too long for the database"));
    }
  }
  return batch;
}

asio::awaitable<void> Admission::Impl::admit_batch(Queue& queue, Lane& lane, Batch batch) {
  std::optional<postgres::Error> error;
  postgres::Result rows;
  auto began = Clock::now();
  parts_.metrics.admission_batch_size.Observe(static_cast<double>(batch.size()));
  try {
    rows = co_await run_admit(*lane.connection, lane.params, batch);
  } catch (const postgres::Error& caught) {
    error = caught;
  }
  lane.busy = false;
  schedule(queue);
  parts_.metrics.admission_seconds.Observe(std::chrono::duration<double>(Clock::now() - began).count());

  if (error && error->transient()) {
    const Verdict verdict = verdict_after(*error, "a batch failed");
    for (Item& item : batch) answer(item, verdict);
    co_return;
  }
  if (error || met_open_transaction(rows)) {
    if (error) {
      log::write(log::Level::error, log::tag::kDatabase, "a batch failed; sending its messages one by one",
                 {{"sqlstate", error->sqlstate()}, {"reason", std::string_view(error->what())}});
    }
    for (Item& item : batch) asio::co_spawn(executor_, admit_alone(std::move(item)), asio::detached);
    co_return;
  }
  disk_full_until_ = {};
  bool committed = false;
  for (int row = 0; row < rows.size(); ++row) {
    auto at = static_cast<std::size_t>(rows.integer(row, kItem)) - 1;
    if (at >= batch.size() || !batch[at].handler) continue;
    Verdict verdict = verdict_of(rows, row);
    committed = committed || (verdict.status == 200 && !verdict.replayed);
    answer(batch[at], std::move(verdict));
  }
  for (Item& item : batch) {
    if (item.handler) answer(item, internal_error());
  }
  if (committed) parts_.on_commit();
}

asio::awaitable<postgres::Result> Admission::Impl::run_admit(postgres::Connection& connection, postgres::Params& params,
                                                             std::span<const Item> items) {
  auto column = [&](Oid array, Oid element, auto member) {
    params.begin_array(array, element, items.size());
    for (const Item& item : items) params.element(item.message.*member);
    params.end_array();
  };
  // Items are in order of arrival: the first one has the earliest deadline.
  auto deadline = items.front().deadline;
  std::optional<postgres::Error> in_doubt, read_only;  // the last errors of these kinds
  for (int lost_races = 0;;) {
    std::optional<postgres::Error> error;
    try {
      params.clear();
      column(postgres::oid::kUuidArray, postgres::oid::kUuid, &Message::stream_id);
      column(postgres::oid::kTextArray, postgres::oid::kText, &Message::t);
      column(postgres::oid::kUuidArray, postgres::oid::kUuid, &Message::sender_id);
      column(postgres::oid::kUuidArray, postgres::oid::kUuid, &Message::txn_id);
      column(postgres::oid::kTextArray, postgres::oid::kText, &Message::d);
      co_return co_await connection.query(kAdmit, params);
    } catch (const postgres::Error& caught) {
      error = caught;
    } catch (const std::exception& caught) {  // out of memory: the messages must get a verdict all the same
      error = postgres::Error(postgres::Failure::refused, caught.what());
    }
    if (error->serialization() && ++lost_races <= kMaxSerializationRetries) continue;
    if (!error->transient()) throw *error;
    if (error->sqlstate() == "25006") {
      read_only = error;
      connection.reset("this server is read-only");
    }
    // An attempt that was never executed says less than the attempts before it.
    const bool executed = error->failure() != postgres::Failure::unavailable;
    if (executed && postgres::outage_of(*error).in_doubt) in_doubt = error;
    const postgres::Error& outcome = in_doubt ? *in_doubt : read_only && !executed ? *read_only : *error;
    // A disk stays full for longer than a message may wait.
    if (error->disk_full()) throw outcome;
    if (connection.connected()) {
      co_await sleep_for(kRetryPause);
      if (Clock::now() >= deadline) throw outcome;
    } else if (!co_await connection.wait_connected(deadline)) {
      throw outcome;
    }
  }
}

asio::awaitable<void> Admission::Impl::admit_alone(Item item) {
  Verdict verdict;
  try {
    postgres::Params params;
    std::span<const Item> items(&item, 1);
    postgres::Result rows = co_await run_admit(*alone_, params, items);
    verdict = rows.size() == 1 ? verdict_of(rows, 0) : internal_error();
  } catch (const postgres::Error& error) {
    verdict = verdict_after(error, "a message failed");
  }
  bool committed = verdict.status == 200 && !verdict.replayed;
  answer(item, std::move(verdict));
  if (committed) parts_.on_commit();
}

// If no lane of the queue is connected, refuses its waiting messages at once. A batch in flight is not refused here:
// run_admit() sends it again when its lane has connected again.
void Admission::Impl::on_lane_lost(Queue& queue) {
  if (connected(queue)) return;
  for (Item& item : std::exchange(queue.waiting, {})) answer_waiting(item, database_unavailable());
  update_idle();
}

void Admission::Impl::answer(Item& item, Verdict verdict) {
  --in_flight_;
  update_idle();
  // The handler is called directly, not posted, because this function already runs on the event loop.
  std::exchange(item.handler, nullptr)(std::move(verdict));
}

void Admission::Impl::answer_waiting(Item& item, Verdict verdict) {
  asio::post(executor_, asio::append(std::move(item.handler), std::move(verdict)));
}

void Admission::Impl::update_idle() {
  if (idle()) idle_.set();
}

Admission::Admission(asio::any_io_executor executor, const config::Settings::Admission& settings,
                     const config::Settings::Postgres& postgres, Parts parts)
    : impl_(std::make_unique<Impl>(std::move(executor), settings, postgres, std::move(parts))) {}
Admission::~Admission() { stop(); }

void Admission::start() { impl_->start(); }
void Admission::stop() { impl_->stop(); }
bool Admission::connected() const { return impl_->connected(); }
std::string Admission::problem() const { return impl_->problem(); }
bool Admission::idle() const { return impl_->idle(); }
asio::awaitable<bool> Admission::wait_idle(Clock::time_point deadline) { return impl_->wait_idle(deadline); }

asio::awaitable<Verdict> Admission::admit(Message message) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(Verdict)>(
      [impl = impl_.get()](auto handler, Message item) {
        impl->enqueue(std::move(item), Impl::Handler(std::move(handler)));
      },
      asio::use_awaitable, std::move(message));
}

}  // namespace sealcast::message
