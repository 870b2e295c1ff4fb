// A server that a test starts: its output goes to a file, and it is gone with the test.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace sealcast::test {

class ServerProcess {
 public:
  ServerProcess() = default;
  ~ServerProcess() { kill(); }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // True when `answers` holds, false when the process ended before, or never answered.
  bool start(std::vector<std::string> words, const std::string& log, const std::function<bool()>& answers);
  void kill();
  void freeze();
  void thaw();

 private:
  void signal(int number);

  pid_t pid_ = -1;
};

int free_port();
bool listening(int port);  // on loopback

}  // namespace sealcast::test
