// Forms batches, sends them, and answers every message whatever happens to its batch.
#include "message/admission.h"

#include <algorithm>
#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "base/log.h"

namespace sealcast::message {

namespace {

constexpr char kAdmit[] =
    "select item, status, code, message, details, hint, retry_after_ms, replayed, envelope "
    "from sealcast.admit($1, $2, $3, $4, $5)";
enum Column { kItem, kStatus, kCode, kMessage, kDetails, kHint, kRetryAfter, kReplayed, kEnvelope };

constexpr std::string_view kTxnInProgress = "txn_in_progress";
constexpr int kMaxSerializationRetries = 5;
constexpr std::chrono::milliseconds kPause{50};  // before another attempt on a connection that stands
// Statements of messages that go alone, one after the other on one connection; each may wait for a lock.
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
          .message = "the database could not take this message",
          .hint = "Retry with the same txn_id; the log of sealcastd says what went wrong."};
}

// A whole batch that met somebody's open transaction: nothing of it was inserted.
bool met_open_transaction(const postgres::Result& rows) {
  return rows.size() > 0 && rows.integer(0, kStatus) == 503 && rows.text(0, kCode) == kTxnInProgress;
}

}  // namespace

Verdict database_unavailable() {
  return {.status = 503,
          .code = "database_unavailable",
          .message = "the database does not answer",
          .details = "The message may have been accepted if it was under way when the database went away.",
          .hint = "Retry with the same txn_id.",
          .retry_after_ms = 1000};
}

Verdict overloaded(std::string_view what) {
  return {.status = 503,
          .code = "overloaded",
          .message = what,
          .hint = "Retry with the same txn_id after a pause.",
          .retry_after_ms = 1000};
}

Admission::Admission(asio::any_io_executor executor, Metrics& metrics, AdmissionSettings settings,
                     std::function<void()> on_commit)
    : executor_(executor), metrics_(metrics), settings_(std::move(settings)), on_commit_(std::move(on_commit)) {
  for (std::size_t i = 0; i < settings_.lanes; ++i) add_lane(fresh_, "admission " + std::to_string(i + 1));
  add_lane(repeats_, "admission of repeats");
  alone_ =
      postgres::Connection::create(executor_, {settings_.dsn, "admission one by one", settings_.timeout, kMaxAlone});
}

Admission::~Admission() { stop(); }

void Admission::add_lane(Queue& queue, std::string name) {
  auto lane = std::make_unique<Lane>();
  lane->connection = postgres::Connection::create(executor_, {settings_.dsn, std::move(name), settings_.timeout});
  lane->connection->on_connect = [this, &queue] { schedule(queue); };
  lane->connection->on_loss = [this, &queue] { lost_lane(queue); };
  queue.lanes.push_back(std::move(lane));
}

void Admission::start() {
  for (auto* queue : {&fresh_, &repeats_}) {
    for (auto& lane : queue->lanes) lane->connection->start();
  }
  alone_->start();
}

void Admission::stop() {
  for (auto* queue : {&fresh_, &repeats_}) {
    for (auto& lane : queue->lanes) {
      lane->connection->on_connect = nullptr;
      lane->connection->on_loss = nullptr;
      lane->connection->stop();
    }
  }
  alone_->stop();
}

bool Admission::connected() const {
  return std::ranges::any_of(fresh_.lanes, [](const auto& lane) { return lane->connection->connected(); });
}

std::string Admission::problem() const {
  if (connected()) return {};
  for (const auto& lane : fresh_.lanes) {
    if (!lane->connection->incompatible_extension().empty()) return lane->connection->incompatible_extension();
  }
  return "no connection for admission";
}

asio::awaitable<Verdict> Admission::admit(Message message) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(Verdict)>(
      [this](auto handler, Message item) { enqueue(std::move(item), Handler(std::move(handler))); },
      asio::use_awaitable, std::move(message));
}

void Admission::enqueue(Message message, Handler handler) {
  Queue& queue = message.seen ? repeats_ : fresh_;
  auto refuse = [&](Verdict verdict) { asio::post(executor_, asio::append(std::move(handler), std::move(verdict))); };
  bool standing = std::ranges::any_of(queue.lanes, [](const auto& lane) { return lane->connection->connected(); });
  if (!standing) return refuse(database_unavailable());
  if (fresh_.waiting.size() + repeats_.waiting.size() >= settings_.max_waiting) {
    return refuse(overloaded("too many messages are waiting for the database"));
  }
  queue.waiting.push_back({std::move(message), std::move(handler), Clock::now() + settings_.timeout});
  schedule(queue);
}

// Once per turn of the event loop, so that all requests that arrived in this turn share a batch.
void Admission::schedule(Queue& queue) {
  if (std::exchange(queue.scheduled, true)) return;
  asio::post(executor_, [this, &queue] {
    queue.scheduled = false;
    dispatch(queue);
  });
}

