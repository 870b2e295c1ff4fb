// Accepts connections and looks after their patience.
#include "http/server.h"

#include <stdexcept>

#include "base/log.h"

namespace sealcast::http {

namespace {

constexpr std::chrono::milliseconds kWatchEvery{250};
constexpr std::chrono::milliseconds kAcceptPause{100};  // when the process has no file descriptor left

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

}  // namespace

Server::Server(asio::any_io_executor executor, const Router& router, Metrics& metrics, ServerSettings settings)
    : executor_(executor),
      router_(router),
      metrics_(metrics),
      settings_(std::move(settings)),
      cors_(settings_.cors_origins),
      acceptor_(executor),
      watch_timer_(executor),
      accept_timer_(executor) {}

Server::~Server() {
  close();
  for (Connection* connection : connections_) connection->forget_server();
}

void Server::start() {
  auto endpoint = parse_listen(executor_, settings_.listen);
  try {
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(asio::socket_base::reuse_address(true));
    acceptor_.bind(endpoint);
    acceptor_.listen(asio::socket_base::max_listen_connections);
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error("cannot listen on " + settings_.listen + ": " + error.code().message() +
                             "; choose another address with http.listen");
  }
  accept();
  watch();
}

void Server::accept() {
  acceptor_.async_accept([this](boost::system::error_code ec, asio::ip::tcp::socket socket) {
    if (ec == asio::error::operation_aborted || draining_) return;
    if (ec) {
      accept_timer_.expires_after(kAcceptPause);
      accept_timer_.async_wait([this](boost::system::error_code aborted) {
        if (!aborted) accept();
      });
      return;
    }
    if (connections_.size() + settings_.handed_over() < settings_.max_connections) {
      auto connection = std::make_shared<Connection>(*this, std::move(socket));
      connection->index = connections_.size();
      connections_.push_back(connection.get());
      metrics_.http_connections.Set(static_cast<double>(connections_.size()));
      connection->start();
    } else {
      Response response;
      answer_problem(response,
                     {503, "overloaded", "too many connections", {}, "Retry after a pause.", std::chrono::seconds(1)});
      std::string bytes;
      render_head({}, response, cors_, false, Framing::length, bytes);
      bytes += response.body;
      boost::system::error_code ignored;
      socket.non_blocking(true, ignored);
      socket.write_some(asio::buffer(bytes), ignored);
    }
    accept();
  });
}

void Server::remove(Connection& connection) {
  connections_[connection.index] = connections_.back();
  connections_[connection.index]->index = connection.index;
  connections_.pop_back();
  metrics_.http_connections.Set(static_cast<double>(connections_.size()));
}

void Server::watch() {
  watch_timer_.expires_after(kWatchEvery);
  watch_timer_.async_wait([this](boost::system::error_code ec) {
    if (ec) return;
    auto now = Connection::Clock::now();
    // Backwards, since one that ends gives its place to the last.
    for (std::size_t i = connections_.size(); i-- > 0;) {
      if (i < connections_.size()) connections_[i]->shared_from_this()->check_patience(now);
    }
    watch();
  });
}

void Server::drain() {
  draining_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (i < connections_.size()) connections_[i]->shared_from_this()->drain();
  }
}

bool Server::busy() const {
  for (const Connection* connection : connections_) {
    if (connection->busy()) return true;
  }
  return false;
}

void Server::close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  watch_timer_.cancel();
  accept_timer_.cancel();
  for (std::size_t i = connections_.size(); i-- > 0;) {
    if (i < connections_.size()) connections_[i]->shared_from_this()->abort();
  }
}

}  // namespace sealcast::http
