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

  // Starts the command line `words` and appends its output to the file `log`. Returns true once `answers` returns true.
  // Returns false if the process ends first, or if `answers` does not return true within 20 seconds.
  bool start(std::vector<std::string> words, const std::string& log, const std::function<bool()>& answers);
  void kill();
  void freeze();
  void thaw();

 private:
  void signal(int number);

  pid_t pid_ = -1;
};

int free_port();
bool listening(int port);  // whether a server listens on this port of 127.0.0.1

}  // namespace sealcast::test
