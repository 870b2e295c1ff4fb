// Writes the new frames of each stream to its subscribers, in rounds. A new subscriber first gets the frames that are
// older than the ring. These frames come from the history in Postgres.
#include "transport/sse/hub.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <ctime>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/backoff.h"
#include "transport/sse/stream_readers.h"
#include "transport/sse/subscriber.h"

namespace sealcast::transport::sse {

namespace {

constexpr std::int32_t kPageFrames = 200;          // frames that one statement reads from Postgres for one reader
constexpr std::chrono::seconds kWriteTimeout{30};  // for the bytes of one page
constexpr std::size_t kSlice = 32;                 // subscribers served before other work gets the event loop
// The rounds of one stream use at most 1/kRoundShare of the time. The pause for this is at most kMaxPause after the
// start of a round, so that frames do not wait longer.
constexpr int kRoundShare = 4;
constexpr std::chrono::milliseconds kMaxPause{50};
// A pass over all subscribers takes half of sse.heartbeat_ms. It is divided into this number of timer ticks.
constexpr std::chrono::milliseconds kCheckPause{250};  // between two look-ups of a redaction, for each stream
constexpr std::size_t kTicksPerPass = 16;
constexpr std::string_view kEndOfChunks = "0\r\n\r\n";
// No empty line follows a comment, or a `retry` alone: some libraries take every empty line for an event without data.

// Lists a reader in StreamReaders::catching_up.
class CatchingUp {
 public:
  CatchingUp(StreamReaders& readers, Hub::Reader& reader) : readers_(readers), reader_(reader) {
    readers_.catching_up.push_back(&reader_);
  }
  CatchingUp(const CatchingUp&) = delete;
  ~CatchingUp() { std::erase(readers_.catching_up, &reader_); }

