// Sends each request over a keep-alive connection when the request is due. If answers are late, a connection sends its
// next request before the last answer has arrived (pipelining).
#include "load.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace sealcast::bench {

Load::Load(LoadOptions options, Poller& poller, Messages& messages)
    : options_(std::move(options)), poller_(poller), messages_(messages), connections_(options_.connections) {}

Load::~Load() {
  for (Connection& connection : connections_) close(connection.fd);
}

void Load::open(Connection& connection) {
  connection.load = this;
  connection.fd = connect_tcp(options_.host, options_.port);
  poller_.add(connection.fd, connection, EPOLLIN);
}

void Load::reopen(Connection& connection) {
  close(connection.fd);
  for (MessageId lost : connection.waiting) answers_.lost += measured(due_[lost.number], Clock::now());
  connection = {};
  open(connection);
  if (closed_loop() && sending_) request(connection, Clock::now());
}

void Load::request(Connection& connection, Clock::time_point due) {
  MessageId id = messages_.next();
  messages_.append_request(id, connection.out);
  connection.waiting.push_back(id);
  due_.push_back(due);
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
  // Ignores errors of send(), because receive() notices a broken connection.
  if (connection.writing == done) {
    connection.writing = !done;
    poller_.change(connection.fd, connection, EPOLLIN | (connection.writing ? EPOLLOUT : 0u));
  }
}

void Load::Connection::ready(std::uint32_t events) {
  if (events & EPOLLOUT) load->flush(*this);
  if (events & ~EPOLLOUT) load->receive(*this);
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

// Removes the answer to the oldest request from the input. Returns false if the answer is incomplete.
bool Load::take_answer(Connection& connection, Clock::time_point now) {
  std::string_view in = std::string_view(connection.in).substr(connection.parsed);
  std::size_t head = in.find("\r\n\r\n");
  if (head == in.npos) return false;
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  std::size_t length_at = in.substr(0, head).find(kLength);
  if (connection.waiting.empty() || length_at == in.npos)
    throw std::runtime_error("invalid HTTP answer: " + std::string(in.substr(0, head)));
  int status = 0;
  std::size_t length = 0;
  std::from_chars(in.data() + 9, in.data() + 12, status);
  std::from_chars(in.data() + length_at + kLength.size(), in.data() + head, length);
  if (in.size() < head + 4 + length) return false;

  MessageId id = connection.waiting.front();
  connection.waiting.pop_front();
  connection.parsed += head + 4 + length;
  answers_.total++;
  answers_.accepted += status == 200;
  if (status == 200 && messages_.verifies() && !messages_.verify(id, in.substr(head + 4, length))) answers_.forged++;
  if (measured(due_[id.number], now)) {
    answers_.statuses[status]++;
    answers_.latency.add(static_cast<std::uint64_t>((now - due_[id.number]).count()));
  }
  return true;
}

std::size_t Load::waiting() const {
  std::size_t waiting = 0;
  for (const Connection& connection : connections_) waiting += connection.waiting.size();
  return waiting;
}

std::optional<Clock::time_point> Load::due_of(std::uint64_t number) const {
  if (number >= due_.size() || due_[number] < begin_ || due_[number] >= end_) return std::nullopt;
  return due_[number];
}

const Answers& Load::run(const Readers& readers) {
  for (Connection& connection : connections_) open(connection);
  auto seconds = [](double value) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
  };
  Clock::time_point due = Clock::now();
  begin_ = due + seconds(options_.warmup);
  end_ = begin_ + seconds(options_.seconds);
  Clock::time_point deadline = end_ + std::chrono::seconds(10);
  Clock::duration interval = closed_loop() ? end_ - due : seconds(1 / options_.rate);
  if (closed_loop()) {
    for (Connection& connection : connections_) request(connection, due);
  }

  std::size_t requests = 0;
  for (;;) {
    Clock::time_point now = Clock::now();
    sending_ = now < end_;
    for (; !closed_loop() && due <= now && due < end_; due += interval) {
      request(connections_[requests++ % connections_.size()], due);
    }
    if (!sending_ && ((waiting() == 0 && readers.missing(answers_.accepted) == 0) || now >= deadline)) break;
    poller_.wait(std::min<Clock::duration>(std::chrono::milliseconds(50),
                                           sending_ ? (closed_loop() ? end_ : due) - now : deadline - now));
  }
  answers_.unanswered = waiting();
  return answers_;
}

}  // namespace sealcast::bench
