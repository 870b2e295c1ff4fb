// Connects to one node, writes commands, reads replies, and ends the calls of a lost connection.
#include "client/redis/node_connection.h"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <utility>

#include "base/backoff.h"
#include "base/log.h"
#include "client/redis/link.h"
#include "client/redis/topology.h"

namespace sealcast::client::redis {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnectTimeout{2000};
constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{1000};
constexpr milliseconds kPingInterval{1000};    // between two checks of the peer; an idle connection gets a PING
constexpr milliseconds kMaxSilence{3000};      // the connection is closed when its oldest call waits longer for a reply
constexpr milliseconds kStable{1000};          // after a connection of this duration, pauses begin at kFirstPause again
constexpr milliseconds kMinExpiryInterval{5};  // minimum time between two searches for expired calls
constexpr std::string_view kAsking = "*1\r\n$6\r\nASKING\r\n";
constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";

}  // namespace

NodeConnection::NodeConnection(asio::any_io_executor executor, Address address, Options options,
                               std::shared_ptr<TlsContexts> tls, std::shared_ptr<ConnectionLog> log,
                               std::unique_ptr<Sentinels> sentinels)
    : executor_(std::move(executor)),
      address_(std::move(address)),
      options_(std::move(options)),
      tls_(std::move(tls)),
      log_(std::move(log)),
      sentinels_(std::move(sentinels)),
      link_(std::make_shared<Link>(executor_, options_.max_reply)),
      expiry_timer_(executor_),
      stopped_(executor_) {}

NodeConnection::~NodeConnection() = default;

void NodeConnection::start() {
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->run(); }, asio::detached);
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->watch_peer(); }, asio::detached);
}

void NodeConnection::stop() {
  stopped_.set();
  up_ = false;
  first_attempt_ = false;
  link_->close();
  if (sentinels_) sentinels_->stop();
  fail_calls();
  expiry_timer_.cancel();
}

asio::awaitable<void> NodeConnection::run() {
  milliseconds pause = kFirstPause;
  while (!stopped_.is_set()) {
    const auto began = Clock::now();
    const std::shared_ptr<Link> link = link_;
    std::string reason;
    try {
      co_await connect(link);
      up_ = !stopped_.is_set();
      if (up_) log({});
      schedule_flush();
      co_await read_replies(*link);
    } catch (const boost::system::system_error& error) {
      reason = error.code() == asio::error::eof ? "the server closed the connection" : error.code().message();
    } catch (const std::exception& error) {
      reason = error.what();
    }
    if (!link->fault.empty()) reason = link->fault;
    link->close();
    if (stopped_.is_set()) co_return;
    const bool stable = up_ && Clock::now() - began >= kStable;
    pause = stable ? kFirstPause : std::min(2 * pause, kLongestPause);
    if (std::exchange(up_, false)) log_->note_loss();
    first_attempt_ = false;
    link_ = std::make_shared<Link>(executor_, options_.max_reply);
    fail_calls();
    log(reason);
    // The pause is random, so that sidecars that lost the same server do not all reconnect at the same moment.
    co_await stopped_.wait_for(random_between(pause / 2, pause * 3 / 2));
  }
}

asio::awaitable<void> NodeConnection::connect(const std::shared_ptr<Link>& link) {
  if (sentinels_) address_ = co_await sentinels_->master();
  asio::steady_timer limit(executor_, kConnectTimeout);
  limit.async_wait([link](const boost::system::error_code& error) {
    if (error) return;
    link->fault = "no connection within " + std::to_string(kConnectTimeout.count()) + " ms";
    link->close();
  });
  co_await link->connect(address_, tls_.get());
  co_await greet(*link);
}

