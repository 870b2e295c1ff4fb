// Keeps channels and subscribers, and brings new readers up to the ring.
#include "transport/sse/hub.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <random>
#include <utility>

#include "base/log.h"

namespace sealcast::transport::sse {

namespace {

constexpr std::int32_t kPage = 200;                // frames read from Postgres at once for one reader
constexpr std::chrono::seconds kPatience{30};      // with a reader that does not take a page
constexpr std::size_t kSlice = 32;                 // subscribers served before others get the event loop
constexpr int kShare = 4;                          // of the time, turns over a channel take one part in so many,
constexpr std::chrono::milliseconds kMaxPace{50};  // unless frames would wait for longer than this
constexpr int kBeats = 32;                         // heartbeats are spread over so many ticks
constexpr std::chrono::milliseconds kBeginning{20};
constexpr std::string_view kEndOfChunks = "0\r\n\r\n";

std::string_view payload(const Chunk& chunk, bool chunked) {
  std::string_view bytes = chunk.bytes;
  return chunked ? bytes : bytes.substr(chunk.head, bytes.size() - chunk.head - Chunk::kTail);
}

}  // namespace

Hub::Hub(asio::any_io_executor executor, FrameHistory& history, Metrics& metrics, HubSettings settings)
    : executor_(executor),
      history_(history),
      metrics_(metrics),
      settings_(settings),
      ticker_(executor),
      heartbeat_(render_chunk(":\n\n")) {
  tick();
}

Hub::~Hub() { close(); }

Hub::Pin::Pin(Hub& hub, Channel& channel) : hub_(&hub), channel_(&channel) {
  ++channel_->pins;
  ++hub_->attaching_;
}

Hub::Pin::~Pin() {
  if (!channel_) return;
  --channel_->pins;
  --hub_->attaching_;
  hub_->release(*channel_);
}

Hub::Pin Hub::pin(const std::string& stream_id) {
  auto& channel = channels_[stream_id];
  if (!channel) {
    channel = std::make_unique<Channel>(executor_, settings_.ring_frames);
    channel->stream_id = stream_id;
  }
  return Pin(*this, *channel);
}

void Hub::release(Channel& channel) {
  if (channel.subscribers.empty() && channel.pins == 0 && !channel.turning) channels_.erase(channel.stream_id);
}

asio::awaitable<bool> Hub::begun(Clock::time_point deadline) {
  // Looked at now and then: it is a matter of a moment after the start.
  while (!begun_ && !closed_ && Clock::now() < deadline) {
    asio::steady_timer pause(executor_, kBeginning);
    co_await pause.async_wait(asio::use_awaitable);
  }
  co_return begun_;
}

void Hub::publish(std::span<const FramePtr> frames, std::span<const Lead>) {
  begun_ = true;
  Channel* channel = nullptr;
  const std::string* stream_id = nullptr;
  for (const FramePtr& frame : frames) {
    if (!stream_id || *stream_id != frame->stream_id) {
      stream_id = &frame->stream_id;
      auto at = channels_.find(*stream_id);
      channel = at == channels_.end() ? nullptr : at->second.get();
    }
    if (!channel || frame->offset <= channel->last_offset) continue;
    channel->last_offset = frame->offset;
    channel->ring.push(render_frame(frame->offset, frame->prev, frame->text));
    channel->dirty = true;
    schedule(*channel);
  }
}

// A turn has the price of a system call for each subscriber, however many frames it carries. So at once when turns are
// cheap or seldom; else at a pace at which frames gather, as many as one call takes.
void Hub::schedule(Channel& channel) {
  if (channel.subscribers.empty()) return;
  bool enough = channel.ring.end() - channel.turn_end >= std::min(Subscriber::kGather, settings_.ring_frames / 2);
  auto begin = [this, &channel] { turn(channel, 0); };
  if (std::exchange(channel.turning, true)) {
    if (enough && channel.pace.cancel() > 0) asio::post(executor_, begin);
  } else if (enough || Clock::now() >= channel.next_turn) {
    asio::post(executor_, begin);
  } else {
    channel.pace.expires_at(channel.next_turn);
    channel.pace.async_wait([begin](boost::system::error_code ec) {
      if (!ec) begin();
    });
  }
}

// A slice of the channel's subscribers; the last slice begins the next turn when frames came meanwhile.
void Hub::turn(Channel& channel, std::size_t from) {
  if (from == 0) {
    channel.dirty = false;
    channel.turn_began = Clock::now();
    channel.turn_end = channel.ring.end();
  }
  std::size_t at = from;
  for (std::size_t served = 0; served < kSlice && at < channel.subscribers.size(); ++served) {
    Subscriber* subscriber = channel.subscribers[at];
    subscriber->pump();
    // When it went, another took its place.
    if (at < channel.subscribers.size() && channel.subscribers[at] == subscriber) ++at;
  }
  if (at < channel.subscribers.size()) return asio::post(executor_, [this, &channel, at] { turn(channel, at); });
  channel.next_turn =
      channel.turn_began + std::min<Clock::duration>(kShare * (Clock::now() - channel.turn_began), kMaxPace);
  channel.turning = false;
  if (channel.dirty) schedule(channel);
  release(channel);
}

void Hub::remove(Subscriber& subscriber, bool dropped) {
  const auto keep = subscribers_[subscriber.index];
  Channel& channel = subscriber.channel();
  channel.subscribers[subscriber.channel_index] = channel.subscribers.back();
  channel.subscribers[subscriber.channel_index]->channel_index = subscriber.channel_index;
  channel.subscribers.pop_back();
  // The one that moved may have moved behind the turn that is under way.
  channel.dirty = true;
  subscribers_[subscriber.index] = std::move(subscribers_.back());
  subscribers_[subscriber.index]->index = subscriber.index;
  subscribers_.pop_back();
  subscriber.close();
  if (dropped) metrics_.sse_dropped.Increment();
  metrics_.sse_subscribers.Decrement();
  release(channel);
}

asio::awaitable<void> Hub::attach(Pin pin, Reader reader) {
  Channel& channel = pin.channel();
  asio::steady_timer patience(executor_);
  std::int64_t after = co_await catch_up(channel, reader, patience);
  patience.cancel();
  if (closed_ || !reader.socket.is_open() || (serves && !serves(channel.stream_id))) co_return;
  auto subscriber =
      std::make_shared<Subscriber>(*this, channel, std::move(reader.socket), channel.ring.after(after), reader.chunked);
  subscriber->index = static_cast<std::uint32_t>(subscribers_.size());
  subscriber->channel_index = static_cast<std::uint32_t>(channel.subscribers.size());
  subscribers_.push_back(subscriber);
  channel.subscribers.push_back(subscriber.get());
  metrics_.sse_subscribers.Increment();
  subscriber->watch();
  subscriber->pump();
}

// Sends the head and what the reader missed. Returns the last offset it has; closes the socket when it cannot go on.
asio::awaitable<std::int64_t> Hub::catch_up(Channel& channel, Reader& reader, asio::steady_timer& patience) {
  auto write = [&](const std::string& bytes) -> asio::awaitable<bool> {
    auto socket = std::make_shared<asio::ip::tcp::socket>(std::move(reader.socket));
    patience.expires_after(kPatience);
    patience.async_wait([socket](boost::system::error_code ec) {
      boost::system::error_code ignored;
      if (!ec) socket->close(ignored);
    });
    boost::system::error_code ec;
    co_await asio::async_write(*socket, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, ec));
    patience.cancel();
    bool alive = !ec && !closed_ && socket->is_open();
    if (alive) reader.socket = std::move(*socket);
    co_return alive;
  };

