// Implements a connection as a state machine. Each request passes through these functions: read → parse → dispatch →
// the route's handler → complete → flush → release.
#include "http/server_connection.h"

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
constexpr std::size_t kMaxKeptBody = 64 * 1024;  // the memory of larger bodies is freed
constexpr std::size_t kMaxBuffers = 64;          // in one write
constexpr std::size_t kPiece = 64 * 1024;        // the client must read this many bytes within read_timeout
constexpr std::chrono::seconds kLinger{2};       // how long the client may take to read the last answer and to close

// Returns the peer's address, or :: if the peer has already closed the connection. Such a peer reads no answer, so the
// wrong address does no harm.
Address peer_of(const asio::ip::tcp::socket& socket) {
  boost::system::error_code ignored;
  const asio::ip::address address = socket.remote_endpoint(ignored).address();
  return {address.is_v4() ? asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4()).to_bytes()
                          : address.to_v6().to_bytes()};
}

}  // namespace

ServerConnection::ServerConnection(Server& server, asio::ip::tcp::socket socket)
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

ServerConnection::~ServerConnection() {
  if (server_) server_->remove(*this);
}

Exchange& ServerConnection::exchange(std::uint64_t number) {
  auto& kept = exchanges_[number & (exchanges_.size() - 1)];
  if (!kept) kept = std::make_unique<Exchange>();
  return *kept;
}

void ServerConnection::read() {
  if (reading_ || !socket_.is_open()) return;
  if (begin_ == end_ || lingering_) {
    begin_ = end_ = 0;
  } else if (end_ == input_.size()) {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    // The parser needs each header field in one piece, so the buffer grows. The limit of the header's size bounds this
    // growth.
    if (end_ == input_.size()) input_.resize(input_.size() * 2);
  }
  reading_ = true;
  socket_.async_read_some(asio::buffer(input_.data() + end_, input_.size() - end_),
                          [self = shared_from_this()](boost::system::error_code ec, std::size_t size) {
                            self->reading_ = false;
                            if (!ec && self->lingering_) return self->read();
                            if (!ec) {
                              self->end_ += size;
                              return self->parse_all();
                            }
                            // The client sends no more. Its requests that have arrived are still answered.
                            self->ending_ = true;
                            if (self->first_ == self->next_ || ec != asio::error::eof) self->abort();
                          });
}

void ServerConnection::parse_all() {
  if (parsing_ || !server_) return;
  parsing_ = true;
  // While the client does not read its answers, no further requests are parsed, so no further answers are made.
  auto may_read = [this] {
    return !ending_ && !exclusive_ && !sending_ && next_ - first_ < server_->settings_.max_pipelined;
  };
  while (may_read() && parse_one()) {
  }
  parsing_ = false;
  flush();
  if (may_read()) read();
}

bool ServerConnection::parse_one() {
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
      // The parser itself does not limit the size of chunk extensions and of the trailer.
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
      refuse(400, "invalid_request", "the request is not valid HTTP/1.1: " + ec.message());
      return false;
    }
  }
  if (parser_->is_header_done() && request.expects_continue) send_continue();
  return false;
}

void ServerConnection::dispatch() {
  std::uint64_t number = next_++;
  Exchange& current = exchange(number);
  parser_.reset();
  started_.reset();
  current.request.received = Clock::now();
  current.request.peer = peer_;
  if (!current.request.keep_alive) ending_ = true;
  if (server_->cors_.is_preflight(current.request)) {
    server_->cors_.answer_preflight(current.response);
    return complete(number);
  }
  std::string_view id;
  const Route* route = server_->dependencies_.router.find(current, id);
  if (!route) return complete(number);
  if (route->answer == Route::large && server_->unsent_ > server_->settings_.max_unsent_bytes) {
    answer_problem(current.response, {503,
                                      "overloaded",
                                      "too many bytes of answers are waiting for slow readers",
                                      {},
                                      "Retry after a pause.",
                                      std::chrono::seconds(1)});
    return complete(number);
  }
  exclusive_ = route->answer != Route::small;
  asio::co_spawn(socket_.get_executor(), route->handler(current, id),
                 [self = shared_from_this(), number, route](std::exception_ptr error) {
                   self->finish_handler(number, *route, std::move(error));
                 });
}

void ServerConnection::finish_handler(std::uint64_t number, const Route& route, std::exception_ptr error) {
  Exchange& done = exchange(number);
  if (error) {
    std::string reason = "unknown";
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& thrown) {
      reason = thrown.what();
    } catch (...) {
    }
    log::write(log::Level::error, log::tag::kLifecycle, "a request failed unexpectedly",
               {{"route", route.pattern}, {"reason", reason}});
    done.response.clear();
    answer_problem(done.response,
                   {500, "internal_error", "an unexpected error occurred", {}, "See the log of sealcastd."});
  }
  if (route.seconds) {
    std::chrono::duration<double> took = Clock::now() - done.request.received;
    route.seconds->Observe(took.count());
  }
  complete(number);
}