 private:
  StreamReaders& readers_;
  Hub::Reader& reader_;
};

std::string_view payload(const Chunk& chunk, bool chunked) {
  std::string_view bytes = chunk.bytes;
  return chunked ? bytes : bytes.substr(chunk.head, bytes.size() - chunk.head - Chunk::kTail);
}

// Returns about the size of a page as events.
std::size_t page_bytes(const FramePage& page) {
  constexpr std::size_t kAround = 192;  // bytes of an event that are not its envelope
  std::size_t bytes = 0;
  for (int row = 0; row < page.size(); ++row) bytes += page[row].envelope.size() + kAround;
  return bytes;
}

void end(Hub::Reader& reader) {
  reader.ended = true;
  boost::system::error_code ignored;
  if (const auto socket = reader.writing.lock()) socket->close(ignored);
}

}  // namespace

Hub::Hub(asio::any_io_executor executor, Channel channel, FrameHistory& history, Metrics& metrics, MemoryBudget& memory,
         const config::Settings::Sse& settings)
    : executor_(executor),
      channel_(channel),
      history_(history),
      metrics_(metrics),
      memory_(memory),
      settings_(settings),
      heartbeat_timer_(executor),
      heartbeat_(render_chunk(":\n")),
      position_or_end_(executor) {
  send_heartbeats();
}

Hub::~Hub() { close(); }

Hub::Reservation::Reservation(Hub& hub, StreamReaders& readers, const std::string& user_id)
    : hub_(&hub), readers_(&readers) {
  ++readers_->reservations;
  ++hub_->reservations_;
  if (user_id.empty()) return;
  joiner_ = std::make_unique<Joiner>(Joiner{.user_id = user_id});
  readers_->joiners.push_back(joiner_.get());
}

Hub::Reservation::Reservation(Reservation&& other) noexcept
    : hub_(other.hub_), readers_(std::exchange(other.readers_, nullptr)), joiner_(std::move(other.joiner_)) {}

Hub::Reservation::~Reservation() {
  if (!readers_) return;
  if (joiner_) std::erase(readers_->joiners, joiner_.get());
  --readers_->reservations;
  --hub_->reservations_;
  hub_->erase_if_unused(*readers_);
}

std::optional<std::vector<ChunkPtr>> Hub::Reservation::take_notices() const {
  if (!joiner_) return std::vector<ChunkPtr>();
  if (joiner_->overflowed) return std::nullopt;
  return std::exchange(joiner_->notices, {});
}

Hub::Reservation Hub::reserve(const std::string& stream_id, const std::string& user_id) {
  auto& readers = streams_[stream_id];
  if (!readers) {
    readers = std::make_unique<StreamReaders>(executor_, settings_.ring_frames, memory_,
                                              [this, &readers] { trim_ring(*readers, readers->ring.bytes() / 2); });
    readers->stream_id = stream_id;
  }
  return Reservation(*this, *readers, user_id);
}

void Hub::erase_if_unused(StreamReaders& readers) {
  if (readers.subscribers.empty() && readers.reservations == 0 && !readers.round_pending) {
    streams_.erase(readers.stream_id);
  }
}

asio::awaitable<bool> Hub::wait_for_position(Clock::time_point deadline) {
  co_await position_or_end_.wait_until(deadline);
  co_return has_position_;
}

void Hub::publish(std::span<const FramePtr> frames, std::span<const Lead>) {
  if (!std::exchange(has_position_, true)) position_or_end_.set();
  StreamReaders* readers = nullptr;
  const std::string* stream_id = nullptr;
  for (const FramePtr& frame : frames) {
    if (!stream_id || *stream_id != frame->stream_id) {
      stream_id = &frame->stream_id;
      auto at = streams_.find(*stream_id);
      readers = at == streams_.end() ? nullptr : at->second.get();
    }
    if (!readers || frame->offset <= readers->last_offset) continue;
    readers->last_offset = frame->offset;
    readers->ring.push(render_frame(log_epoch_, frame->offset, frame->prev, frame->text));
    if (frame->redaction) redact(*readers, *frame->redaction);
    readers->ring_share.set(readers->ring.bytes());
    readers->round_needed = true;
    schedule_round(*readers);
    if (readers->subscribers.empty()) trim_ring(*readers, settings_.ring_bytes);
  }
}

void Hub::redact(StreamReaders& readers, const Redaction& redaction) {
  Ring& ring = readers.ring;
  for (std::uint64_t number = ring.begin(); number < ring.end(); ++number) {
    const Chunk& chunk = *ring[number];
    const std::optional<std::string> text = redacted_frame(frame_in(chunk), redaction);
    if (text) ring.replace(number, render_frame(log_epoch_, chunk.offset, chunk.prev, *text));
  }
}

bool Hub::is_clean(const Reservation& reservation, std::int64_t newest_redaction) const {
  const StreamReaders& readers = reservation.readers();
  return newest_redaction == 0 || newest_redaction == readers.clean_of || readers.ring.begin() == readers.ring.end();
}

bool Hub::may_check_redaction(const Reservation& reservation) const {
  StreamReaders& readers = reservation.readers();
  const auto now = Clock::now();
  if (now < readers.next_check) return false;
  readers.next_check = now + kCheckPause;
  return true;
}

bool Hub::note_redaction(const Reservation& reservation, std::int64_t newest_redaction,
                         std::int64_t announced_at) const {
  StreamReaders& readers = reservation.readers();
  if (announced_at <= readers.last_offset) readers.clean_of = newest_redaction;
  return is_clean(reservation, newest_redaction);
}

// Readers that are in catch_up() keep their StreamReaders. They notice the new epoch by themselves, and close.
void Hub::begin_log(std::string_view log_epoch) {
  if (log_epoch == log_epoch_) return;
  disconnect(std::vector(subscribers_));
  log_epoch_ = log_epoch;
  for (const auto& [stream_id, readers] : streams_) {
    readers->ring.clear();
    readers->ring_share.set(0);
    readers->last_offset = 0;
    readers->clean_of = 0;
    readers->round_end = 0;
  }
}

// A round writes the new frames to all subscribers of the stream. One system call per subscriber writes up to 64 frames
// (kGather), so it saves time to collect frames before a round. A round starts at once when `next_round` has passed,
// when the new frames fill one system call, or when they fill half of the ring. Otherwise the round starts at
// `next_round`.
void Hub::schedule_round(StreamReaders& readers) {
  if (readers.subscribers.empty()) return;
  const bool enough =
      readers.ring.end() - readers.round_end >= std::min(Subscriber::kGather, settings_.ring_frames / 2);
  auto start = [this, &readers] { write_round(readers, 0); };
  if (std::exchange(readers.round_pending, true)) {
    if (enough && readers.round_timer.cancel() > 0) asio::post(executor_, start);
  } else if (enough || Clock::now() >= readers.next_round) {
    asio::post(executor_, start);
  } else {
    readers.round_timer.expires_at(readers.next_round);
    readers.round_timer.async_wait([start](boost::system::error_code ec) {
      if (!ec) start();
    });
  }
}

// Writes to at most kSlice subscribers, beginning with the index `first`. Posts itself to the event loop for the other
// subscribers.
void Hub::write_round(StreamReaders& readers, std::size_t first) {
  if (first == 0) {
    readers.round_needed = false;
    readers.round_started = Clock::now();
    readers.round_end = readers.ring.end();
  }
  std::size_t at = first;
  for (std::size_t served = 0; served < kSlice && at < readers.subscribers.size(); ++served) {
    Subscriber* subscriber = readers.subscribers[at];
    subscriber->write_frames();
    // write_frames() may remove the subscriber. The last subscriber of the list then has its index and is served next.
    if (at < readers.subscribers.size() && readers.subscribers[at] == subscriber) ++at;
  }
  if (at < readers.subscribers.size()) {
    return asio::post(executor_, [this, &readers, at] { write_round(readers, at); });
  }
  const Clock::duration pause = kRoundShare * (Clock::now() - readers.round_started);
  readers.next_round = readers.round_started + std::min<Clock::duration>(pause, kMaxPause);
  readers.round_pending = false;
  trim_ring(readers, settings_.ring_bytes);
  if (readers.round_needed) schedule_round(readers);
  erase_if_unused(readers);
}

// Drops the oldest frames of a ring that is larger than `max_bytes`. It keeps the frames of readers that do not lag,
// also when one drain brings more frames than that. The next round disconnects the readers that need the dropped
// frames.
void Hub::trim_ring(StreamReaders& readers, std::size_t max_bytes) {
  if (readers.ring.bytes() <= max_bytes) return;
  std::uint64_t keep = readers.ring.end();
  for (const Subscriber* subscriber : readers.subscribers) {
    if (!subscriber->lags()) keep = std::min(keep, subscriber->next());
  }
  const std::uint64_t begin = readers.ring.begin();
  readers.ring.trim(max_bytes, keep);
  if (readers.ring.begin() == begin) return;
  readers.ring_share.set(readers.ring.bytes());
  readers.round_needed = true;
  schedule_round(readers);
}

void Hub::remove(Subscriber& subscriber, bool dropped) {
  const auto alive = subscribers_[subscriber.hub_index];
  StreamReaders& readers = subscriber.readers();
  readers.subscribers[subscriber.stream_index] = readers.subscribers.back();
  readers.subscribers[subscriber.stream_index]->stream_index = subscriber.stream_index;
  readers.subscribers.pop_back();
  // The last subscriber of the list has moved to a lower index. When the current round has already served this index,
  // it would not serve the moved subscriber. So another round is needed.
  readers.round_needed = true;
  subscribers_[subscriber.hub_index] = std::move(subscribers_.back());
  subscribers_[subscriber.hub_index]->hub_index = subscriber.hub_index;
  subscribers_.pop_back();
  subscriber.close();
  if (dropped) metrics_.sse_dropped.Increment();
  metrics_.sse_subscribers.Decrement();
  erase_if_unused(readers);
}

asio::awaitable<void> Hub::subscribe(Reservation reservation, Reader reader) {
  StreamReaders& readers = reservation.readers();
  std::int64_t after = 0;
  {
    const CatchingUp listed(readers, reader);
    after = co_await catch_up(reservation, reader);
  }
  if (closed_ || reader.ended || !reader.socket.is_open() || reader.log_epoch != log_epoch_) co_return;
  if (serves && !serves(readers.stream_id)) co_return;
  auto subscriber = std::make_shared<Subscriber>(*this, readers, std::move(reader.identity), std::move(reader.socket),
                                                 readers.ring.after(after), reader.chunked);
  subscriber->hub_index = static_cast<std::uint32_t>(subscribers_.size());
  subscriber->stream_index = static_cast<std::uint32_t>(readers.subscribers.size());
  subscribers_.push_back(subscriber);
  readers.subscribers.push_back(subscriber.get());
  metrics_.sse_subscribers.Increment();
  subscriber->watch_for_close();
  subscriber->write_frames();
}

// Sends the response head and the frames that are older than the ring. Returns the last offset that the reader has.
// After a failed write or a failed read from Postgres, the socket is closed.
asio::awaitable<std::int64_t> Hub::catch_up(const Reservation& reservation, Reader& reader) {
  StreamReaders& readers = reservation.readers();
  asio::steady_timer timeout(executor_);
  auto write = [&](const std::string& bytes) -> asio::awaitable<bool> {
    auto socket = std::make_shared<asio::ip::tcp::socket>(std::move(reader.socket));
    reader.writing = socket;
    timeout.expires_after(kWriteTimeout);
    timeout.async_wait([socket](boost::system::error_code ec) {
      boost::system::error_code ignored;
      if (!ec) socket->close(ignored);
    });
    boost::system::error_code ec;
    co_await asio::async_write(*socket, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, ec));
    timeout.cancel();
    bool alive = !ec && !closed_ && !reader.ended && socket->is_open() && reader.log_epoch == log_epoch_;
    if (alive) reader.socket = std::move(*socket);
    co_return alive;
  };

