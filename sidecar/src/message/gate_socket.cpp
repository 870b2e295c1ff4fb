// Accepts connections of Postgres backends, reads all checks that have arrived, and answers them in order.
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

constexpr std::chrono::milliseconds kAcceptPause{100};  // after an error: the process may be out of file descriptors

std::runtime_error cannot_listen(const std::string& path, const std::string& why, const std::string& fix) {
  return std::runtime_error("gate.socket: cannot listen on \"" + path + "\": " + why + "; " + fix);
}

// Removes the socket that a killed process has left. If a process still accepts connections on it, throws instead.
void remove_stale(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) {
    throw cannot_listen(path, "the path exists and is no socket", "remove it or choose another path");
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const bool refused = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
                       (errno == ECONNREFUSED || errno == ENOENT);
  ::close(probe);
  if (!refused) {
    throw cannot_listen(path, "another process listens there", "stop it or choose another path");
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

class GateSocket::Impl : public std::enable_shared_from_this<GateSocket::Impl> {
 public:
  Impl(asio::any_io_executor executor, Gate& gate, Limits& limits, Metrics& metrics,
       const config::Settings::Gate& settings)
      : executor_(executor),
        gate_(gate),
        limits_(limits),
        metrics_(metrics),
        path_(settings.socket),
        group_(settings.socket_group),
        acceptor_(executor),
        all_closed_(executor) {
    all_closed_.set();
  }

  void start() {
    const std::optional<gid_t> group = group_.empty() ? std::nullopt : std::optional(group_named(group_, path_));
    remove_stale(path_);
    acceptor_.open();
    // With this umask only our own user can connect until the group and the mode are set.
    const mode_t mask = ::umask(0177);
    boost::system::error_code error;
    acceptor_.bind(Local::endpoint(path_), error);
    ::umask(mask);
    if (error) throw cannot_listen(path_, error.message(), "create its directory and let sealcastd write there");
    if (group && ::chown(path_.c_str(), static_cast<uid_t>(-1), *group) != 0) {
      const std::string why = std::strerror(errno);
      ::unlink(path_.c_str());
      throw cannot_listen(path_, "group \"" + group_ + "\": " + why, "make sealcastd's user a member of it");
    }
    ::chmod(path_.c_str(), 0660);
    struct stat status {};
    ::lstat(path_.c_str(), &status);
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
    if (inode_ && ::lstat(path_.c_str(), &status) == 0 && status.st_ino == *inode_) {
      ::unlink(path_.c_str());
    }
    for (Connection* connection : connections_) {
      if (connection->idle) connection->socket.cancel(ignored);
    }
  }

  std::size_t connections() const { return connections_.size(); }
  asio::awaitable<bool> wait_closed(Event::Clock::time_point deadline) { return all_closed_.wait_until(deadline); }

 private:
  struct Connection {
    explicit Connection(Local::socket connected) : socket(std::move(connected)) {}
    Local::socket socket;
    std::string in;
    bool idle = false;  // waits for bytes, and all earlier checks are answered: stop() may close it
  };

  asio::awaitable<void> accept() {
    while (!stopping_) {
      boost::system::error_code error;
      Local::socket socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (stopping_) co_return;
      if (error) {
        co_await sleep_for(kAcceptPause);
      } else if (connections_.size() >= kMaxConnections) {
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
    Connection connection(std::move(socket));
    connections_.insert(&connection);
    all_closed_.clear();
    metrics_.socket_connections.Set(static_cast<double>(connections_.size()));
    try {
      while (!stopping_ && co_await exchange(connection)) {
      }
    } catch (const boost::system::system_error&) {
      // The backend has closed the connection (it has ended, or its deadline has passed), or stop() has cancelled the
      // read.
    }
    connections_.erase(&connection);
    if (connections_.empty()) all_closed_.set();
    metrics_.socket_connections.Set(static_cast<double>(connections_.size()));
  }

  // Reads until at least one line is complete, and answers all complete lines. Returns false if the connection must be
  // closed because a line was invalid.
  asio::awaitable<bool> exchange(Connection& connection) {
    while (connection.in.find('\n') == std::string::npos) {
      if (connection.in.size() > kMaxCheckBytes)
        co_return co_await refuse(connection, std::vector<GateCheck>(), "line over 512 bytes");
      std::array<char, 4096> chunk;
      connection.idle = true;
      const auto size = co_await connection.socket.async_read_some(asio::buffer(chunk), asio::use_awaitable);
      connection.idle = false;
      connection.in.append(chunk.data(), size);
    }
    std::vector<GateCheck> checks;
    std::size_t begin = 0;
    for (std::size_t end;
         checks.size() < kMaxPipelined && (end = connection.in.find('\n', begin)) != std::string::npos;) {
      const auto line = std::string_view(connection.in).substr(begin, end - begin);
      auto check = parse_check(line);
      if (!check) {
        co_return co_await refuse(connection, std::move(checks),
                                  line.size() > kMaxCheckBytes
                                      ? "line over 512 bytes"
                                      : "expected: check <sender_id> <stream_id> <t> <txn_id> [<text>]");
      }
      checks.push_back(std::move(*check));
      begin = end + 1;
    }
    connection.in.erase(0, begin);
    const std::string answers = co_await answer(std::move(checks));
    co_await asio::async_write(connection.socket, asio::buffer(answers), asio::use_awaitable);
    co_return true;
  }

  // Answers the checks before the invalid line, and then sends the error.
  asio::awaitable<bool> refuse(Connection& connection, std::vector<GateCheck> before, std::string_view reason) {
    metrics_.socket_errors.Increment();
    std::string answers = co_await answer(std::move(before));
    answers.append("error ").append(reason).append("\n");
    co_await asio::async_write(connection.socket, asio::buffer(answers), asio::use_awaitable);
    co_return false;
  }

  asio::awaitable<std::string> answer(std::vector<GateCheck> checks) {
    if (checks.size() == 1) co_return co_await answer_one(std::move(checks.front()));
    struct Answers {
      Answers(const asio::any_io_executor& executor, std::size_t count)
          : lines(count), missing(count), complete(executor) {}
      std::vector<std::string> lines;
      std::size_t missing;
      Event complete;
    };
    if (checks.empty()) co_return std::string();
    const auto answers = std::make_shared<Answers>(executor_, checks.size());
    for (std::size_t i = 0; i < checks.size(); ++i) {
      asio::co_spawn(executor_, answer_one(std::move(checks[i])),
                     [self = shared_from_this(), answers, i](std::exception_ptr, std::string line) {
                       answers->lines[i] = std::move(line);
                       if (--answers->missing == 0) answers->complete.set();
                     });
    }
    co_await answers->complete.wait_until();
    std::string all;
    for (const auto& line : answers->lines) all += line;
    co_return all;
  }

  asio::awaitable<std::string> answer_one(GateCheck check) {
    metrics_.socket_checks.Increment();
    std::string bucket(limits_.bucket(check.t));
    const SenderLimits allowed = co_await limits_.limits_for(check.t, check.stream_id, check.sender_id);
    // Postgres hashes the text only for streams that need it. It learns here that the stream does.
    if (allowed.rules.counts_text() && !check.text) co_return "text\n";
    // Named for GCC 12: see CONTRIBUTING.md.
    GateRequest request{std::move(check.sender_id),
                        std::move(bucket),
                        std::move(check.txn_id),
                        allowed.rate,
                        std::move(check.stream_id),
                        allowed.rules,
                        std::move(check.text).value_or(std::string())};
    co_return to_line(co_await gate_.check(std::move(request)));
  }

  asio::any_io_executor executor_;
  Gate& gate_;
  Limits& limits_;
  Metrics& metrics_;
  const std::string path_;
  const std::string group_;
  Local::acceptor acceptor_;
  std::optional<ino_t> inode_;  // of our socket: stop() must not remove the socket of another process
  std::set<Connection*> connections_;
  Event all_closed_;
  bool stopping_ = false;
};

GateSocket::GateSocket(asio::any_io_executor executor, Gate& gate, Limits& limits, Metrics& metrics,
                       const config::Settings::Gate& settings)
    : impl_(std::make_shared<Impl>(std::move(executor), gate, limits, metrics, settings)) {}
GateSocket::~GateSocket() { stop(); }

void GateSocket::start() { impl_->start(); }
void GateSocket::stop() { impl_->stop(); }
std::size_t GateSocket::connections() const { return impl_->connections(); }

asio::awaitable<bool> GateSocket::wait_closed(Event::Clock::time_point deadline) {
  return impl_->wait_closed(deadline);
}

}  // namespace sealcast::message
