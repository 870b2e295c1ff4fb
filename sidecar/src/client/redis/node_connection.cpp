// Connecting, writing, reading and giving up: the life of one node's connection.
#include "client/redis/connection.h"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <random>

#include "base/log.h"
#include "client/redis/link.h"

namespace sealcast::client::redis {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnectTimeout{2000};
constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{1000};
constexpr milliseconds kBeat{1000};      // an idle connection is asked for a PING this often
constexpr milliseconds kSilence{3000};   // without a reply for this long, the connection is given up
constexpr milliseconds kSteady{1000};    // a connection that lasted this long was a good one
constexpr milliseconds kExpiryGrain{5};  // expired calls are looked for no more often than this
constexpr std::string_view kAsking = "*1\r\n$6\r\nASKING\r\n";
constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";

// Half to one and a half times the pause, so that many sidecars do not come back at one moment.
milliseconds jittered(milliseconds pause) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return milliseconds(
      std::uniform_int_distribution<milliseconds::rep>(pause.count() / 2, pause.count() * 3 / 2)(random));
}

}  // namespace

Connection::Connection(asio::any_io_executor executor, Options options, std::shared_ptr<asio::ssl::context> tls)
    : executor_(std::move(executor)),
      options_(std::move(options)),
      tls_(std::move(tls)),
      link_(std::make_shared<Link>(executor_, tls_.get(), options_.max_reply)),
      expiry_(executor_),
      beat_(executor_),
      pause_(executor_) {}

void Connection::start() {
  asio::co_spawn(
      executor_, [self = shared_from_this()] { return self->run(); }, asio::detached);
  beat();
}

void Connection::stop() {
  stopped_ = true;
  up_ = false;
  first_attempt_ = false;
  link_->close();
  fail_calls();
  expiry_.cancel();
  beat_.cancel();
  pause_.cancel();
}

asio::awaitable<void> Connection::run() {
  milliseconds pause = kFirstPause;
  while (!stopped_) {
    const auto began = Clock::now();
    const std::shared_ptr<Link> link = link_;
    std::string reason;
    try {
      co_await connect(link);
      up_ = !stopped_;
      if (up_) log_up();
      schedule_flush();
      co_await read_replies(*link);
    } catch (const boost::system::system_error& error) {
      reason = error.code() == asio::error::eof ? "it closed the connection" : error.code().message();
    } catch (const std::exception& error) {
      reason = error.what();
    }
    if (!link->fault.empty()) reason = link->fault;
    link->close();
    if (stopped_) co_return;
    pause = Clock::now() - began >= kSteady && up_ ? kFirstPause : std::min(2 * pause, kLongestPause);
    up_ = false;
    first_attempt_ = false;
    link_ = std::make_shared<Link>(executor_, tls_.get(), options_.max_reply);
    fail_calls();
    log_down(reason);
    pause_.expires_after(jittered(pause));
    boost::system::error_code ignored;
    co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<void> Connection::connect(const std::shared_ptr<Link>& link) {
  asio::steady_timer limit(executor_, kConnectTimeout);
  limit.async_wait([link](const boost::system::error_code& error) {
    if (error) return;
    link->fault = "no connection within " + std::to_string(kConnectTimeout.count()) + " ms";
    link->close();
  });
  co_await link->connect(options_.address);
  co_await greet(*link);
}

asio::awaitable<void> Connection::greet(Link& link) {
  std::string greeting;
  if (!options_.password.empty()) {
    greeting += options_.user.empty() ? Command({"AUTH", options_.password}).bytes()
                                      : Command({"AUTH", options_.user, options_.password}).bytes();
  }
  if (options_.database != 0) greeting += Command({"SELECT", std::to_string(options_.database)}).bytes();
  greeting += kPing;
  const auto expected = 1 + (options_.password.empty() ? 0 : 1) + (options_.database == 0 ? 0 : 1);
  co_await link.write(asio::buffer(greeting), asio::use_awaitable);
  for (int seen = 0; seen < expected;) {
    const ReplyPtr reply = link.next_reply();
    if (!reply) {
      co_await link.read_more();
      continue;
    }
    ++seen;
    if (reply->type != REDIS_REPLY_ERROR) continue;
    const std::string text(reply->str, reply->len);
    // A user that may run scripts need not be allowed to PING.
    if (seen < expected || !text.starts_with("NOPERM")) throw std::runtime_error(text);
  }
}

asio::awaitable<void> Connection::read_replies(Link& link) {
  for (;;) {
    while (ReplyPtr reply = link.next_reply()) take_reply(std::move(reply));
    co_await link.read_more();
  }
}

void Connection::take_reply(ReplyPtr reply) {
  if (calls_.empty()) throw std::runtime_error("it sent a reply that nothing asked for");
  Call call = std::move(calls_.front());
  calls_.pop_front();
  late_ = false;
  const bool error = reply->type == REDIS_REPLY_ERROR;
  // The master has moved: whoever stands behind the name now is found by connecting again.
  const bool replica = error && std::string_view(reply->str, reply->len).starts_with("READONLY");
  // Called as it is: no caller's frame is below.
  if (call.handler) std::move(call.handler)(Result{error ? Status::error : Status::ok, std::move(reply)});
  if (replica) throw std::runtime_error("it is a replica that takes no writes (READONLY)");
}

asio::awaitable<Result> Connection::call(const Command& command, bool asking, Clock::time_point deadline) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Result)>(
      [self = shared_from_this(), bytes = command.bytes(), asking, deadline](auto handler) {
        self->submit(std::move(handler), bytes, asking, deadline);
      },
      asio::use_awaitable);
}

