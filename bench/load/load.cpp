// Sends messages to sealcastd as fast as it answers, or at a fixed rate, and measures each answer: one thread, epoll,
// raw sockets. Prints one JSON object.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "histogram.h"
#include "messages.h"

namespace sealcast::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct LoadOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::size_t connections = 64;
  double seconds = 10;
  double warmup = 2;
  double rate = 0;  // requests a second; 0: each connection sends its next request when it has its answer
};

struct Counts {
  std::map<int, std::uint64_t> statuses;
  std::uint64_t forged = 0;      // 200, but not the envelope of that message
  std::uint64_t lost = 0;        // the connection ended before the answer
  std::uint64_t unanswered = 0;  // none until the end
  Histogram latency;             // nanoseconds
};

class Load {
 public:
  Load(LoadOptions options, Messages& messages) : options_(std::move(options)), messages_(messages) {
    connections_.resize(options_.connections);
  }
  ~Load() {
    for (Connection& connection : connections_) close(connection.fd);
    close(epoll_);
  }

  const Counts& run();

 private:
  struct Request {
    MessageId id;
    Clock::time_point due;  // when it was to be sent: a late sender must not flatter the server
  };
  struct Connection {
    int fd = -1;
    std::string out;
    std::size_t sent = 0;
    std::string in;
    std::size_t parsed = 0;
    bool writing = false;  // waits for room in the socket
    std::deque<Request> waiting;
  };

  void open(Connection& connection);
  void reopen(Connection& connection);
  void request(Connection& connection, Clock::time_point due);
  void flush(Connection& connection);
  void receive(Connection& connection);
  bool take_answer(Connection& connection, Clock::time_point now);
  void watch(Connection& connection, int operation);
  bool closed_loop() const { return options_.rate == 0; }
  bool measured(Clock::time_point due, Clock::time_point now) const {
    return closed_loop() ? now >= begin_ && now < end_ : due >= begin_ && due < end_;
  }

  LoadOptions options_;
  Messages& messages_;
  Counts counts_;
  std::vector<Connection> connections_;
  int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  Clock::time_point begin_, end_;
  bool sending_ = true;
};

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

void Load::watch(Connection& connection, int operation) {
  epoll_event event{};
  event.events = EPOLLIN | (connection.writing ? EPOLLOUT : 0u);
  event.data.ptr = &connection;
  if (epoll_ctl(epoll_, operation, connection.fd, &event) != 0) fail("epoll_ctl");
}

void Load::open(Connection& connection) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options_.port);
  if (inet_pton(AF_INET, options_.host.c_str(), &address.sin_addr) != 1) {
    throw std::runtime_error("--host is an IPv4 address, not " + options_.host);
  }
  connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("cannot connect");
  int on = 1;
  setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(connection.fd, F_SETFL, O_NONBLOCK);
  watch(connection, EPOLL_CTL_ADD);
}

void Load::reopen(Connection& connection) {
  close(connection.fd);
  for (const Request& lost : connection.waiting) counts_.lost += measured(lost.due, Clock::now());
  connection = {};
  open(connection);
  if (closed_loop() && sending_) request(connection, Clock::now());
}

void Load::request(Connection& connection, Clock::time_point due) {
  MessageId id = messages_.next();
  messages_.append_request(id, connection.out);
  connection.waiting.push_back({id, due});
  if (!connection.writing) flush(connection);
}

