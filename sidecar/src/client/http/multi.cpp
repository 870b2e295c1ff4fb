// Waits for libcurl's sockets and its timer, and passes their events to libcurl.
#include "client/http/multi.h"

#include <boost/asio/post.hpp>
#include <chrono>
#include <new>
#include <utility>

namespace sealcast::client::http {

Multi::Multi(asio::any_io_executor executor, long max_connections)
    : executor_(std::move(executor)), timer_(executor_), multi_(curl_multi_init()) {
  if (!multi_) throw std::bad_alloc();
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, max_connections);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, max_connections);  // how many idle connections stay open
}

Multi::~Multi() {
  for (auto& [easy, ended] : transfers_) curl_multi_remove_handle(multi_, easy);
  curl_multi_cleanup(multi_);
}

void Multi::add(CURL* easy, Ended ended) {
  if (stopped_) {
    asio::post(executor_, [ended = std::move(ended)] { ended(CURLE_ABORTED_BY_CALLBACK); });
    return;
  }
  transfers_.emplace(easy, std::move(ended));
  curl_multi_add_handle(multi_, easy);
}

void Multi::remove(CURL* easy) {
  if (transfers_.erase(easy) > 0) curl_multi_remove_handle(multi_, easy);
}

void Multi::stop() {
  stopped_ = true;
  auto transfers = std::exchange(transfers_, {});
  for (auto& [easy, ended] : transfers) {
    curl_multi_remove_handle(multi_, easy);
    ended(CURLE_ABORTED_BY_CALLBACK);
  }
  timer_.cancel();
}

int Multi::on_socket(CURL*, curl_socket_t file, int what, void* self, void*) {
  static_cast<Multi*>(self)->watch(file, what);
  return 0;
}

int Multi::on_timer(CURLM*, long milliseconds, void* self) {
  auto& multi = *static_cast<Multi*>(self);
  multi.timer_.cancel();
  if (milliseconds < 0) return 0;
  multi.timer_.expires_after(std::chrono::milliseconds(milliseconds));
  // libcurl must not be called from its own callback, so a wait of 0 ms also goes through the event loop.
  multi.timer_.async_wait([weak = multi.weak_from_this()](const boost::system::error_code& error) {
    const auto alive = weak.lock();
    if (!error && alive) alive->act(CURL_SOCKET_TIMEOUT, 0);
  });
  return 0;
}

void Multi::watch(curl_socket_t file, int what) {
  const auto found = sockets_.find(file);
  if (what == CURL_POLL_REMOVE) {
    if (found == sockets_.end()) return;
    found->second->wanted = 0;
    found->second->descriptor.release();
    sockets_.erase(found);
    return;
  }
  SocketPtr socket;
  if (found != sockets_.end()) {
    socket = found->second;
  } else {
    socket = std::make_shared<Socket>(executor_);
    socket->descriptor.assign(file);
    sockets_.emplace(file, socket);
  }
  socket->wanted = what;
  arm(socket);
}

void Multi::arm(const SocketPtr& socket) {
  using Descriptor = asio::posix::stream_descriptor;
  if (socket->wanted & CURL_POLL_IN) wait(socket, socket->reading, Descriptor::wait_read, CURL_CSELECT_IN);
  if (socket->wanted & CURL_POLL_OUT) wait(socket, socket->writing, Descriptor::wait_write, CURL_CSELECT_OUT);
}

void Multi::wait(const SocketPtr& socket, bool& waiting, asio::posix::stream_descriptor::wait_type type, int event) {
  if (std::exchange(waiting, true)) return;
  socket->descriptor.async_wait(
      type, [weak = weak_from_this(), socket, &waiting, event](const boost::system::error_code& error) {
        waiting = false;
        const auto alive = weak.lock();
        if (!alive || socket->wanted == 0) return;
        // During this wait, watch() may have changed `wanted`, so that it no longer contains this direction.
        const bool still_wanted = (socket->wanted & (event == CURL_CSELECT_IN ? CURL_POLL_IN : CURL_POLL_OUT)) != 0;
        if (still_wanted) alive->act(socket->descriptor.native_handle(), error ? CURL_CSELECT_ERR : event);
        if (socket->wanted != 0) alive->arm(socket);
      });
}

void Multi::act(curl_socket_t file, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, file, events, &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    const CURLcode code = message->data.result;  // read before curl_multi_remove_handle() frees `message`
    auto transfer = transfers_.extract(easy);
    curl_multi_remove_handle(multi_, easy);
    if (transfer) transfer.mapped()(code);
  }
}

}  // namespace sealcast::client::http
