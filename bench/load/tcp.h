// Non-blocking TCP connections, and an epoll loop in one thread for all of them.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace sealcast::bench {

using Clock = std::chrono::steady_clock;

// Throws std::runtime_error with `problem` and the text of errno.
[[noreturn]] void fail(const std::string& problem);

// Connects, and then makes the socket non-blocking. `host` and `source` are IPv4 addresses. If `source`, the local
// address, is empty, the kernel chooses it. Throws std::runtime_error after a failure.
int connect_tcp(const std::string& host, std::uint16_t port, const std::string& source = {});

// Raises the limit of open files of this process to at least `files`. Throws std::runtime_error after a failure.
void allow_open_files(std::size_t files);

class Watched {
 public:
  virtual void ready(std::uint32_t events) = 0;

 protected:
  ~Watched() = default;
};

class Poller {
 public:
  Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)), events_(512) {}
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  void add(int fd, Watched& watched, std::uint32_t events) { control(EPOLL_CTL_ADD, fd, watched, events); }
  void change(int fd, Watched& watched, std::uint32_t events) { control(EPOLL_CTL_MOD, fd, watched, events); }
  // Waits at most `timeout` and calls ready() of each ready connection.
  void wait(Clock::duration timeout);

 private:
  void control(int operation, int fd, Watched& watched, std::uint32_t events);

  int epoll_;
  std::vector<epoll_event> events_;
};

}  // namespace sealcast::bench