void Connection::submit(Handler handler, std::string_view bytes, bool asking, Clock::time_point deadline) {
  const auto now = Clock::now();
  if (!usable()) return complete(std::move(handler), Status::disconnected);
  if (calls_.size() >= options_.max_waiting) return complete(std::move(handler), Status::overloaded);
  if (deadline <= now) return complete(std::move(handler), Status::timed_out);
  if (asking) {
    link_->pending += kAsking;
    calls_.push_back({Handler(), now, deadline});
  }
  link_->pending += bytes;
  calls_.push_back({std::move(handler), now, deadline});
  arm(deadline);
  schedule_flush();
}

// From the loop, never from inside the call that completes it.
void Connection::complete(Handler handler, Status status, ReplyPtr reply) {
  asio::post(executor_, [handler = std::move(handler), result = Result{status, std::move(reply)}]() mutable {
    std::move(handler)(std::move(result));
  });
}

// Posted, so that whatever else is ready to ask now goes into the same write.
void Connection::schedule_flush() {
  if (!up_ || link_->flushing || link_->pending.empty()) return;
  link_->flushing = true;
  asio::post(executor_, [self = shared_from_this(), link = link_] { self->flush(link); });
}

void Connection::flush(std::shared_ptr<Link> link) {
  if (link != link_ || !up_) return;
  link->writing.swap(link->pending);
  link->pending.clear();
  const auto bytes = asio::buffer(std::as_const(link->writing));
  link->write(bytes, [self = shared_from_this(), link](const boost::system::error_code& error, std::size_t) {
    link->flushing = false;
    if (error) {
      link->close();  // the reader notices and tells why
    } else if (link == self->link_) {
      self->schedule_flush();
    }
  });
}

void Connection::arm(Clock::time_point at) {
  if (armed_for_ <= at) return;
  armed_for_ = at;
  expiry_.expires_at(at);
  expiry_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error) return;
    self->armed_for_ = Clock::time_point::max();
    self->expire_calls();
  });
}

void Connection::expire_calls() {
  const auto now = Clock::now();
  auto next = Clock::time_point::max();
  for (Call& call : calls_) {
    if (!call.handler) continue;
    if (call.deadline <= now) {
      late_ = true;
      complete(std::move(call.handler), Status::timed_out);  // which leaves it empty
    } else {
      next = std::min(next, call.deadline);
    }
  }
  if (next != Clock::time_point::max()) arm(std::max(next, now + kExpiryGrain));
}

// Notices a peer that is gone without a word, also when nobody asks anything.
void Connection::beat() {
  if (stopped_) return;
  const auto now = Clock::now();
  if (up_ && calls_.empty()) {
    link_->pending += kPing;
    calls_.push_back({Handler(), now, now + options_.timeout});
    schedule_flush();
  } else if (up_ && now - calls_.front().since > kSilence) {
    link_->fault = "no reply for " + std::to_string(kSilence.count()) + " ms";
    link_->close();
  } else if (up_ && now > calls_.front().deadline) {
    late_ = true;
  }
  beat_.expires_after(kBeat);
  beat_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->beat();
  });
}

void Connection::fail_calls() {
  std::deque<Call> failed;
  failed.swap(calls_);
  late_ = false;
  for (Call& call : failed) {
    if (call.handler) complete(std::move(call.handler), Status::disconnected);
  }
}

void Connection::log_down(const std::string& reason) {
  if (reason == last_reason_) return;  // said once, not with every attempt
  last_reason_ = reason;
  log::write(log::Level::error, options_.log_tag, "Redis is away; connecting again until it is back",
             {{"host", options_.address.host}, {"port", std::int64_t{options_.address.port}}, {"reason", reason}});
}

void Connection::log_up() {
  last_reason_.clear();
  log::write(log::Level::info, options_.log_tag, "connected to Redis",
             {{"host", options_.address.host}, {"port", std::int64_t{options_.address.port}}});
}

}  // namespace sealcast::client::redis
