// Admission: forms batches of waiting messages and sends each batch to Postgres with one statement (sealcast.admit).
//
// A lane is one connection with at most one batch in flight. The messages that arrive meanwhile form the next batch. So
// batches grow with the load, and no message waits for a timer.
//
// Messages whose txn_id the gate has seen have their own lane: only they can meet a key that another open transaction
// holds.
//
// The safe reaction depends on the failure. A batch of unknown outcome is sent again: (sender_id, txn_id) makes it
// idempotent. A batch that met an open transaction, or an error, is split: each of its messages is sent alone on a
// connection beside the lanes. So one message cannot delay or spoil another one. Each message gets exactly one verdict.
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
  std::string_view t;  // `t` and `d` belong to the caller, who waits for the verdict
  std::string_view d;  // as it was sent: UTF-8 without NUL
  bool seen;           // the gate has seen this txn_id
};

// The answer to one message (docs/errors.md). The texts belong to `storage`, or are literals.
struct Verdict {
  int status = 0;  // of HTTP
  std::string_view code{};
  std::string_view message{};
  std::string_view details{};
  std::string_view hint{};
  std::int64_t retry_after_ms = 0;
  bool replayed = false;
  std::string_view envelope{};  // if the status is 200
  std::shared_ptr<const void> storage{};
};

Verdict database_unavailable();
Verdict overloaded(std::string_view message);

class Admission {
 public:
  using Clock = std::chrono::steady_clock;

  struct Parts {
    Metrics& metrics;                 // outlives the admission
    std::function<void()> on_commit;  // called after each batch that inserted a message
  };

  // Both settings outlive this. `postgres.timeout` is for one statement, and for one message from its arrival to its
  // verdict.
  Admission(asio::any_io_executor executor, const config::Settings::Admission& settings,
            const config::Settings::Postgres& postgres, Parts parts);
  ~Admission();

  void start();
  void stop();  // once all verdicts are given: see wait_idle()

  // Never throws.
  asio::awaitable<Verdict> admit(Message message);

  bool connected() const;       // at least one lane is connected
  std::string problem() const;  // why no lane is connected; empty if one is

  bool idle() const;  // no message waits for its verdict
  // True once the admission is idle, false at `deadline`.
  asio::awaitable<bool> wait_idle(Clock::time_point deadline);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
