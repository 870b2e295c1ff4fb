// Starts redis-server and sends it commands.
#include "support/redis_server.h"

#include <hiredis/hiredis.h>

#include <fstream>
#include <memory>
#include <stdexcept>

namespace sealcast::test {
namespace {

using ContextPtr = std::unique_ptr<redisContext, decltype(&redisFree)>;

ContextPtr connect(int port) { return {redisConnectWithTimeout("127.0.0.1", port, timeval{5, 0}), redisFree}; }

}  // namespace

RedisServer::RedisServer(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
  for (int attempt = 0; attempt < 5; ++attempt) {  // another process may take the port before redis-server does
    port_ = free_port();
    if (try_start()) return;
  }
  throw std::runtime_error("redis-server does not start; check that it is installed");
}

bool RedisServer::try_start() {
  std::vector<std::string> words = {
      "redis-server", "--port", std::to_string(port_), "--bind",     "127.0.0.1", "--save", "", "--appendonly",
      "no",           "--dir",  scratch_.path(""),     "--loglevel", "warning"};
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  return process_.start(std::move(words), scratch_.path("redis.log"), [this] { return connect(port_)->err == 0; });
}

void RedisServer::start() {
  if (!try_start()) throw std::runtime_error("redis-server does not start again on its port");
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
  options.seeds = {{"127.0.0.1", static_cast<std::uint16_t>(port_)}};
  return options;
}

RedisSentinel::RedisSentinel(const std::string& name, int master_port) {
  std::ofstream(scratch_.path("sentinel.conf"))
      << "port " << port_ << "\nbind 127.0.0.1\nsentinel monitor " << name << " 127.0.0.1 " << master_port
      << " 1\nsentinel down-after-milliseconds " << name << " 500\nsentinel failover-timeout " << name << " 3000\n";
  // A sentinel knows the replicas of its master only after a while, and fails over only to a replica that it knows.
  const auto knows_replica = [this, &name] {
    const auto context = connect(port_);
    if (context->err != 0) return false;
    const redis::ReplyPtr reply(
        static_cast<redisReply*>(redisCommand(context.get(), "SENTINEL REPLICAS %s", name.c_str())));
    return !redis::elements_of(reply.get()).empty();
  };
  if (!process_.start({"redis-server", scratch_.path("sentinel.conf"), "--sentinel"}, scratch_.path("sentinel.log"),
                      knows_replica)) {
    throw std::runtime_error("the sentinel does not start");
  }
}

}  // namespace sealcast::test
