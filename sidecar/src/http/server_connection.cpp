// Implements a connection as a state machine. Each request passes through these functions: read → parse → dispatch →
// the route's handler → complete → flush → release.
#include "http/server_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "http/refused_connection.h"
#include "http/server.h"

namespace sealcast::http {

namespace {

constexpr std::size_t kFirstInput = 4096;
constexpr std::size_t kMaxKept = 64 * 1024;  // bytes of sent exchanges that a connection keeps for its next requests
constexpr std::size_t kMaxBuffers = 64;      // in one write
constexpr std::size_t kPiece = 64 * 1024;    // the client must read this many bytes within read_timeout
constexpr std::chrono::seconds kIdle{1};
constexpr std::chrono::seconds kKeepAliveGrace{1};

// Returns the peer's address, or :: if the peer has already closed the connection. Such a peer reads no answer, so the
// wrong address does no harm.
Address peer_of(const asio::ip::tcp::socket& socket) {
  boost::system::error_code ignored;
  const asio::ip::address address = socket.remote_endpoint(ignored).address();
  return {address.is_v4() ? asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4()).to_bytes()
                          : address.to_v6().to_bytes()};
}

Problem overloaded() {
  return {503, "overloaded",           "the clients of this server use all the memory that they may use",
          {},  "Retry after a pause.", std::chrono::seconds(1)};
}

}  // namespace

ServerConnection::ServerConnection(Server& server, asio::ip::tcp::socket socket)
    : server_(&server),
      socket_(std::move(socket)),
      peer_(peer_of(socket_)),
      input_(kFirstInput),
      idle_since_(Clock::now()),
      requests_(server.dependencies_.memory, MemoryClass::requests, [this] { shed_request(); }),
      answers_(server.dependencies_.memory, MemoryClass::answers, [this] { shed_answers(); }) {
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
  if (!kept && !kept_.empty()) {
    kept = std::move(kept_.back());
    kept_.pop_back();
    kept_bytes_ -= std::exchange(kept->request_bytes, 0) + std::exchange(kept->answer_bytes, 0);
  }
  if (!kept) kept = std::make_unique<Exchange>();
  return *kept;
}

void ServerConnection::read() {
  if (reading_ || !socket_.is_open()) return;
  if (begin_ == end_ || lingering_) {
    begin_ = end_ = 0;
    if (input_.size() > kFirstInput) {
      input_ = std::vector<char>(kFirstInput);
      count_requests();
    }
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
  // Many connections may have bytes in the same turn of the event loop. What they hold is shed first.
  if (server_->dependencies_.memory.shedding()) {
    return asio::post(socket_.get_executor(), [self = shared_from_this()] { self->parse_all(); });
  }
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
  // Some old clients send an empty line after a body (RFC 9112, 2.2).
  while (!parser_ && begin_ != end_ && (input_[begin_] == '\r' || input_[begin_] == '\n')) ++begin_;
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
    if (!ec && parser_->is_done()) {
      request.keep_alive = parser_->keep_alive();
      dispatch();
      return true;
    }
    if (ec == beast::http::error::need_more) {
      if (parser_->is_header_done() && request.expects_continue) send_continue();
      if (used > 0) continue;
      // The parser itself does not limit the size of chunk extensions and of the trailer.
      if (end_ - begin_ <= server_->settings_.max_header_bytes) {
        count_requests();
        return false;
      }
      refuse({431, "invalid_request", "the request's chunk header or trailer is too large"});
      return false;
    } else if (ec == beast::http::error::header_limit) {
      refuse({431, "invalid_request", "the request header is too large"});
      return false;
    } else if (ec == beast::http::error::body_limit) {
      refuse({413, "payload_too_large", "the request body is too large"});
      return false;
    } else if (ec) {
      const std::string_view problem = parser_->problem();
      refuse({400, "invalid_request",
              "the request is not valid HTTP/1.1: " + (problem.empty() ? ec.message() : std::string(problem))});
      return false;
    }
  }
  if (parser_->is_header_done() && request.expects_continue) send_continue();
  count_requests();
  return false;
}

void ServerConnection::count_requests() {
  const std::size_t arriving = parser_ ? exchange(next_).request.memory() : 0;
  requests_.set(dispatched_bytes_ + arriving + kept_bytes_ + input_.size() - kFirstInput);
}

// Frees the memory of requests that no handler uses.
void ServerConnection::shed_request() {
  kept_.clear();
  kept_bytes_ = 0;
  if (parser_ && server_) {
    refuse(overloaded());
  }
  count_requests();
}

// A part of the answers may be sent already, so that only the end of the connection shows that the rest is missing.
void ServerConnection::shed_answers() {
  abort();
  answers_.set(0);
}

