// Admission: forms batches of waiting messages and sends each batch to Postgres with one statement (sealcast.admit).
//
// A lane is one database connection with at most one batch in flight. Messages that arrive while all lanes are busy
// form the next batch. So batches grow with the load, and no message waits for a timer.
//
// Messages whose txn_id the gate has seen use a lane of their own. Such a message may be a repeat whose key (sender_id,
// txn_id) is locked by the open transaction of its original. The separate lane keeps it out of the batches of new
// messages.
//
// The reaction to a failure depends on its kind:
// - A batch whose outcome is unknown, because the connection was lost, is sent again. This is safe: a message
//   is stored only once per (sender_id, txn_id).
// - A batch that met a locked key, or that Postgres refused with a permanent error, is split. Each of its messages is
//   sent alone, on a connection beside the lanes. So one message cannot delay another one or make it fail.
// Each message gets exactly one verdict.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/metrics.h"
#include "client/postgres/params.h"
#include "config/settings.h"

namespace sealcast::message {

struct Message {
  postgres::Uuid stream_id;
  postgres::Uuid sender_id;
  postgres::Uuid txn_id;
  std::string_view t;  // the caller keeps the texts of `t` and `d` until it has the verdict
  std::string_view d;  // the payload as it was sent: UTF-8 without NUL
  bool seen;           // the gate has seen this txn_id
};

// The answer to one message (docs/errors.md). Each text is a literal, or is valid as long as `storage`.
struct Verdict {
  int status = 0;  // HTTP status code
  std::string_view code{};
  std::string_view message{};
  std::string_view details{};
  std::string_view hint{};
  std::int64_t retry_after_ms = 0;
  bool replayed = false;
  std::string_view envelope{};  // only if the status is 200
  std::shared_ptr<const void> storage{};
};

Verdict database_unavailable();
Verdict overloaded(std::string_view message);

class Admission {
 public:
  using Clock = std::chrono::steady_clock;

  struct Parts {
    Metrics& metrics;                 // must stay valid as long as the Admission
    std::function<void()> on_commit;  // called after each batch that inserted a message
  };

  // Both settings must stay valid as long as this object. `postgres.timeout` limits each statement. It also limits how
  // long after its arrival a message may wait for a lane, and may be retried after a transient failure.
  Admission(asio::any_io_executor executor, const config::Settings::Admission& settings,
            const config::Settings::Postgres& postgres, Parts parts);
  ~Admission();

  void start();
  void stop();  // call wait_idle() before: a message that still waits for a lane would get no verdict

  // Waits for the verdict of the message. Never throws.
  asio::awaitable<Verdict> admit(Message message);

  bool connected() const;  // at least one lane for new messages is connected
  // The reason why new messages or repeats cannot be admitted now; empty if both can.
  std::string problem() const;

  bool idle() const;  // every message has its verdict
  // Returns true as soon as idle() is true, and false at `deadline`.
  asio::awaitable<bool> wait_idle(Clock::time_point deadline);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