asio::awaitable<void> NodeConnection::greet(Link& link) {
  std::string greeting;
  int required = 0, optional = 0;
  const std::string password = options_.password.text();
  if (!password.empty()) {
    greeting += options_.user.empty() ? Command({"AUTH", password}).bytes()
                                      : Command({"AUTH", options_.user, password}).bytes();
    ++required;
  }
  if (options_.database != 0) {
    greeting += Command({"SELECT", std::to_string(options_.database)}).bytes();
    ++required;
  }
  const auto ask = [&](const Command& command) {
    greeting += command.bytes();
    ++optional;
  };
  const bool must_be_master = sentinels_ != nullptr || was_replica_;
  if (must_be_master) ask(Command({"ROLE"}));
  if (options_.needs_cluster()) ask(Command({"CLUSTER", "MYID"}));
  ask(Command({"PING"}));
  co_await link.write(asio::buffer(greeting), asio::use_awaitable);
  for (int seen = 1; seen <= required + optional; ++seen) {
    const ReplyPtr reply = co_await link.read_reply();
    if (must_be_master && seen == required + 1 && says_replica(reply.get())) {
      throw std::runtime_error("the server is a replica and accepts no writes (ROLE)");
    }
    if (reply->type != REDIS_REPLY_ERROR) continue;
    const std::string text(text_of(reply.get()));
    if (refuses_password(text)) options_.password.read_again(password);
    // NOPERM is accepted for the last commands: an ACL user may have permission for the scripts only.
    if (seen > required && text.starts_with("NOPERM")) continue;
    if (text.find("cluster support disabled") != text.npos) {
      throw std::runtime_error(
          "the server is not a node of a cluster; name one server, or its sentinels with redis+sentinel://");
    }
    throw std::runtime_error(text);
  }
}

asio::awaitable<void> NodeConnection::read_replies(Link& link) {
  for (;;) {
    while (ReplyPtr reply = link.next_reply()) handle_reply(std::move(reply));
    co_await link.read_more();
  }
}

void NodeConnection::handle_reply(ReplyPtr reply) {
  if (calls_.empty()) throw std::runtime_error("the server sent a reply without a call");
  Call call = std::move(calls_.front());
  calls_.pop_front();
  overdue_ = false;
  const bool error = reply->type == REDIS_REPLY_ERROR;
  const std::string_view text = error ? text_of(reply.get()) : std::string_view();
  // A failover has made this node a replica. The connection is closed: the next attempt to connect resolves the host
  // name or asks the sentinels again, and finds the new master.
  const bool refuses = refuses_as_replica(text), unblocked = unblocked_as_replica(text);
  // A proxy or an operator may end the session of an open connection. A new connection sends the password again.
  const bool unauthenticated = refuses_password(text);
  was_replica_ = was_replica_ || refuses;
  // The handler is called directly, because this code never runs within call().
  if (call.handler) std::move(call.handler)(Result{error ? Status::error : Status::ok, std::move(reply)});
  if (refuses) throw std::runtime_error("the server is a replica and accepts no writes (READONLY)");
  if (unauthenticated) throw std::runtime_error("the server asks for the password again (NOAUTH)");
  if (unblocked) throw std::runtime_error("the server has become a replica (UNBLOCKED)");
}

asio::awaitable<Result> NodeConnection::call(const Command& command, bool asking, Clock::time_point deadline) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Result)>(
      [self = shared_from_this(), bytes = command.bytes(), asking, deadline](auto handler) {
        self->submit(std::move(handler), bytes, asking, deadline);
      },
      asio::use_awaitable);
}

void NodeConnection::submit(Handler handler, std::string_view bytes, bool asking, Clock::time_point deadline) {
  const auto now = Clock::now();
  if (!usable()) return post_result(std::move(handler), Status::disconnected);
  if (calls_.size() >= options_.max_waiting) return post_result(std::move(handler), Status::overloaded);
  if (deadline <= now) return post_result(std::move(handler), Status::timed_out);
  if (asking) {
    link_->pending += kAsking;
    calls_.push_back({Handler(), now, deadline});
  }
  link_->pending += bytes;
  calls_.push_back({std::move(handler), now, deadline});
  schedule_expiry(deadline);
  schedule_flush();
}

