// Ends refused connections without a reset.
#include "http/refused_connection.h"

#include <utility>

namespace sealcast::http {

RefusedConnection::RefusedConnection(asio::ip::tcp::socket socket, std::shared_ptr<std::size_t> count)
    : socket_(std::move(socket)), deadline_(socket_.get_executor(), kLinger), count_(std::move(count)) {
  ++*count_;
}

RefusedConnection::~RefusedConnection() { --*count_; }

void RefusedConnection::answer(const std::string& bytes) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.write_some(asio::buffer(bytes), ignored);
  socket_.shutdown(socket_.shutdown_send, ignored);
  deadline_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
    boost::system::error_code ignored;
    if (!ec) self->socket_.close(ignored);
  });
  discard();
}

void RefusedConnection::discard() {
  socket_.async_read_some(asio::buffer(discarded_),
                          [self = shared_from_this()](boost::system::error_code ec, std::size_t) {
                            if (!ec) return self->discard();
                            self->deadline_.cancel();
                          });
}

}  // namespace sealcast::http