  // `ready` sets the last id that the reader knows. So a reader that loses the connection before its first message also
  // resumes at the right offset. It has data, because many libraries drop an event without data together with its id.
  // A reset comes first: a reader that gets `ready` alone would resume there and keep its old messages.
  std::string id = "id: ";
  append_id(reader.log_epoch, reader.after, id);
  id += "\ndata: ";
  std::string preamble = "retry: " + std::to_string(settings_.retry.count()) + "\n";
  if (reader.reset) preamble += id + "{\"reset\":true,\"offset\":" + std::to_string(reader.after) + "}\n\n";
  // Before `ready`: a reader that has an id does not get them again.
  preamble += reader.retained;
  preamble += "event: ready\n" + id + "{}\n\n";
  MemoryBudget::Share share(memory_, MemoryClass::catch_up, [&] {
    end(reader);
    share.set(0);
  });
  std::string bytes = std::move(reader.head);
  bytes += payload(*render_chunk(preamble), reader.chunked);
  std::string().swap(preamble);
  std::string().swap(reader.retained);
  share.set(bytes.capacity());

  // Returns once no notice waits. After the last look nothing is awaited until the reader is a subscriber.
  auto write_notices = [&]() -> asio::awaitable<bool> {
    while (true) {
      const std::optional<std::vector<ChunkPtr>> notices = reservation.take_notices();
      if (notices && notices->empty()) co_return true;
      std::string text;
      if (notices) {
        for (const ChunkPtr& notice : *notices) text += payload(*notice, reader.chunked);
      }
      bool alive = false;
      if (notices) alive = co_await write(text);
      if (alive) continue;
      boost::system::error_code ignored;
      reader.socket.close(ignored);
      co_return false;
    }
  };

