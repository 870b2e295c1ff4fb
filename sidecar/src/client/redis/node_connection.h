// The connection to one Redis node: it reconnects after each loss, and matches replies to its calls in order.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/event.h"
#include "client/redis/client.h"
#include "client/redis/connection_log.h"
#include "client/redis/sentinels.h"

namespace sealcast::client::redis {

class Link;  // one connection to a server; each reconnect makes a new one

class NodeConnection : public std::enable_shared_from_this<NodeConnection> {
 public:
  // `tls` is null for plain TCP. With `sentinels`, each attempt to connect asks them for the address.
  NodeConnection(asio::any_io_executor executor, Address address, Options options, std::shared_ptr<TlsContexts> tls,
                 std::shared_ptr<ConnectionLog> log, std::unique_ptr<Sentinels> sentinels = nullptr);
  ~NodeConnection();

  void start();
  void stop();  // ends all waiting calls as disconnected; the caller may drop its pointer to the object at once

  // With `asking`, sends the command ASKING before it (Redis Cluster). `command` must stay valid until the call returns
  // its result.
  asio::awaitable<Result> call(const Command& command, bool asking, Clock::time_point deadline);

  bool connected() const { return up_ && !overdue_; }
  bool usable() const { return up_ || first_attempt_; }  // when false, each call fails at once
  const Address& address() const { return address_; }

 private:
  // Code must construct handlers and never assign one: the move assignment of Boost 1.81 wraps the other handler
  // instead of taking it over.
  using Handler = asio::any_completion_handler<void(Result)>;
  struct Call {
    Handler handler;  // empty when no caller waits for this reply: it timed out, or the command is our ASKING or PING
    Clock::time_point since;
    Clock::time_point deadline;
  };

  // Connecting.
  asio::awaitable<void> run();
  asio::awaitable<void> connect(const std::shared_ptr<Link>& link);
  asio::awaitable<void> greet(Link& link);
  // Writing and reading.
  void submit(Handler handler, std::string_view bytes, bool asking, Clock::time_point deadline);
  void schedule_flush();
  void flush(std::shared_ptr<Link> link);
  asio::awaitable<void> read_replies(Link& link);
  void handle_reply(ReplyPtr reply);
  // Ending calls.
  void post_result(Handler handler, Status status, ReplyPtr reply = {});
  void schedule_expiry(Clock::time_point at);
  void expire_calls();
  void fail_calls();
  // Watching the peer.
  asio::awaitable<void> watch_peer();
  void check_peer();
  asio::awaitable<void> check_master();
  void log(std::string_view reason);

  asio::any_io_executor executor_;
  Address address_;
  const Options options_;
  std::shared_ptr<TlsContexts> tls_;
  const std::shared_ptr<ConnectionLog> log_;
  const std::unique_ptr<Sentinels> sentinels_;
  std::shared_ptr<Link> link_;
  std::deque<Call> calls_;
  asio::steady_timer expiry_timer_;
  Clock::time_point next_expiry_ = Clock::time_point::max();
  Event stopped_;
  bool up_ = false;
  bool first_attempt_ = true;  // the first attempt to connect has not ended; calls wait for it
  bool overdue_ = false;       // a call has passed its deadline since the last reply
  bool was_replica_ = false;   // the server has refused a write as a replica; it must be a master to be connected again
};

}  // namespace sealcast::client::redis
