// A redis-server of the test's own, on a free port, gone with it.
#pragma once

#include <string>
#include <vector>

#include "client/redis/client.h"
#include "support/scratch.h"
#include "support/server_process.h"

namespace sealcast::test {

class RedisServer {
 public:
  // Started and answering when this returns; `arguments` are options of redis-server.
  explicit RedisServer(std::vector<std::string> arguments = {});

  void stop() { process_.kill(); }
  void start();  // again on the same port, empty
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

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
  ServerProcess process_;
};

}  // namespace sealcast::test
