// Starts a contract server on a free port for one test. A contract server is a local server that behaves as the
// documentation of an outside service says (tests/contracts).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "support/scratch.h"
#include "transport/frame.h"

namespace sealcast::test {

class ContractServer {
 public:
  // `script` is a file name in tests/contracts. The server listens when this returns.
  explicit ContractServer(const std::string& script, std::vector<std::string> arguments = {});
  ~ContractServer();
  ContractServer(const ContractServer&) = delete;
  ContractServer& operator=(const ContractServer&) = delete;

  // Sends a command of the control interface (tests/contracts/service.mjs) and returns the answer; both are JSON.
  std::string command(const std::string& json);
  void faults(const std::string& members) { command(R"({"do":"faults",)" + members + "}"); }
  void no_faults() { command(R"({"do":"faults"})"); }
  std::string offsets(const std::string& channel);   // the offsets that the server got: "1,2,3"
  std::string messages(const std::string& channel);  // the messages that the server got, as JSON
  std::int64_t count(std::string_view name);         // the number `name` in the answer to the command `stats`

  const std::string& url() const { return url_; }
  const std::string& ca_file() const { return ca_file_; }
  std::string write(const std::string& name, std::string_view content) const { return scratch_.write(name, content); }

 private:
  std::string read_line();

  Scratch scratch_;
  pid_t pid_ = -1;
  int in_ = -1;   // the server's standard input
  int out_ = -1;  // the server's standard output
  std::string unread_;
  std::string url_;
  std::string ca_file_;
};

// Makes frames of a stream with the offsets from `first` to `last`.
std::vector<transport::FramePtr> frames_of(const std::string& stream_id, std::int64_t first, std::int64_t last);

// Returns "1,2,3" for 1 to 3.
std::string offsets_from(std::int64_t first, std::int64_t last);

}  // namespace sealcast::test