// Posts the result to the event loop, because a handler must not run within the function that ends its call.
void NodeConnection::post_result(Handler handler, Status status, ReplyPtr reply) {
  asio::post(executor_, [handler = std::move(handler), result = Result{status, std::move(reply)}]() mutable {
    std::move(handler)(std::move(result));
  });
}

// Posts flush() to the event loop, so that all calls that are made before it runs go into one write.
void NodeConnection::schedule_flush() {
  if (!up_ || link_->flushing || link_->pending.empty()) return;
  link_->flushing = true;
  asio::post(executor_, [self = shared_from_this(), link = link_] { self->flush(link); });
}

void NodeConnection::flush(std::shared_ptr<Link> link) {
  if (link != link_ || !up_) return;
  link->writing.swap(link->pending);
  link->pending.clear();
  const auto bytes = asio::buffer(std::as_const(link->writing));
  link->write(bytes, [self = shared_from_this(), link](const boost::system::error_code& error, std::size_t) {
    link->flushing = false;
    if (error) {
      link->close();  // makes read_replies() fail, so run() reconnects
    } else if (link == self->link_) {
      self->schedule_flush();
    }
  });
}

void NodeConnection::schedule_expiry(Clock::time_point at) {
  if (next_expiry_ <= at) return;
  next_expiry_ = at;
  expiry_timer_.expires_at(at);
  expiry_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error) return;
    self->next_expiry_ = Clock::time_point::max();
    self->expire_calls();
  });
}

void NodeConnection::expire_calls() {
  const auto now = Clock::now();
  auto next = Clock::time_point::max();
  for (Call& call : calls_) {
    if (!call.handler) continue;
    if (call.deadline <= now) {
      overdue_ = true;
      post_result(std::move(call.handler), Status::timed_out);  // the move leaves call.handler empty
    } else {
      next = std::min(next, call.deadline);
    }
  }
  if (next != Clock::time_point::max()) schedule_expiry(std::max(next, now + kMinExpiryInterval));
}

asio::awaitable<void> NodeConnection::watch_peer() {
  // The co_await is not in the condition of the loop, because GCC 12 miscompiles it there.
  while (!stopped_.is_set()) {
    co_await stopped_.wait_for(kPingInterval);
    if (stopped_.is_set()) co_return;
    check_peer();
    if (sentinels_ && up_) co_await check_master();
  }
}

// A demoted master may live on for seconds before its sentinels make it a replica. What it accepts is lost.
asio::awaitable<void> NodeConnection::check_master() {
  const std::shared_ptr<Link> link = link_;
  const bool demoted = co_await sentinels_->names_another(address_);
  if (!demoted || link != link_) co_return;
  link->fault = "the sentinels name another master";
  link->close();
}

// Detects an unreachable peer, also on an idle connection. Without this check, TCP would report it only after minutes.
void NodeConnection::check_peer() {
  if (!up_) return;
  const auto now = Clock::now();
  if (calls_.empty()) {
    link_->pending += kPing;
    calls_.push_back({Handler(), now, now + options_.timeout});
    schedule_flush();
  } else if (now - calls_.front().since > kMaxSilence) {
    link_->fault = "no reply for " + std::to_string(kMaxSilence.count()) + " ms";
    link_->close();
  } else if (now > calls_.front().deadline) {
    overdue_ = true;
  }
}

void NodeConnection::fail_calls() {
  std::deque<Call> failed;
  failed.swap(calls_);
  overdue_ = false;
  for (Call& call : failed) {
    if (call.handler) post_result(std::move(call.handler), Status::disconnected);
  }
}

void NodeConnection::log(std::string_view reason) {
  log_->report(sentinels_ ? options_.sentinel_master : address_.text(), address_, reason);
}

}  // namespace sealcast::client::redis