// Answers with an error and then ends the connection, because after a malformed request the start of the next request
// is unknown.
void ServerConnection::refuse(int status, std::string_view code, std::string_view message) {
  parser_.reset();
  started_.reset();
  ending_ = true;
  answer_problem(exchange(next_).response, {status, code, message});
  complete(next_++);
}

void ServerConnection::send_continue() {
  exchange(next_).request.expects_continue = false;
  // "100 Continue" must not overtake an earlier answer. Without it, the client sends the body after a pause.
  if (first_ != next_ || sending_) return;
  boost::system::error_code ignored;
  socket_.write_some(asio::buffer("HTTP/1.1 100 Continue\r\n\r\n", 25), ignored);
}

void ServerConnection::complete(std::uint64_t number) {
  Exchange& done = exchange(number);
  done.done = true;
  if (number + 1 == next_ && !done.response.upgrade) exclusive_ = false;
  if (parsing_ || flush_posted_) return;
  if (next_ - first_ == 1) return flush();
  // Other handlers may complete in the same run of the event loop. The posted flush() sends all their answers with one
  // write.
  flush_posted_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void ServerConnection::flush() {
  if (sending_ || !server_ || !socket_.is_open()) return;
  output_.clear();
  std::uint64_t number = first_;
  for (; number != next_ && output_.size() + 2 <= kMaxBuffers; ++number) {
    Exchange& ready = exchange(number);
    if (!ready.done) break;
    if (ready.response.upgrade) {
      if (number == first_) return upgrade();
      break;
    }
    bool newest = number + 1 == next_;
    if (newest && server_->shutting_down_ && begin_ == end_) ending_ = true;
    render_head(ready.request, ready.response, server_->cors_, !(ending_ && newest), Framing::length, ready.head);
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

void ServerConnection::send_rest(std::size_t answered, std::size_t written) {
  std::size_t whole = 0;
  while (written >= output_[whole].size()) written -= output_[whole++].size();
  output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(whole));
  output_.front() += written;
  const std::size_t unsent = asio::buffer_size(output_);
  server_->unsent_ += unsent;
  // read_timeout applies to each piece of kPiece bytes. So a large answer may take long, but a client that reads only a
  // few bytes within read_timeout is disconnected.
  auto next_piece = [self = shared_from_this(), reported = std::size_t{0}](boost::system::error_code ec,
                                                                           std::size_t sent) mutable -> std::size_t {
    if (ec) return 0;
    if (sent == 0 || sent - reported >= kPiece) {
      reported = sent;
      self->sending_ = Clock::now();
    }
    return kPiece;
  };
  asio::async_write(socket_, output_, std::move(next_piece),
                    [self = shared_from_this(), answered, unsent](boost::system::error_code ec, std::size_t) {
                      self->sending_.reset();
                      if (self->server_) self->server_->unsent_ -= unsent;
                      if (ec) return self->abort();
                      self->release(answered);
                    });
}

// Reuses the exchanges of sent answers for the next requests.
void ServerConnection::release(std::size_t answered) {
  for (; answered > 0; --answered, ++first_) {
    Exchange& sent = exchange(first_);
    if (sent.request.body.capacity() > kMaxKeptBody) sent.request.body = std::string();
    if (sent.response.body.capacity() > kMaxKeptBody) sent.response.body = std::string();
    sent.request.clear();
    sent.response.clear();
    sent.done = false;
  }
  idle_since_ = Clock::now();
  if (server_ && server_->shutting_down_) server_->progress_.set();
  if (ending_ && first_ == next_) return linger();
  if (!parsing_) parse_all();
}

void ServerConnection::upgrade() {
  Exchange& last = exchange(first_);
  bool chunked = last.request.version >= 11;
  render_head(last.request, last.response, server_->cors_, chunked, chunked ? Framing::chunked : Framing::close,
              last.head);
  auto upgrade = std::move(last.response.upgrade);
  ending_ = true;
  first_ = next_;
  upgrade(std::move(socket_), std::move(last.head));
}

// Discards further input until the client closes the connection. If the socket were closed while the client still
// sends, the kernel could discard the last answer before the client has read it.
void ServerConnection::linger() {
  lingering_ = true;
  boost::system::error_code ignored;
  socket_.shutdown(socket_.shutdown_send, ignored);
  read();
}

void ServerConnection::shut_down() {
  if (busy() || begin_ != end_ || lingering_) return;  // flush() ends the connection with the last answer
  boost::system::error_code ec;
  if (socket_.available(ec) > 0) return;
  ending_ = true;
  linger();
}

void ServerConnection::abort() {
  ending_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void ServerConnection::check_timeouts(Clock::time_point now) {
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
