// Implements events with one timer per waiting coroutine.
#include "base/event.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sealcast {

struct Event::Waiters {
  asio::any_io_executor executor;
  bool set = false;
  std::vector<asio::steady_timer*> timers;

  void wake() {
    for (asio::steady_timer* timer : timers) timer->cancel();
  }
};

namespace {

// Keeps a timer in the list while its coroutine waits. The destructor removes the timer, also when the waiting
// coroutine is destroyed.
template <typename Waiters>
class Waiting {
 public:
  Waiting(Waiters& waiters, asio::steady_timer& timer) : waiters_(waiters), timer_(timer) {
    waiters_.timers.push_back(&timer_);
  }
  ~Waiting() { std::erase(waiters_.timers, &timer_); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  Waiters& waiters_;
  asio::steady_timer& timer_;
};

}  // namespace

Event::Event(asio::any_io_executor executor) : waiters_(std::make_shared<Waiters>()) {
  waiters_->executor = std::move(executor);
}

Event::~Event() { waiters_->wake(); }

void Event::set() {
  waiters_->set = true;
  waiters_->wake();
}

void Event::clear() { waiters_->set = false; }

bool Event::is_set() const { return waiters_->set; }

asio::awaitable<bool> Event::wait_until(Clock::time_point deadline) { return wait(waiters_, deadline); }

asio::awaitable<bool> Event::wait(std::shared_ptr<Waiters> waiters, Clock::time_point deadline) {
  if (waiters->set) co_return true;
  asio::steady_timer timer(waiters->executor, deadline);
  const Waiting<Waiters> waiting(*waiters, timer);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return waiters->set;
}

asio::awaitable<void> sleep_until(Event::Clock::time_point time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace sealcast
