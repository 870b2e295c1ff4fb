// Parses chunked event streams at low cost: thousands of readers share one thread with the senders.
#include "readers.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace sealcast::bench {
namespace {

// Linux has about 28,000 ports for outgoing connections per source address. More readers need more source addresses.
constexpr std::size_t kReadersPerAddress = 20'000;
// Maximum number of readers that subscribe at the same time, so that the server's queue of new connections does not
// overflow.
constexpr std::size_t kAtOnce = 256;

std::uint64_t number_in(std::string_view text, int base) {
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw std::runtime_error("not a number in an event stream: " + std::string(text));
  }
  return number;
}

// Removes a line that ends with `end` from the front of `text`. Returns false if the line is incomplete.
bool take_line(std::string_view& text, std::string_view end, std::string_view& line) {
  std::size_t at = text.find(end);
  if (at == text.npos) return false;
  line = text.substr(0, at);
  text.remove_prefix(at + end.size());
  return true;
}

}  // namespace

Readers::~Readers() {
  for (Reader& reader : readers_) close(reader.fd);
}

void Readers::subscribe(const std::string& host, std::uint16_t port, std::size_t readers) {
  std::string request = "GET /streams/" + messages_.stream_id() + "/events HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
  Clock::time_point deadline = Clock::now() + std::chrono::seconds(60);
  while (subscribed_ < readers) {
    while (readers_.size() < readers && readers_.size() < subscribed_ + kAtOnce) {
      std::string source;
      if (readers > kReadersPerAddress) {
        source = "127.0.0." + std::to_string(2 + readers_.size() / kReadersPerAddress);
      }
      Reader& reader = readers_.emplace_back(*this, connect_tcp(host, port, source));
      if (send(reader.fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) fail("cannot subscribe");
      poller_.add(reader.fd, reader, EPOLLIN);
    }
    if (deliveries_.ended > 0 || Clock::now() > deadline) throw std::runtime_error("a reader could not subscribe");
    poller_.wait(std::chrono::milliseconds(50));
  }
}

std::uint64_t Readers::missing(std::uint64_t messages) const {
  std::uint64_t missing = 0;
  for (const Reader& reader : readers_) missing += messages - std::min(messages, reader.frames);
  return missing;
}

void Readers::Reader::ready(std::uint32_t) {
  static char buffer[65536];
  ssize_t size = recv(fd, buffer, sizeof buffer, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return readers.end(*this);
  std::string_view bytes(buffer, static_cast<std::size_t>(size));
  if (rest.empty()) return readers.take(*this, bytes);
  std::string joined = std::exchange(rest, {});
  joined += bytes;
  readers.take(*this, joined);
}

void Readers::end(Reader& reader) {
  deliveries_.ended++;
  close(std::exchange(reader.fd, -1));
}

// The server sends the head of the response, followed by chunks. Each chunk contains only complete events.
void Readers::take(Reader& reader, std::string_view bytes) {
  Clock::time_point now = Clock::now();
  while (!bytes.empty()) {
    std::string_view all = bytes, line;
    if (!reader.streaming) {
      if (!take_line(bytes, "\r\n\r\n", line)) return void(reader.rest = all);
      if (!line.starts_with("HTTP/1.1 200 ")) throw std::runtime_error("not an event stream: " + std::string(line));
      reader.streaming = true;
      continue;
    }
    if (!take_line(bytes, "\r\n", line)) return void(reader.rest = all);
    std::size_t size = number_in(line, 16);
    if (bytes.size() < size + 2) return void(reader.rest = all);
    std::string_view events = bytes.substr(0, size), event;
    while (take_line(events, "\n\n", event)) take_event(reader, event, now);
    bytes.remove_prefix(size + 2);
  }
}

void Readers::take_event(Reader& reader, std::string_view event, Clock::time_point now) {
  constexpr std::string_view kId = "id: ", kData = "\ndata: ";
  std::size_t id = event.starts_with(kId) ? 0 : event.find("\nid: ");
  if (id == event.npos) return;  // a comment
  id = event.find(' ', id) + 1;
  std::size_t end = std::min(event.find('\n', id), event.size());
  // The id is EPOCH:OFFSET.
  if (const std::size_t colon = event.substr(id, end - id).rfind(':'); colon != event.npos) id += colon + 1;
  std::uint64_t offset = number_in(event.substr(id, end - id), 10);
  const bool ready = event.find("event: ready\n") != event.npos;
  if (!ready && event.substr(end).starts_with(kData)) {
    return take_frame(reader, offset, event.substr(end + kData.size()), now);
  }
  // The event `ready` has the stream's newest offset.
  reader.offset = offset;
  if (subscribed_++ == 0) first_offset_ = offset + 1;
}

void Readers::take_frame(Reader& reader, std::uint64_t offset, std::string_view frame, Clock::time_point now) {
  if (offset <= reader.offset) {
    deliveries_.duplicates++;
    return;
  }
  deliveries_.gaps += offset - reader.offset - 1;
  reader.offset = offset;
  reader.frames++;

  std::size_t index = offset - first_offset_;
  if (seen_.size() <= index) seen_.resize(index + 1);
  Seen& seen = seen_[index];
  if (seen.frame.empty()) {
    seen.frame = frame;
    std::string_view head = R"(,"envelope":)";
    std::size_t at = frame.find(head);
    std::string_view envelope =
        at == frame.npos ? "" : frame.substr(at + head.size(), frame.size() - at - head.size() - 1);
    std::optional<MessageId> id = messages_.identify(envelope);
    if (id && (!messages_.verifies() || messages_.verify(*id, envelope))) {
      seen.due = due_of_(id->number);
    } else {
      deliveries_.forged++;
    }
  } else if (seen.frame != frame) {
    deliveries_.forged++;
  }
  if (seen.due) deliveries_.latency.add(static_cast<std::uint64_t>((now - *seen.due).count()));
}

}  // namespace sealcast::bench
