// Starting, freezing and stopping redis-server.
#include "redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

namespace sealcast::test {
namespace {

using ContextPtr = std::unique_ptr<redisContext, decltype(&redisFree)>;

ContextPtr connect(int port) { return {redisConnectWithTimeout("127.0.0.1", port, timeval{5, 0}), redisFree}; }

}  // namespace

int free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(probe, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(probe);
  return ntohs(address.sin_port);
}

RedisServer::RedisServer(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
  for (int attempt = 0; attempt < 5; ++attempt) {  // another process may be quicker to take the free port
    port_ = free_port();
    if (try_start()) return;
  }
  throw std::runtime_error("redis-server does not start; see that it is installed");
}

RedisServer::~RedisServer() { stop(); }

bool RedisServer::try_start() {
  std::vector<std::string> words = {
      "redis-server", "--port", std::to_string(port_), "--bind",     "127.0.0.1", "--save", "", "--appendonly",
      "no",           "--dir",  scratch_.path(""),     "--loglevel", "warning"};
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::string log = scratch_.path("redis.log");
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing stays behind when the test crashes
    const int out = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < end) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    const auto context = connect(port_);
    if (context->err == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

void RedisServer::start() {
  if (!try_start()) throw std::runtime_error("redis-server does not start again on its port");
}

void RedisServer::stop() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

// Never with a pid of -1, which would mean every process.
void RedisServer::freeze() {
  if (pid_ > 0) ::kill(pid_, SIGSTOP);
}

void RedisServer::thaw() {
  if (pid_ > 0) ::kill(pid_, SIGCONT);
}

std::string RedisServer::command(const std::vector<std::string>& words, const std::string& password) const {
  const auto context = connect(port_);
  if (context->err != 0) return context->errstr;
  if (!password.empty()) freeReplyObject(redisCommand(context.get(), "AUTH %s", password.c_str()));
  std::vector<const char*> starts;
  std::vector<std::size_t> sizes;
  for (const auto& word : words) {
    starts.push_back(word.data());
    sizes.push_back(word.size());
  }
  const redis::ReplyPtr reply(static_cast<redisReply*>(
      redisCommandArgv(context.get(), static_cast<int>(words.size()), starts.data(), sizes.data())));
  if (!reply) return context->errstr;
  if (reply->type == REDIS_REPLY_INTEGER) return std::to_string(reply->integer);
  return reply->str != nullptr ? std::string(reply->str, reply->len) : std::string();
}

redis::Options RedisServer::options() const {
  redis::Options options;
  options.address = {"127.0.0.1", static_cast<std::uint16_t>(port_)};
  return options;
}

}  // namespace sealcast::test
