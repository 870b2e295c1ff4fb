// Accepts connections, bounds their number, and checks their timeouts periodically.
#include "http/server.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>

#include "http/refused_connection.h"

namespace sealcast::http {

namespace {

constexpr std::chrono::milliseconds kTimeoutCheckInterval{250};
constexpr std::size_t kMaxRefused = 256;  // more connections than these are closed without an answer
// Of the kernel, per connection. By default it grows up to 4 MB while the client does not read.
constexpr int kSendBuffer = 128 * 1024;
constexpr std::chrono::milliseconds kAcceptPause{100};  // after accept() failed, often for lack of file descriptors

asio::ip::tcp::endpoint parse_listen(asio::any_io_executor executor, const std::string& listen) {
  std::size_t colon = listen.rfind(':');
  std::string host = listen.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  asio::ip::tcp::resolver resolver(executor);
  boost::system::error_code ec;
  auto found = resolver.resolve(host, colon == listen.npos ? "" : listen.substr(colon + 1),
                                asio::ip::tcp::resolver::passive, ec);
  if (ec || found.empty()) {
    throw std::runtime_error("cannot listen on \"" + listen + "\": " + ec.message() +
                             "; set http.listen to host:port, for example 127.0.0.1:8080");
  }
  return found.begin()->endpoint();
}

// Finds peers that vanish without closing their connection, after `timeout`: unacknowledged bytes end a connection, and
// an idle connection is probed. Connections inherit these options from the socket that accepts them.
void end_vanished_peers(asio::ip::tcp::acceptor& acceptor, std::chrono::seconds timeout) {
  const int seconds = static_cast<int>(timeout.count());
  const auto set = [&](int level, int name, int value) {
    ::setsockopt(acceptor.native_handle(), level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 1000 * seconds);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, std::max(1, seconds / 2));
  set(IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, seconds / 6));
}

}  // namespace

Server::Server(asio::any_io_executor executor, Dependencies dependencies, ServerSettings settings)
    : executor_(executor),
      dependencies_(std::move(dependencies)),
      settings_(std::move(settings)),
      cors_(settings_.cors_origins, settings_.cors_headers),
      acceptor_(executor),
      timeout_timer_(executor),
      accept_timer_(executor),
      progress_(executor) {}

Server::~Server() {
  close();
  for (ServerConnection* connection : connections_) connection->detach_server();
}

void Server::start() {
  auto endpoint = parse_listen(executor_, settings_.listen);
  try {
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(asio::socket_base::reuse_address(true));
    acceptor_.set_option(asio::socket_base::send_buffer_size(kSendBuffer));
    end_vanished_peers(acceptor_, settings_.ack_timeout);
    acceptor_.bind(endpoint);
    acceptor_.listen(asio::socket_base::max_listen_connections);
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error("cannot listen on " + settings_.listen + ": " + error.code().message() +
                             "; choose another address with http.listen");
  }
  accept();
  check_timeouts();
}

void Server::accept() {
  acceptor_.async_accept([this](boost::system::error_code ec, asio::ip::tcp::socket socket) {
    if (ec == asio::error::operation_aborted || shutting_down_) return;
    if (ec) {
      accept_timer_.expires_after(kAcceptPause);
      accept_timer_.async_wait([this](boost::system::error_code aborted) {
        if (!aborted) accept();
      });
      return;
    }
    if (connections_.size() + dependencies_.upgraded() < settings_.max_connections) {
      auto connection = std::make_shared<ServerConnection>(*this, std::move(socket));
      connection->index = connections_.size();
      connections_.push_back(connection.get());
      dependencies_.connections.Set(static_cast<double>(connections_.size()));
      connection->start();
    } else {
      refuse(std::move(socket));
    }
    accept();
  });
}

void Server::refuse(asio::ip::tcp::socket socket) {
  Response response;
  answer_problem(response,
                 {503, "overloaded", "too many connections", {}, "Retry after a pause.", std::chrono::seconds(1)});
  std::string bytes;
  render_head({}, response, cors_, std::chrono::seconds(0), Framing::length, bytes);
  bytes += response.body;
  if (*refused_ < kMaxRefused) std::make_shared<RefusedConnection>(std::move(socket), refused_)->answer(bytes);
}

void Server::remove(ServerConnection& connection) {
  connections_[connection.index] = connections_.back();
  connections_[connection.index]->index = connection.index;
  connections_.pop_back();
  dependencies_.connections.Set(static_cast<double>(connections_.size()));
  progress_.set();
}

// Iterates backwards: when `function` ends a connection, remove() moves the last connection to the freed index. The
// moved connection was already visited.
template <typename Function>
void Server::for_each_connection(Function function) {
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (i < connections_.size()) function(*connections_[i]->shared_from_this());
  }
}

void Server::check_timeouts() {
  timeout_timer_.expires_after(kTimeoutCheckInterval);
  timeout_timer_.async_wait([this](boost::system::error_code ec) {
    if (ec) return;
    const auto now = ServerConnection::Clock::now();
    for_each_connection([now](ServerConnection& connection) { connection.check_timeouts(now); });
    check_timeouts();
  });
}

void Server::shut_down() {
  shutting_down_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  for_each_connection([](ServerConnection& connection) { connection.shut_down(); });
}

bool Server::busy() const {
  return std::ranges::any_of(connections_, [](const ServerConnection* connection) { return connection->busy(); });
}

asio::awaitable<bool> Server::wait_idle(Event::Clock::time_point deadline) {
  while (busy() && Event::Clock::now() < deadline) {
    progress_.clear();
    co_await progress_.wait_until(deadline);
  }
  co_return !busy();
}

void Server::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  timeout_timer_.cancel();
  accept_timer_.cancel();
  for_each_connection([](ServerConnection& connection) { connection.abort(); });
}

}  // namespace sealcast::http
