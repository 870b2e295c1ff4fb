// The connection's state machine: read → parse → dispatch, and complete → flush → release.
#include "http/connection.h"

#include <algorithm>
#include <bit>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <cstring>

#include "base/log.h"
#include "http/server.h"

namespace sealcast::http {

namespace {

constexpr std::size_t kFirstInput = 4096;
constexpr std::size_t kKeptBody = 64 * 1024;  // larger bodies give their memory back
constexpr std::size_t kGather = 64;           // buffers in one call
constexpr std::size_t kPiece = 64 * 1024;     // of an answer, has read_timeout to be taken
constexpr std::chrono::seconds kLinger{2};    // for the peer to read the last answer

// A peer that is gone already has no address, and reads no answer.
Address peer_of(const asio::ip::tcp::socket& socket) {
  boost::system::error_code ignored;
  const asio::ip::address address = socket.remote_endpoint(ignored).address();
  return {address.is_v4() ? asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4()).to_bytes()
                          : address.to_v6().to_bytes()};
}

}  // namespace

Connection::Connection(Server& server, asio::ip::tcp::socket socket)
    : server_(&server),
      socket_(std::move(socket)),
      peer_(peer_of(socket_)),
      input_(kFirstInput),
      idle_since_(Clock::now()) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  exchanges_.resize(std::bit_ceil(server.settings_.max_pipelined));
}

Connection::~Connection() {
  if (server_) server_->remove(*this);
}

Exchange& Connection::exchange(std::uint64_t number) {
  auto& kept = exchanges_[number & (exchanges_.size() - 1)];
  if (!kept) kept = std::make_unique<Exchange>();
  return *kept;
}

void Connection::read() {
  if (reading_ || !socket_.is_open()) return;
  if (begin_ == end_ || lingering_) {
    begin_ = end_ = 0;
  } else if (end_ == input_.size()) {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    // The parser wants a header in one piece; its own limit ends the growth.
    if (end_ == input_.size()) input_.resize(input_.size() * 2);
  }
  reading_ = true;
  socket_.async_read_some(asio::buffer(input_.data() + end_, input_.size() - end_),
                          [self = shared_from_this()](boost::system::error_code ec, std::size_t size) {
                            self->reading_ = false;
                            if (!ec && self->lingering_) return self->read();
                            if (!ec) {
                              self->end_ += size;
                              return self->consume();
                            }
                            // What was asked before the peer stopped sending is still answered.
                            self->last_ = true;
                            if (self->first_ == self->next_ || ec != asio::error::eof) self->abort();
                          });
}

void Connection::consume() {
  if (consuming_ || !server_) return;
  consuming_ = true;
  // Who does not take answers gets no further ones made.
  auto may_take = [this] {
    return !last_ && !alone_ && !sending_ && next_ - first_ < server_->settings_.max_pipelined;
  };
  while (may_take() && parse_one()) {
  }
  consuming_ = false;
  flush();
  if (may_take()) read();
}

bool Connection::parse_one() {
  if (begin_ == end_) return false;
  Request& request = exchange(next_).request;
  if (!parser_) {
    parser_.emplace(request, server_->settings_.max_header_bytes, server_->settings_.max_body_bytes);
    started_ = Clock::now();
  }
  while (begin_ != end_) {
    boost::system::error_code ec;
    std::size_t used = parser_->put(asio::const_buffer(input_.data() + begin_, end_ - begin_), ec);
    begin_ += used;
    if (parser_->is_done()) {
      request.keep_alive = parser_->keep_alive();
      dispatch();
      return true;
    }
    if (ec == beast::http::error::need_more) {
      if (parser_->is_header_done() && request.expects_continue) send_continue();
      if (used > 0) continue;
      // A chunk's extensions and the trailer have no limit in the parser.
      if (end_ - begin_ <= server_->settings_.max_header_bytes) return false;
      refuse(431, "invalid_request", "the request's chunk header or trailer is too large");
      return false;
    } else if (ec == beast::http::error::header_limit) {
      refuse(431, "invalid_request", "the request header is too large");
      return false;
    } else if (ec == beast::http::error::body_limit) {
      refuse(413, "payload_too_large", "the request body is too large");
      return false;
    } else if (ec) {
      refuse(400, "invalid_request", "this is not HTTP/1.1: " + ec.message());
      return false;
    }
  }
  if (parser_->is_header_done() && request.expects_continue) send_continue();
  return false;
}

void Connection::dispatch() {
  std::uint64_t number = next_++;
  Exchange& current = exchange(number);
  parser_.reset();
  started_.reset();
  current.request.received = Clock::now();
  current.request.peer = peer_;
  if (!current.request.keep_alive) last_ = true;
  if (server_->cors_.is_preflight(current.request)) {
    server_->cors_.answer_preflight(current.response);
    return complete(number);
  }
  std::string_view id;
  const Route* route = server_->router_.find(current, id);
  if (!route) return complete(number);
  if (route->answer == Route::large && server_->unsent_ > server_->settings_.max_unsent_bytes) {
    answer_problem(current.response, {503,
                                      "overloaded",
                                      "too many answers wait for slow readers",
                                      {},
                                      "Retry after a pause.",
                                      std::chrono::seconds(1)});
    return complete(number);
  }
  alone_ = route->answer != Route::small;
  asio::co_spawn(socket_.get_executor(), route->handler(current, id),
                 [self = shared_from_this(), number, route](std::exception_ptr error) {
                   Exchange& done = self->exchange(number);
                   if (error) {
                     std::string reason = "unknown";
                     try {
                       std::rethrow_exception(error);
                     } catch (const std::exception& thrown) {
                       reason = thrown.what();
                     } catch (...) {
                     }
                     log::write(log::Level::error, log::tag::kLifecycle, "a request failed unexpectedly",
                                {{"route", route->pattern}, {"reason", reason}});
                     done.response.clear();
                     answer_problem(
                         done.response,
                         {500, "internal_error", "something went wrong here", {}, "The log of sealcastd says what."});
                   }
                   if (route->seconds) {
                     std::chrono::duration<double> took = Clock::now() - done.request.received;
                     route->seconds->Observe(took.count());
                   }
                   self->complete(number);
                 });
}