void Admission::dispatch(Queue& queue) {
  for (auto& lane : queue.lanes) {
    if (queue.waiting.empty()) break;
    if (lane->busy || !lane->connection->connected()) continue;
    Batch batch = next_batch(queue);
    if (batch.empty()) break;
    lane->busy = true;
    under_way_ += batch.size();
    asio::co_spawn(executor_, run_batch(queue, *lane, std::move(batch)), asio::detached);
  }
  metrics_.admission_waiting.Set(static_cast<double>(fresh_.waiting.size() + repeats_.waiting.size()));
}

Admission::Batch Admission::next_batch(Queue& queue) {
  Batch batch;
  batch.reserve(std::min(queue.waiting.size(), settings_.max_batch));
  auto now = Clock::now();
  while (!queue.waiting.empty() && batch.size() < settings_.max_batch) {
    Item item = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    if (item.deadline > now) {
      batch.push_back(std::move(item));
    } else {
      asio::post(executor_,
                 asio::append(std::move(item.handler), overloaded("the message waited too long for the database")));
    }
  }
  return batch;
}

asio::awaitable<void> Admission::run_batch(Queue& queue, Lane& lane, Batch batch) {
  std::optional<postgres::Error> error;
  postgres::Result rows;
  auto began = Clock::now();
  metrics_.admission_batch_size.Observe(static_cast<double>(batch.size()));
  try {
    rows = co_await attempt(*lane.connection, lane.params, batch);
  } catch (const postgres::Error& caught) {
    error = caught;
  }
  lane.busy = false;
  schedule(queue);
  metrics_.admission_seconds.Observe(std::chrono::duration<double>(Clock::now() - began).count());

  if (error && error->transient()) {
    for (Item& item : batch) answer(item, database_unavailable());
    co_return;
  }
  if (error || met_open_transaction(rows)) {
    if (error) {
      log::write(log::Level::error, log::tag::kDatabase, "a batch was refused; its messages go one by one",
                 {{"sqlstate", error->sqlstate()}, {"reason", std::string_view(error->what())}});
    }
    for (Item& item : batch) asio::co_spawn(executor_, run_alone(std::move(item)), asio::detached);
    co_return;
  }
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
  if (committed) on_commit_();
}

asio::awaitable<postgres::Result> Admission::attempt(postgres::Connection& connection, postgres::Params& params,
                                                     std::span<const Item> items) {
  using namespace postgres::oid;
  auto column = [&](Oid array, Oid element, auto member) {
    params.begin_array(array, element, items.size());
    for (const Item& item : items) params.element(item.message.*member);
    params.end_array();
  };
  // Items leave the queue in order of arrival: the first is the most urgent.
  auto deadline = items.front().deadline;
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
    } catch (const std::exception& caught) {  // memory ran out: nobody is to wait for ever
      error = postgres::Error(postgres::Failure::refused, caught.what());
    }
    if (error->serialization() && ++lost_races <= kMaxSerializationRetries) continue;
    if (!error->transient()) throw *error;
    if (error->sqlstate() == "25006") connection.reset("this server is read-only");
    if (connection.connected()) {
      asio::steady_timer pause(executor_, kPause);
      co_await pause.async_wait(asio::use_awaitable);
      if (Clock::now() >= deadline) throw *error;
    } else if (!co_await connection.wait_connected(deadline)) {
      throw *error;
    }
  }
}

asio::awaitable<void> Admission::run_alone(Item item) {
  Verdict verdict;
  try {
    postgres::Params params;
    std::span<const Item> items(&item, 1);
    postgres::Result rows = co_await attempt(*alone_, params, items);
    verdict = rows.size() == 1 ? verdict_of(rows, 0) : internal_error();
  } catch (const postgres::Error& error) {
    verdict = error.transient() ? database_unavailable() : internal_error();
    if (!error.transient()) {
      log::write(log::Level::error, log::tag::kDatabase, "a message was refused by an error",
                 {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
    }
  }
  bool committed = verdict.status == 200 && !verdict.replayed;
  answer(item, std::move(verdict));
  if (committed) on_commit_();
}

// With no lane left, whoever waits is told at once; batches under way try again when a lane stands.
void Admission::lost_lane(Queue& queue) {
  if (std::ranges::any_of(queue.lanes, [](const auto& lane) { return lane->connection->connected(); })) return;
  for (Item& item : std::exchange(queue.waiting, {})) {
    asio::post(executor_, asio::append(std::move(item.handler), database_unavailable()));
  }
}

void Admission::answer(Item& item, Verdict verdict) {
  --under_way_;
  // Called as it is: this is the event loop's thread.
  std::exchange(item.handler, nullptr)(std::move(verdict));
}

}  // namespace sealcast::message
