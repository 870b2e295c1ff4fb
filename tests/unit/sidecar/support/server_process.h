// A server process for one test. Its output goes to a file.
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

  // Returns true once `answers` is true, and false when the process ends first or does not answer in 20 seconds.
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