  std::int64_t after = reader.after;
  bool alive = co_await write(bytes);
  if (alive) alive = co_await write_notices();
  while (alive && (after < reader.last_offset || !readers.ring.continues(after))) {
    // The ring has all later frames, so they need not be read from Postgres.
    if (after >= reader.ring_from && readers.ring.begin() != readers.ring.end() && readers.ring.continues(after)) break;
    std::string text;
    std::string().swap(bytes);  // an assignment would keep its memory
    share.set(0);
    try {
      FramePage page = co_await history_.page(readers.stream_id, after, std::nullopt, kPageFrames, channel_, nullptr);
      if (page.size() == 0 || reader.ended) break;
      bytes.reserve(page_bytes(page));
      for (int row = 0; row < page.size(); ++row) {
        FrameRow frame = page[row];
        text.clear();
        append_frame(frame.offset, frame.prev, frame.envelope, frame.redacted, text);
        bytes += payload(*render_frame(reader.log_epoch, frame.offset, frame.prev, text), reader.chunked);
        after = frame.offset;
      }
    } catch (const postgres::Error&) {
      // After the connection is closed, the reader reconnects and resumes from its last id.
      boost::system::error_code ignored;
      reader.socket.close(ignored);
      co_return after;
    }
    share.set(bytes.capacity());
    alive = co_await write(bytes);
    if (alive) alive = co_await write_notices();
  }
  if (alive) co_await write_notices();
  co_return after;
}

// Each pass checks every subscriber once. A subscriber gets a keep-alive comment when nothing was written to it since
// the previous pass. Each tick checks a part of the subscribers, so that many comments are not sent at the same time.
void Hub::send_heartbeats() {
  heartbeat_timer_.expires_after(settings_.heartbeat / (2 * kTicksPerPass));
  heartbeat_timer_.async_wait([this](boost::system::error_code ec) {
    if (ec) return;
    metrics_.sse_frames.Increment(static_cast<double>(std::exchange(frames_sent_, 0)));
    if (++ticks_ >= kTicksPerPass) ticks_ = next_checked_ = 0;
    for (std::size_t end = subscribers_.size() * (ticks_ + 1) / kTicksPerPass;
         next_checked_ < std::min(end, subscribers_.size());) {
      auto subscriber = subscribers_[next_checked_++];
      if (!subscriber->wrote_since_last_check()) subscriber->send_heartbeat(heartbeat_);
    }
    send_heartbeats();
  });
}

