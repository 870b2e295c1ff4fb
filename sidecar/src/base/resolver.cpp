// Calls getaddrinfo() in threads. A thread never touches the event loop: it writes to an eventfd, which the event loop
// watches. So a look-up may go on after its caller has stopped waiting.
#include "base/resolver.h"

#include <netdb.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <thread>

namespace sealcast {

namespace {

constexpr int kMaxThreads = 64;
std::atomic<int> threads{0};

boost::system::error_code error_of(int problem) {
  switch (problem) {
    case EAI_AGAIN:
      return asio::error::host_not_found_try_again;
    case EAI_MEMORY:
      return asio::error::no_memory;
    default:
      return asio::error::host_not_found;
  }
}

}  // namespace

// Shared by the thread and the waiting coroutine. The thread writes the result, and then the eventfd.
struct Resolver::LookUp {
  LookUp(std::string host_name, std::uint16_t port_number)
      : host(std::move(host_name)), port(port_number), done(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~LookUp() { ::close(done); }
  LookUp(const LookUp&) = delete;
  LookUp& operator=(const LookUp&) = delete;

  void run() noexcept {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    problem = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
      if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
      asio::ip::tcp::endpoint endpoint;
      std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
      endpoint.resize(entry->ai_addrlen);
      endpoint.port(port);
      endpoints.push_back(endpoint);
    }
    if (found != nullptr) ::freeaddrinfo(found);
    complete.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(done, &one, sizeof one);
  }

  const std::string host;
  const std::uint16_t port;
  const int done;                     // readable when the result is complete
  std::atomic<bool> complete{false};  // the members below are not changed any more
  int problem = 0;
  std::vector<asio::ip::tcp::endpoint> endpoints;
};

Resolver::Resolver(asio::any_io_executor executor) : executor_(std::move(executor)) {}

Resolver::~Resolver() { cancel(); }

void Resolver::cancel() {
  if (waiting_) waiting_->cancel();
}

asio::awaitable<std::vector<asio::ip::tcp::endpoint>> Resolver::resolve(std::string host, std::uint16_t port,
                                                                        Clock::time_point deadline) {
  boost::system::error_code ec;
  const asio::ip::address address = asio::ip::make_address(host, ec);
  std::vector<asio::ip::tcp::endpoint> endpoints;
  if (!ec) {
    endpoints.emplace_back(address, port);
    co_return endpoints;
  }
  if (threads.fetch_add(1) >= kMaxThreads) {
    --threads;
    throw boost::system::system_error(asio::error::host_not_found_try_again);
  }
  const auto look_up = std::make_shared<LookUp>(std::move(host), port);
  std::thread([look_up] {
    look_up->run();
    --threads;
  }).detach();
  // The timer ends at the deadline, by cancel(), or when the descriptor is readable.
  const auto timer = std::make_shared<asio::steady_timer>(executor_, deadline);
  waiting_ = timer;
  asio::posix::stream_descriptor done(executor_, ::dup(look_up->done));
  done.async_wait(done.wait_read, [timer](boost::system::error_code) { timer->cancel(); });
  co_await timer->async_wait(asio::redirect_error(asio::use_awaitable, ec));
  if (!ec) throw boost::system::system_error(asio::error::timed_out);
  if (!look_up->complete.load(std::memory_order_acquire))
    throw boost::system::system_error(asio::error::operation_aborted);
  if (look_up->problem != 0) throw boost::system::system_error(error_of(look_up->problem));
  if (look_up->endpoints.empty()) throw boost::system::system_error(asio::error::host_not_found);
  endpoints = look_up->endpoints;
  co_return endpoints;
}

}  // namespace sealcast
