// Opens TCP sockets and waits for them with epoll.
#include "tcp.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sealcast::bench {

namespace {

sockaddr_in address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error("not an IPv4 address: " + host);
  }
  return address;
}

}  // namespace

void fail(const std::string& problem) { throw std::runtime_error(problem + ": " + std::strerror(errno)); }

int connect_tcp(const std::string& host, std::uint16_t port, const std::string& source) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("cannot open a socket");
  int on = 1;
  if (!source.empty()) {
    // With this option the kernel chooses the port at connect() instead of bind(). So the port must be free only for
    // this pair of source and destination.
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    sockaddr_in from = address_of(source, 0);
    if (bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0) fail("cannot bind to " + source);
  }
  sockaddr_in to = address_of(host, port);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) fail("cannot connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

void allow_open_files(std::size_t files) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= files) return;
  rlimit wanted{files, std::max<rlim_t>(limit.rlim_max, files)};
  if (setrlimit(RLIMIT_NOFILE, &wanted) != 0) fail("cannot raise the limit of open files to " + std::to_string(files));
}

Poller::~Poller() { close(epoll_); }

void Poller::control(int operation, int fd, Watched& watched, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watched;
  if (epoll_ctl(epoll_, operation, fd, &event) != 0) fail("epoll_ctl");
}

void Poller::wait(Clock::duration timeout) {
  auto nanoseconds = std::max<std::int64_t>(0, std::chrono::nanoseconds(timeout).count());
  timespec limit{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  int ready = epoll_pwait2(epoll_, events_.data(), static_cast<int>(events_.size()), &limit, nullptr);
  for (int i = 0; i < ready; i++) static_cast<Watched*>(events_[i].data.ptr)->ready(events_[i].events);
}

}  // namespace sealcast::bench