void Load::flush(Connection& connection) {
  std::string_view rest = std::string_view(connection.out).substr(connection.sent);
  ssize_t written = send(connection.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
  if (written > 0) connection.sent += static_cast<std::size_t>(written);
  bool done = connection.sent == connection.out.size();
  if (done) {
    connection.out.clear();
    connection.sent = 0;
  }
  // A broken connection shows itself in receive().
  if (connection.writing == done) {
    connection.writing = !done;
    watch(connection, EPOLL_CTL_MOD);
  }
}

void Load::receive(Connection& connection) {
  char buffer[65536];
  ssize_t size = recv(connection.fd, buffer, sizeof buffer, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return reopen(connection);
  connection.in.append(buffer, static_cast<std::size_t>(size));
  Clock::time_point now = Clock::now();
  while (take_answer(connection, now)) {
    if (closed_loop() && sending_) request(connection, now);
  }
  connection.in.erase(0, std::exchange(connection.parsed, 0));
}

// Takes the answer to the oldest request off the input; false when it is not all there.
bool Load::take_answer(Connection& connection, Clock::time_point now) {
  std::string_view in = std::string_view(connection.in).substr(connection.parsed);
  std::size_t head = in.find("\r\n\r\n");
  if (head == in.npos) return false;
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  std::size_t length_at = in.substr(0, head).find(kLength);
  if (connection.waiting.empty() || length_at == in.npos)
    throw std::runtime_error("not an answer: " + std::string(in.substr(0, head)));
  int status = 0;
  std::size_t length = 0;
  std::from_chars(in.data() + 9, in.data() + 12, status);
  std::from_chars(in.data() + length_at + kLength.size(), in.data() + head, length);
  if (in.size() < head + 4 + length) return false;

  Request request = connection.waiting.front();
  connection.waiting.pop_front();
  connection.parsed += head + 4 + length;
  if (measured(request.due, now)) {
    counts_.statuses[status]++;
    counts_.latency.add(static_cast<std::uint64_t>((now - request.due).count()));
    if (status == 200 && messages_.verifies() && !messages_.verify(request.id, in.substr(head + 4, length)))
      counts_.forged++;
  }
  return true;
}

const Counts& Load::run() {
  for (Connection& connection : connections_) open(connection);
  auto seconds = [](double value) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
  };
  Clock::time_point due = Clock::now();
  begin_ = due + seconds(options_.warmup);
  end_ = begin_ + seconds(options_.seconds);
  Clock::time_point give_up = end_ + std::chrono::seconds(10);
  Clock::duration interval = closed_loop() ? end_ - due : seconds(1 / options_.rate);
  if (closed_loop()) {
    for (Connection& connection : connections_) request(connection, due);
  }

  std::vector<epoll_event> events(options_.connections);
  std::size_t turn = 0;
  for (;;) {
    Clock::time_point now = Clock::now();
    sending_ = now < end_;
    for (; !closed_loop() && due <= now && due < end_; due += interval) {
      request(connections_[turn++ % connections_.size()], due);
    }
    if (!sending_) {
      std::size_t waiting = 0;
      for (Connection& connection : connections_) waiting += connection.waiting.size();
      if (waiting == 0) break;
      if (now >= give_up) {
        counts_.unanswered = waiting;
        break;
      }
    }
    Clock::duration pause = std::min<Clock::duration>(std::chrono::milliseconds(50),
                                                      sending_ ? (closed_loop() ? end_ : due) - now : give_up - now);
    timespec timeout{0, std::max<std::int64_t>(0, pause.count())};
    int ready = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    for (int i = 0; i < ready; i++) {
      auto& connection = *static_cast<Connection*>(events[i].data.ptr);
      if (events[i].events & EPOLLOUT) flush(connection);
      if (events[i].events & ~EPOLLOUT) receive(connection);
    }
  }
  return counts_;
}

void print(const LoadOptions& options, const Counts& counts, bool verified) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto cpu = [](timeval time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  auto ms = [&](double fraction) { return static_cast<double>(counts.latency.percentile(fraction)) / 1e6; };
  std::string statuses;
  for (auto [status, count] : counts.statuses) {
    statuses += (statuses.empty() ? "\"" : ",\"") + std::to_string(status) + "\":" + std::to_string(count);
  }
  auto answered = static_cast<double>(counts.latency.total());
  std::printf(
      "{\"connections\":%zu,\"rate\":%.0f,\"seconds\":%.1f,\"answers_per_s\":%.0f,\"p50_ms\":%.3f,\"p90_ms\":%.3f,"
      "\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f,\"statuses\":{%s},\"lost\":%lu,\"unanswered\":%lu,"
      "\"verified\":%s,\"forged\":%lu,\"cpu_s\":%.2f}\n",
      options.connections, options.rate, options.seconds, answered / options.seconds, ms(0.5), ms(0.9), ms(0.99),
      ms(0.999), static_cast<double>(counts.latency.max()) / 1e6, statuses.c_str(), counts.lost, counts.unanswered,
      verified ? "true" : "false", counts.forged, cpu(usage.ru_utime) + cpu(usage.ru_stime));
}

}  // namespace
}  // namespace sealcast::bench

int main(int argc, char** argv) {
  using namespace sealcast::bench;
  LoadOptions load;
  MessageOptions messages{.host = "sealcast",
                          .stream_id = {},
                          .type = "chat",
                          .secret_file = {},
                          .keyring = {},
                          .senders = 1000,
                          .bytes = 200};
  CLI::App app{"Measures POST /rpc/send_message; prints one JSON object"};
  app.add_option("--host", load.host, "IPv4 address of sealcastd");
  app.add_option("--port", load.port)->required();
  app.add_option("--connections", load.connections)->check(CLI::Range(1, 100'000));
  app.add_option("--seconds", load.seconds, "measured, after the warm-up");
  app.add_option("--warmup", load.warmup, "seconds before");
  app.add_option("--rate", load.rate, "requests a second; 0: as fast as the answers come (closed loop)");
  app.add_option("--stream", messages.stream_id, "a stream that exists")->required();
  app.add_option("--type", messages.type, "message type");
  app.add_option("--senders", messages.senders, "users, each with a session")->check(CLI::Range(1, 1'000'000));
  app.add_option("--bytes", messages.bytes, "size of d");
  app.add_option("--session-secret", messages.secret_file, "file with the HS256 secret")->required();
  app.add_option("--keyring", messages.keyring, "verify every envelope with the keys of this directory");
  CLI11_PARSE(app, argc, argv);
  try {
    Messages prepared(messages);
    Load run(load, prepared);
    const Counts& counts = run.run();
    print(load, counts, prepared.verifies());
    return counts.forged + counts.lost + counts.unanswered == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sealcast_load: %s\n", error.what());
    return 2;
  }
}