void ServerConnection::dispatch() {
  std::uint64_t number = next_++;
  Exchange& current = exchange(number);
  parser_.reset();
  started_.reset();
  current.request_bytes = current.request.memory();
  dispatched_bytes_ += current.request_bytes;
  count_requests();
  current.request.received = Clock::now();
  current.request.peer = peer_;
  if (!current.request.keep_alive) ending_ = true;
  const Router& router = server_->dependencies_.router;
  if (server_->cors_.is_preflight(current.request) && router.allows_origins(current.request.path())) {
    server_->cors_.answer_preflight(current.request, current.response);
    return complete(number);
  }
  std::string_view id;
  const Route* route = router.find(current, id);
  if (!route) return complete(number);
  if (route->pages == Route::allowed_origins) {
    if (const std::string problem = current.request.parameters_problem(route->parameters); !problem.empty()) {
      answer_problem(current.response, {400, "invalid_request", "a query parameter is not valid", problem, kSeeRoutes});
      return complete(number);
    }
  }
  // A browser sends a page's request with another type of body to any server, without a preflight.
  if (current.request.method == Method::post && !current.request.body.empty() && !current.request.has_json) {
    answer_problem(current.response, {415, "unsupported_media_type", "the request body is not declared as JSON",
                                      "the header Content-Type is missing or names another type",
                                      "Send Content-Type: application/json."});
    return complete(number);
  }
  if (current.request.has_coding && !current.request.body.empty()) {
    answer_problem(current.response, {415, "unsupported_media_type", "the request body is compressed",
                                      "the header Content-Encoding names a coding", "Send the JSON without a coding."});
    current.response.header("Accept-Encoding", "identity");
    return complete(number);
  }
  // The memory that handlers use cannot be shed, so nothing large is added to it.
  if (server_->dependencies_.memory.exhausted() &&
      (route->answer == Route::large || current.request_bytes > kMaxKept)) {
    answer_problem(current.response, overloaded());
    return complete(number);
  }
  exclusive_ = route->answer != Route::small;
  // The completion handler below keeps this connection alive as long as the route's handler runs.
  if (route->answer == Route::large) current.client_waits = [this] { return client_waits(); };
  asio::co_spawn(socket_.get_executor(), route->handler(current, id),
                 [self = shared_from_this(), number, route](std::exception_ptr error) {
                   self->finish_handler(number, *route, std::move(error));
                 });
}

// A client that only closes its sending side looks like one that has gone, as it does to nginx and other servers.
bool ServerConnection::client_waits() {
  if (!socket_.is_open()) return false;
  char next;
  const ssize_t size = ::recv(socket_.native_handle(), &next, 1, MSG_PEEK | MSG_DONTWAIT);
  return size > 0 || (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
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
void ServerConnection::refuse(const Problem& problem) {
  parser_.reset();
  started_.reset();
  ending_ = true;
  Exchange& refused = exchange(next_);
  refused.response.allowed_origins = server_->dependencies_.router.allows_origins(refused.request.path());
  std::string().swap(refused.request.body);  // an assignment would keep its memory, which is not counted any more
  answer_problem(refused.response, problem);
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
  if ((done.answer_bytes = done.response.memory()) > 0) answers_.set(answers_.bytes() + done.answer_bytes);
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
    const bool ends = ending_ && newest;
    render_head(ready.request, ready.response, server_->cors_,
                ends ? std::chrono::seconds(0) : server_->settings_.keep_alive, Framing::length, ready.head);
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
                    [self = shared_from_this(), answered](boost::system::error_code ec, std::size_t) {
                      self->sending_.reset();
                      if (ec) return self->abort();
                      self->release(answered);
                    });
}

// Keeps the exchanges of sent answers for the next requests, as long as they are small.
void ServerConnection::release(std::size_t answered) {
  std::size_t sent_bytes = 0;
  for (; answered > 0; --answered, ++first_) {
    std::unique_ptr<Exchange> sent = std::move(exchanges_[first_ & (exchanges_.size() - 1)]);
    dispatched_bytes_ -= sent->request_bytes;
    sent_bytes += sent->answer_bytes;
    const std::size_t bytes = sent->request_bytes + sent->answer_bytes;
    if (ending_ || kept_bytes_ + bytes > kMaxKept) continue;
    sent->request.clear();
    sent->response.clear();
    sent->client_waits = nullptr;
    sent->done = false;
    kept_bytes_ += bytes;
    kept_.push_back(std::move(sent));
  }
  answers_.set(answers_.bytes() - std::min(sent_bytes, answers_.bytes()));
  count_requests();
  idle_since_ = Clock::now();
  if (server_ && server_->shutting_down_) server_->progress_.set();
  if (ending_ && first_ == next_) return linger();
  if (!parsing_) parse_all();
}

void ServerConnection::upgrade() {
  Exchange& last = exchange(first_);
  bool chunked = last.request.version >= 11;
  render_head(last.request, last.response, server_->cors_,
              chunked ? server_->settings_.keep_alive : std::chrono::seconds(0),
              chunked ? Framing::chunked : Framing::close, last.head);
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
  // Keep-Alive names a second less than this limit, so that a client does not send a request into the closing of the
  // connection. A connection that has sent no request yet only gets the time of a request.
  const auto idle_limit = next_ == 0 ? timeout : server_->settings_.keep_alive + kKeepAliveGrace;
  if (idle && now - idle_since_ > idle_limit) return abort();
  if (started_ && now - *started_ > timeout) {
    refuse({408, "invalid_request", "the request did not arrive in time"});
  }
  if (idle && now - idle_since_ > kIdle && !kept_.empty()) {
    kept_.clear();
    kept_bytes_ = 0;
    count_requests();
  }
}

}  // namespace sealcast::http
