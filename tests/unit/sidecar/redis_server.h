// A redis-server of the test's own, on a free port, gone with it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "redis/client.h"
#include "scratch.h"

namespace sealcast::test {

class RedisServer {
 public:
  // Started and answering when this returns; `arguments` are options of redis-server.
  explicit RedisServer(std::vector<std::string> arguments = {});
  ~RedisServer();

  void stop();   // kills it; its port stays reserved for start()
  void start();  // again on the same port, empty
  void freeze();
  void thaw();

  // One command over a connection of its own; the reply as text, errors included. `password` as AUTH wants it.
  std::string command(const std::vector<std::string>& words, const std::string& password = {}) const;
  int port() const { return port_; }
  redis::Options options() const;
  std::string path(const std::string& name) const { return scratch_.path(name); }

 private:
  bool try_start();

  Scratch scratch_;
  std::vector<std::string> arguments_;
  int port_ = 0;
  pid_t pid_ = -1;
};

int free_port();

}  // namespace sealcast::test
