// Starts a Redis server on a free port for one test.
#pragma once

#include <string>
#include <vector>

#include "client/redis/client.h"
#include "support/scratch.h"
#include "support/server_process.h"

namespace sealcast::test {

class RedisServer {
 public:
  // The server answers when this returns. `arguments` are options of redis-server.
  explicit RedisServer(std::vector<std::string> arguments = {});

  void stop() { process_.kill(); }
  void start();  // starts the server again on the same port, without data
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

  // Sends one command over a new connection. Returns the reply or the error as text. If `password` is not empty, sends
  // it with AUTH before the command.
  std::string command(const std::vector<std::string>& words, const std::string& password = {}) const;
  int port() const { return port_; }
  redis::Options options() const;
  std::string path(const std::string& name) const { return scratch_.path(name); }

 private:
  bool try_start();

  Scratch scratch_;
  std::vector<std::string> arguments_;
  int port_ = 0;
  ServerProcess process_;
};

// Starts a sentinel that watches one master on its own, and that begins a failover half a second after the loss.
class RedisSentinel {
 public:
  RedisSentinel(const std::string& name, int master_port);
  int port() const { return port_; }

 private:
  Scratch scratch_;
  int port_ = free_port();
  ServerProcess process_;
};

}  // namespace sealcast::test