  // An event without data sets the reader's last id and nothing else: so that even a reader that was cut off before its
  // first message resumes without a gap.
  std::string preamble =
      "retry: " + std::to_string(settings_.retry.count()) + "\nid: " + std::to_string(reader.after) + "\n";
  if (reader.reset) preamble += "data: {\"reset\":true,\"offset\":" + std::to_string(reader.after) + "}\n";
  preamble += "\n";
  std::string bytes = std::move(reader.head);
  bytes += payload(*render_chunk(preamble), reader.chunked);

  std::int64_t after = reader.after;
  bool alive = co_await write(bytes);
  while (alive && (after < reader.last_offset || !channel.ring.continues(after))) {
    // What the ring has, Postgres need not be asked for.
    if (channel.ring.begin() != channel.ring.end() && channel.ring.continues(after)) break;
    std::string text, event;
    bytes.clear();
    try {
      FramePage page = co_await history_.page(channel.stream_id, after, std::nullopt, kPage, settings_.channel);
      if (page.size() == 0) break;
      for (int row = 0; row < page.size(); ++row) {
        FrameRow frame = page[row];
        text.clear();
        append_frame(frame.offset, frame.prev, frame.envelope, text);
        bytes += payload(*render_frame(frame.offset, frame.prev, text), reader.chunked);
        after = frame.offset;
      }
    } catch (const postgres::Error&) {
      // The reader comes back by itself, from where it is.
      boost::system::error_code ignored;
      reader.socket.close(ignored);
      co_return after;
    }
    alive = co_await write(bytes);
  }
  co_return after;
}

void Hub::tick() {
  // Each subscriber is looked at twice in an interval: one that was silent since the last look gets a comment.
  constexpr std::size_t kLooks = kBeats / 2;
  ticker_.expires_after(settings_.heartbeat / kBeats);
  ticker_.async_wait([this](boost::system::error_code ec) {
    if (ec) return;
    metrics_.sse_frames.Increment(static_cast<double>(std::exchange(frames_sent_, 0)));
    if (++beat_ >= kLooks) beat_ = next_look_ = 0;
    for (std::size_t end = subscribers_.size() * (beat_ + 1) / kLooks;
         next_look_ < std::min(end, subscribers_.size());) {
      auto subscriber = subscribers_[next_look_++];
      if (!subscriber->wrote_since_look()) subscriber->send(heartbeat_);
    }
    tick();
  });
}

void Hub::dismiss_moved() {
  std::vector<std::shared_ptr<Subscriber>> leaving;
  for (const auto& [stream_id, channel] : channels_) {
    if (serves(stream_id)) continue;
    for (Subscriber* subscriber : channel->subscribers) leaving.push_back(subscriber->shared_from_this());
  }
  dismiss(leaving);
}

void Hub::close() {
  if (std::exchange(closed_, true)) return;
  ticker_.cancel();
  dismiss(std::vector(subscribers_));
}

void Hub::dismiss(std::span<const std::shared_ptr<Subscriber>> leaving) {
  // Spread over one more interval, so that readers do not all come back at once.
  std::minstd_rand random(std::random_device{}());
  std::uniform_int_distribution<std::int64_t> wait(settings_.retry.count(), 2 * settings_.retry.count());
  for (const auto& subscriber : leaving) {
    subscriber->farewell("retry: " + std::to_string(wait(random)) + "\n\n", kEndOfChunks);
    if (subscriber->attached()) remove(*subscriber, false);
  }
}

}  // namespace sealcast::transport::sse
