// Runs libcurl's transfers on the event loop. libcurl tells this class, by callbacks, for which sockets and how long to
// wait. Asio does the waiting.
// https://curl.se/libcurl/c/libcurl-multi.html
#pragma once

#include <curl/curl.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <unordered_map>

#include "base/asio.h"

namespace sealcast::client::http {

class Multi : public std::enable_shared_from_this<Multi> {
 public:
  using Ended = std::function<void(CURLcode)>;

  Multi(asio::any_io_executor executor, long max_connections);
  ~Multi();
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  // Starts a transfer. Calls `ended` once, on the event loop, when the transfer has ended. Does not call it after
  // remove().
  void add(CURL* easy, Ended ended);
  void remove(CURL* easy);

  // Ends all transfers with CURLE_ABORTED_BY_CALLBACK. Transfers that are added later end at once.
  void stop();

 private:
  struct Socket {
    explicit Socket(const asio::any_io_executor& executor) : descriptor(executor) {}
    asio::posix::stream_descriptor descriptor;  // libcurl owns the file descriptor
    int wanted = 0;                             // CURL_POLL_IN, _OUT or _INOUT; 0: libcurl no longer needs it
    bool reading = false;
    bool writing = false;
  };
  using SocketPtr = std::shared_ptr<Socket>;

  static int on_socket(CURL* easy, curl_socket_t file, int what, void* self, void* unused);
  static int on_timer(CURLM* multi, long milliseconds, void* self);
  void watch(curl_socket_t file, int what);
  void arm(const SocketPtr& socket);
  void wait(const SocketPtr& socket, bool& waiting, asio::posix::stream_descriptor::wait_type type, int event);
  void act(curl_socket_t file, int events);

  asio::any_io_executor executor_;
  asio::steady_timer timer_;
  CURLM* multi_;
  std::unordered_map<curl_socket_t, SocketPtr> sockets_;
  std::unordered_map<CURL*, Ended> transfers_;
  bool stopped_ = false;
};

}  // namespace sealcast::client::http
