// Accepts connections, reads checks as many as have come, and answers them in order.
#include "message/gate_socket.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <stdexcept>
#include <vector>

#include "message/gate_check.h"

namespace sealcast::message {
namespace {

using Local = asio::local::stream_protocol;

constexpr std::chrono::milliseconds kAcceptPause{100};  // when the process is out of file descriptors

std::runtime_error cannot_listen(const std::string& path, const std::string& why, const std::string& fix) {
  return std::runtime_error("gate.socket: cannot listen on \"" + path + "\": " + why + "; " + fix);
}

// A process that was killed leaves its socket behind; one that lives answers on it.
void remove_stale(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) {
    throw cannot_listen(path, "something that is no socket stands there", "remove it or choose another path");
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const bool refused = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
                       (errno == ECONNREFUSED || errno == ENOENT);
  ::close(probe);
  if (!refused) {
    throw cannot_listen(path, "another process answers there", "stop it or choose another path");
  }
  ::unlink(path.c_str());
}

gid_t group_named(const std::string& name, const std::string& path) {
  std::vector<char> buffer(16 * 1024);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    throw cannot_listen(path, "there is no group \"" + name + "\"", "create it or change gate.socket_group");
  }
  return found->gr_gid;
}

}  // namespace

class SocketServer::Impl : public std::enable_shared_from_this<SocketServer::Impl> {
 public:
  Impl(asio::any_io_executor executor, Gate& gate, Limits& limits, Metrics& metrics, SocketServerSettings settings)
      : executor_(executor),
        gate_(gate),
        limits_(limits),
        metrics_(metrics),
        settings_(std::move(settings)),
        acceptor_(executor) {}

  void start() {
    const std::string& path = settings_.path;
    const std::optional<gid_t> group =
        settings_.group.empty() ? std::nullopt : std::optional(group_named(settings_.group, path));
    remove_stale(path);
    acceptor_.open();
    // Nobody else may connect before owner and mode are what they should be.
    const mode_t mask = ::umask(0177);
    boost::system::error_code error;
    acceptor_.bind(Local::endpoint(path), error);
    ::umask(mask);
    if (error) throw cannot_listen(path, error.message(), "create its directory and let sealcastd write there");
    if (group && ::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) {
      const std::string why = std::strerror(errno);
      ::unlink(path.c_str());
      throw cannot_listen(path, "group \"" + settings_.group + "\": " + why, "make sealcastd's user a member of it");
    }
    ::chmod(path.c_str(), 0660);
    struct stat status {};
    ::lstat(path.c_str(), &status);
    inode_ = status.st_ino;
    acceptor_.listen();
    asio::co_spawn(
        executor_, [self = shared_from_this()] { return self->accept(); }, asio::detached);
  }

  void stop() {
    if (stopping_) return;
    stopping_ = true;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    struct stat status {};
    if (inode_ && ::lstat(settings_.path.c_str(), &status) == 0 && status.st_ino == *inode_) {
      ::unlink(settings_.path.c_str());
    }
    for (Peer* peer : peers_) {
      if (peer->idle) peer->socket.cancel(ignored);
    }
  }

  std::size_t connections() const { return peers_.size(); }

 private:
  struct Peer {
    explicit Peer(Local::socket connected) : socket(std::move(connected)) {}
    Local::socket socket;
    std::string in;
    bool idle = false;  // waits for a line and has nothing to answer
  };

  asio::awaitable<void> accept() {
    while (!stopping_) {
      boost::system::error_code error;
      Local::socket socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (stopping_) co_return;
      if (error) {
        asio::steady_timer pause(executor_, kAcceptPause);
        co_await pause.async_wait(asio::use_awaitable);
      } else if (peers_.size() >= kMaxConnections) {
        metrics_.socket_errors.Increment();
        socket.non_blocking(true, error);
        socket.write_some(asio::buffer(std::string_view("error too many connections\n")), error);
      } else {
        asio::co_spawn(
            executor_,
            [self = shared_from_this(), socket = std::move(socket)]() mutable {
              return self->serve(std::move(socket));
            },
            asio::detached);
      }
    }
  }

  asio::awaitable<void> serve(Local::socket socket) {
    Peer peer(std::move(socket));
    peers_.insert(&peer);
    metrics_.socket_connections.Set(static_cast<double>(peers_.size()));
    try {
      while (!stopping_ && co_await exchange(peer)) {
      }
    } catch (const boost::system::system_error&) {
      // The other side went away: a backend that ended, or whose deadline passed.
    }
    peers_.erase(&peer);
    metrics_.socket_connections.Set(static_cast<double>(peers_.size()));
  }

