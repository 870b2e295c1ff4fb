// One node: a connection that is made again whenever it breaks, and the calls that wait on it, in order.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/asio.h"
#include "client/redis/client.h"

namespace sealcast::client::redis {

class Link;  // one TCP or TLS connection, used once

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // `tls` is null for plain TCP.
  Connection(asio::any_io_executor executor, Options options, std::shared_ptr<asio::ssl::context> tls);

  void start();
  void stop();  // fails what waits; the object may be dropped at once

  // With `asking`, one ASKING goes ahead (Redis Cluster). `command` lives until the call is answered.
  asio::awaitable<Result> call(const Command& command, bool asking, Clock::time_point deadline);

  bool connected() const { return up_ && !late_; }
  bool usable() const { return up_ || first_attempt_; }  // whether a call would be taken at all

 private:
  // Never assigned, only constructed: Boost 1.81's move assignment wraps the other handler instead of taking it.
  using Handler = asio::any_completion_handler<void(Result)>;
  struct Call {
    Handler handler;  // empty: nobody waits for this reply any more
    Clock::time_point since;
    Clock::time_point deadline;
  };

  asio::awaitable<void> run();
  asio::awaitable<void> connect(const std::shared_ptr<Link>& link);
  asio::awaitable<void> greet(Link& link);
  asio::awaitable<void> read_replies(Link& link);
  void submit(Handler handler, std::string_view bytes, bool asking, Clock::time_point deadline);
  void take_reply(ReplyPtr reply);
  void complete(Handler handler, Status status, ReplyPtr reply = {});
  void schedule_flush();
  void flush(std::shared_ptr<Link> link);
  void arm(Clock::time_point at);
  void expire_calls();
  void beat();
  void fail_calls();
  void log_down(const std::string& reason);
  void log_up();

  asio::any_io_executor executor_;
  Options options_;
  std::shared_ptr<asio::ssl::context> tls_;
  std::shared_ptr<Link> link_;
  std::deque<Call> calls_;
  asio::steady_timer expiry_;
  Clock::time_point armed_for_ = Clock::time_point::max();
  asio::steady_timer beat_;
  asio::steady_timer pause_;  // between two attempts to connect
  bool stopped_ = false;
  bool up_ = false;
  bool first_attempt_ = true;  // calls made while it lasts wait for it
  bool late_ = false;          // some call passed its deadline since the last reply
  std::string last_reason_;    // of being down, so that it is logged once
};

}  // namespace sealcast::client::redis