// The connection's last answer: what follows in the stream of bytes cannot be trusted.
void Connection::refuse(int status, std::string_view code, std::string_view message) {
  parser_.reset();
  started_.reset();
  last_ = true;
  answer_problem(exchange(next_).response, {status, code, message});
  complete(next_++);
}

void Connection::send_continue() {
  exchange(next_).request.expects_continue = false;
  if (first_ != next_ || sending_) return;  // the client goes on without it after a moment
  boost::system::error_code ignored;
  socket_.write_some(asio::buffer("HTTP/1.1 100 Continue\r\n\r\n", 25), ignored);
}

void Connection::complete(std::uint64_t number) {
  Exchange& done = exchange(number);
  done.done = true;
  if (number + 1 == next_ && !done.response.upgrade) alone_ = false;
  if (consuming_ || flush_posted_) return;
  if (next_ - first_ == 1) return flush();
  // Others may be ready in the same turn: one write for all of them.
  flush_posted_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (sending_ || !server_ || !socket_.is_open()) return;
  output_.clear();
  std::uint64_t number = first_;
  for (; number != next_ && output_.size() + 2 <= kGather; ++number) {
    Exchange& ready = exchange(number);
    if (!ready.done) break;
    if (ready.response.upgrade) {
      if (number == first_) return hand_over();
      break;
    }
    bool newest = number + 1 == next_;
    if (newest && server_->draining_ && begin_ == end_) last_ = true;
    render_head(ready.request, ready.response, server_->cors_, !(last_ && newest), Framing::length, ready.head);
    output_.push_back(asio::buffer(ready.head));
    std::string_view content = ready.response.content();
    if (!content.empty() && ready.request.method != Method::head) output_.push_back(asio::buffer(content));
  }
  std::size_t answered = number - first_;
  if (answered == 0) return;
  std::size_t size = asio::buffer_size(output_);
  boost::system::error_code ec;
  std::size_t written = socket_.write_some(output_, ec);
  if (ec && ec != asio::error::would_block) return abort();
  if (written == size) return release(answered);
  send_rest(answered, written);
}

void Connection::send_rest(std::size_t answered, std::size_t written) {
  std::size_t whole = 0;
  while (written >= output_[whole].size()) written -= output_[whole++].size();
  output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(whole));
  output_.front() += written;
  const std::size_t owed = asio::buffer_size(output_);
  server_->unsent_ += owed;
  // Each piece has its time, so that a long answer may take long, and one that trickles may not.
  auto go_on = [self = shared_from_this(), told = std::size_t{0}](boost::system::error_code ec,
                                                                  std::size_t sent) mutable -> std::size_t {
    if (ec) return 0;
    if (sent == 0 || sent - told >= kPiece) {
      told = sent;
      self->sending_ = Clock::now();
    }
    return kPiece;
  };
  asio::async_write(socket_, output_, std::move(go_on),
                    [self = shared_from_this(), answered, owed](boost::system::error_code ec, std::size_t) {
                      self->sending_.reset();
                      if (self->server_) self->server_->unsent_ -= owed;
                      if (ec) return self->abort();
                      self->release(answered);
                    });
}

// These answers are sent; their exchanges serve the next requests.
void Connection::release(std::size_t answered) {
  for (; answered > 0; --answered, ++first_) {
    Exchange& sent = exchange(first_);
    if (sent.request.body.capacity() > kKeptBody) sent.request.body = std::string();
    if (sent.response.body.capacity() > kKeptBody) sent.response.body = std::string();
    sent.request.clear();
    sent.response.clear();
    sent.done = false;
  }
  idle_since_ = Clock::now();
  if (last_ && first_ == next_) return linger();
  if (!consuming_) consume();
}

void Connection::hand_over() {
  Exchange& last = exchange(first_);
  bool chunked = last.request.version >= 11;
  render_head(last.request, last.response, server_->cors_, chunked, chunked ? Framing::chunked : Framing::close,
              last.head);
  auto upgrade = std::move(last.response.upgrade);
  last_ = true;
  first_ = next_;
  upgrade(std::move(socket_), std::move(last.head));
}

// Closing at once while the peer still sends could destroy the answer on its way.
void Connection::linger() {
  lingering_ = true;
  boost::system::error_code ignored;
  socket_.shutdown(socket_.shutdown_send, ignored);
  read();
}

void Connection::drain() {
  if (busy() || begin_ != end_ || lingering_) return;  // flush() sees that the server drains
  boost::system::error_code ec;
  if (socket_.available(ec) > 0) return;
  last_ = true;
  linger();
}

void Connection::abort() {
  last_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void Connection::check_patience(Clock::time_point now) {
  auto timeout = server_->settings_.read_timeout;
  bool idle = first_ == next_ && !started_;
  if (sending_ && now - *sending_ > timeout) return abort();
  if (lingering_ && now - idle_since_ > kLinger) return abort();
  if (idle && now - idle_since_ > timeout) return abort();
  if (started_ && now - *started_ > timeout) {
    refuse(408, "invalid_request", "the request did not arrive in time");
  }
}

}  // namespace sealcast::http
