// Starts a Postgres server on a Unix socket for one test. Of the extension it has only sealcast.interface_version(),
// which each connection calls first.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace sealcast::test {

class PostgresServer {
 public:
  // The server accepts connections when this returns. The statements of `schema` are run in the database.
  explicit PostgresServer(const std::string& schema = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  void start();
  void stop();  // immediately, like a crash

  // Replaces sealcast.interface_version(). At the start it returns the version that the sidecar needs.
  void set_interface_version(std::int64_t version) const;

  std::string dsn() const;
  // Runs statements over a new connection. Returns the first value of the last result, as text.
  std::string run(const std::string& sql) const;

 private:
  std::filesystem::path directory_;
  pid_t pid_ = -1;
};

}  // namespace sealcast::test
