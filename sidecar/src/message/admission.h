// Admission: messages wait here for the batch that carries them into Postgres (sealcast.admit).
//
// A lane is a connection with at most one batch under way; all messages that wait meanwhile form the next batch, so
// that batches grow with the load and no one waits for a timer. Messages whose txn_id the gate has seen have a lane of
// their own, since only they can meet a key that somebody's open transaction holds. What fails is told apart by what is
// safe: a batch whose outcome is unknown is sent again, since (sender_id, txn_id) makes it idempotent; a batch that met
// an open transaction, or an error of its own, is split and each message sent alone on a connection beside the lanes,
// so that one message stalls or spoils no other. Every message gets exactly one verdict.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/metrics.h"
#include "client/postgres/connection.h"

namespace sealcast::message {

struct Message {
  postgres::Uuid stream_id;
  postgres::Uuid sender_id;
  postgres::Uuid txn_id;
  std::string_view t;  // both belong to the caller, who waits for the verdict
  std::string_view d;  // as sent: UTF-8 without NUL
  bool seen;           // the gate has seen this txn_id
};

// What becomes of a message (docs/errors.md). The texts belong to `storage`, or are literals.
struct Verdict {
  int status = 0;  // of HTTP
  std::string_view code{};
  std::string_view message{};
  std::string_view details{};
  std::string_view hint{};
  std::int64_t retry_after_ms = 0;
  bool replayed = false;
  std::string_view envelope{};  // when status is 200
  std::shared_ptr<const void> storage{};
};

Verdict database_unavailable();
Verdict overloaded(std::string_view what);

struct AdmissionSettings {
  std::string dsn;
  std::chrono::milliseconds timeout;  // of a statement, and of a message from its arrival to its verdict
  std::size_t lanes;
  std::size_t max_batch;
  std::size_t max_waiting;
};

class Admission {
 public:
  using Clock = std::chrono::steady_clock;

  // `metrics` outlives this. `on_commit` is called after each batch that inserted something.
  Admission(asio::any_io_executor executor, Metrics& metrics, AdmissionSettings settings,
            std::function<void()> on_commit);
  ~Admission();

  void start();
  void stop();  // when every verdict is given: see idle()

  // Never throws.
  asio::awaitable<Verdict> admit(Message message);

  bool connected() const;       // at least one lane stands
  std::string problem() const;  // empty when one does, else why not
  bool idle() const { return fresh_.waiting.empty() && repeats_.waiting.empty() && under_way_ == 0; }

 private:
  using Handler = asio::any_completion_handler<void(Verdict)>;
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

  void add_lane(Queue& queue, std::string name);
  void enqueue(Message message, Handler handler);
  void schedule(Queue& queue);
  void dispatch(Queue& queue);
  Batch next_batch(Queue& queue);
  asio::awaitable<void> run_batch(Queue& queue, Lane& lane, Batch batch);
  asio::awaitable<postgres::Result> attempt(postgres::Connection& connection, postgres::Params& params,
                                            std::span<const Item> items);
  asio::awaitable<void> run_alone(Item item);
  void lost_lane(Queue& queue);
  void answer(Item& item, Verdict verdict);

  asio::any_io_executor executor_;
  Metrics& metrics_;
  AdmissionSettings settings_;
  std::function<void()> on_commit_;
  Queue fresh_;
  Queue repeats_;
  std::shared_ptr<postgres::Connection> alone_;  // for messages that go one by one
  std::size_t under_way_ = 0;                    // messages in batches, or alone
};

}  // namespace sealcast::message