  // Reads until a line is whole, then answers all lines that have come. False: the connection is done with.
  asio::awaitable<bool> exchange(Peer& peer) {
    while (peer.in.find('\n') == std::string::npos) {
      if (peer.in.size() > kMaxCheckBytes)
        co_return co_await refuse(peer, std::vector<GateCheck>(), "line over 512 bytes");
      std::array<char, 4096> chunk;
      peer.idle = true;
      const auto size = co_await peer.socket.async_read_some(asio::buffer(chunk), asio::use_awaitable);
      peer.idle = false;
      peer.in.append(chunk.data(), size);
    }
    std::vector<GateCheck> checks;
    std::size_t begin = 0;
    for (std::size_t end; checks.size() < kMaxPipelined && (end = peer.in.find('\n', begin)) != std::string::npos;) {
      const auto line = std::string_view(peer.in).substr(begin, end - begin);
      auto check = parse_check(line);
      if (!check) {
        co_return co_await refuse(peer, std::move(checks),
                                  line.size() > kMaxCheckBytes
                                      ? "line over 512 bytes"
                                      : "expected: check <sender_id> <stream_id> <t> <txn_id>");
      }
      checks.push_back(std::move(*check));
      begin = end + 1;
    }
    peer.in.erase(0, begin);
    const std::string answers = co_await answer(std::move(checks));
    co_await asio::async_write(peer.socket, asio::buffer(answers), asio::use_awaitable);
    co_return true;
  }

  // What came before the bad line is still answered.
  asio::awaitable<bool> refuse(Peer& peer, std::vector<GateCheck> before, std::string_view why) {
    metrics_.socket_errors.Increment();
    std::string answers = co_await answer(std::move(before));
    answers.append("error ").append(why).append("\n");
    co_await asio::async_write(peer.socket, asio::buffer(answers), asio::use_awaitable);
    co_return false;
  }

  asio::awaitable<std::string> answer(std::vector<GateCheck> checks) {
    if (checks.size() == 1) co_return co_await answer_one(std::move(checks.front()));
    struct Gathering {
      explicit Gathering(const asio::any_io_executor& executor) : done(executor, Clock::time_point::max()) {}
      using Clock = std::chrono::steady_clock;
      std::vector<std::string> lines;
      std::size_t missing = 0;
      asio::steady_timer done;  // cancelled when nothing is missing
    };
    const auto gathering = std::make_shared<Gathering>(executor_);
    gathering->lines.resize(checks.size());
    gathering->missing = checks.size();
    for (std::size_t i = 0; i < checks.size(); ++i) {
      asio::co_spawn(executor_, answer_one(std::move(checks[i])),
                     [self = shared_from_this(), gathering, i](std::exception_ptr, std::string line) {
                       gathering->lines[i] = std::move(line);
                       if (--gathering->missing == 0) gathering->done.cancel();
                     });
    }
    while (gathering->missing > 0) {
      boost::system::error_code ignored;
      co_await gathering->done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    std::string all;
    for (const auto& line : gathering->lines) all += line;
    co_return all;
  }

  asio::awaitable<std::string> answer_one(GateCheck check) {
    metrics_.socket_checks.Increment();
    std::string bucket(limits_.bucket(check.t));
    const int limit = co_await limits_.limit_for(check.t, std::move(check.stream_id), check.sender_id);
    // Named for GCC 12: see CONTRIBUTING.md.
    GateRequest request{std::move(check.sender_id), std::move(bucket), std::move(check.txn_id), limit};
    co_return to_line(co_await gate_.check(std::move(request)));
  }

  asio::any_io_executor executor_;
  Gate& gate_;
  Limits& limits_;
  Metrics& metrics_;
  SocketServerSettings settings_;
  Local::acceptor acceptor_;
  std::optional<ino_t> inode_;
  std::set<Peer*> peers_;
  bool stopping_ = false;
};

SocketServer::SocketServer(asio::any_io_executor executor, Gate& gate, Limits& limits, Metrics& metrics,
                           SocketServerSettings settings)
    : impl_(std::make_shared<Impl>(std::move(executor), gate, limits, metrics, std::move(settings))) {}
SocketServer::~SocketServer() { stop(); }

void SocketServer::start() { impl_->start(); }
void SocketServer::stop() { impl_->stop(); }
std::size_t SocketServer::connections() const { return impl_->connections(); }

}  // namespace sealcast::message