void Hub::disconnect_moved_streams() {
  std::vector<std::shared_ptr<Subscriber>> leaving;
  for (const auto& [stream_id, readers] : streams_) {
    if (serves(stream_id)) continue;
    for (Subscriber* subscriber : readers->subscribers) leaving.push_back(subscriber->shared_from_this());
  }
  disconnect(leaving);
}

std::vector<std::string> Hub::streams_with_readers() const {
  std::vector<std::string> ids;
  ids.reserve(streams_.size());
  for (const auto& [stream_id, readers] : streams_) ids.push_back(stream_id);
  return ids;
}

void Hub::add_users(const std::string& stream_id, std::vector<ReaderKey>& out) const {
  const auto at = streams_.find(stream_id);
  if (at == streams_.end()) return;
  std::unordered_set<std::string_view> users;
  const auto add = [&](const ReaderIdentity& reader) {
    if (users.insert(reader.user_id).second) out.push_back({stream_id, reader.user_id});
  };
  for (const Subscriber* subscriber : at->second->subscribers) add(subscriber->identity());
  for (const Reader* reader : at->second->catching_up) add(reader->identity);
}

std::size_t Hub::end_readers(const std::string& stream_id,
                             const std::function<std::string_view(const ReaderIdentity&)>& code_of) {
  const auto at = streams_.find(stream_id);
  if (at == streams_.end()) return 0;
  std::size_t ended = 0;
  for (Reader* reader : at->second->catching_up) {
    if (reader->ended || code_of(reader->identity).empty()) continue;
    ++ended;
    end(*reader);
  }
  std::vector<std::pair<std::shared_ptr<Subscriber>, std::string>> leaving;
  for (Subscriber* subscriber : at->second->subscribers) {
    const std::string_view code = code_of(subscriber->identity());
    if (!code.empty()) leaving.emplace_back(subscriber->shared_from_this(), code);
  }
  for (const auto& [subscriber, code] : leaving) {
    subscriber->send_end(": ended " + code + "\n", kEndOfChunks);
    remove(*subscriber, false);
  }
  return ended + leaving.size();
}

void Hub::visit_users(const Visit& visit) const {
  const std::int64_t now = std::time(nullptr);
  for (const auto& [stream_id, readers] : streams_) {
    for (const Subscriber* subscriber : readers->subscribers) {
      const ReaderIdentity& reader = subscriber->identity();
      if (reader.has_session(now)) visit(stream_id, reader.user_id);
    }
    for (const Joiner* joiner : readers->joiners) visit(stream_id, joiner->user_id);
  }
}

asio::awaitable<void> Hub::send_notices(const AddNotices& add_notices) {
  std::vector<std::pair<std::shared_ptr<Subscriber>, ChunkPtr>> sent;  // a subscriber may leave when it is sent one
  std::vector<ChunkPtr> notices;
  const std::int64_t now = std::time(nullptr);
  for (const auto& [stream_id, readers] : streams_) {
    for (Subscriber* subscriber : readers->subscribers) {
      const ReaderIdentity& reader = subscriber->identity();
      if (!reader.has_session(now)) continue;
      notices.clear();
      add_notices(stream_id, reader.user_id, notices);
      for (ChunkPtr& notice : notices) sent.emplace_back(subscriber->shared_from_this(), std::move(notice));
    }
    for (Joiner* joiner : readers->joiners) {
      add_notices(stream_id, joiner->user_id, joiner->notices);
      joiner->overflowed = joiner->overflowed || joiner->notices.size() > Subscriber::kMaxNotices;
      if (joiner->overflowed) joiner->notices.clear();
    }
  }
  for (std::size_t at = 0; at < sent.size(); ++at) {
    sent[at].first->send_notice(sent[at].second);
    if ((at + 1) % kSlice == 0) co_await asio::post(executor_, asio::use_awaitable);
  }
}

void Hub::end_waits() {
  waits_ended_ = true;
  position_or_end_.set();
}

void Hub::close() {
  if (std::exchange(closed_, true)) return;
  end_waits();
  heartbeat_timer_.cancel();
  disconnect(std::vector(subscribers_));
}

void Hub::disconnect(std::span<const std::shared_ptr<Subscriber>> leaving) {
  for (const auto& subscriber : leaving) {
    // The pause is random, so that the readers do not all reconnect at the same time.
    const auto retry = random_between(settings_.retry, 2 * settings_.retry);
    subscriber->send_last("retry: " + std::to_string(retry.count()) + "\n", kEndOfChunks);
    if (subscriber->is_open()) remove(*subscriber, false);
  }
}

}  // namespace sealcast::transport::sse
