// Starts a Postgres server on a Unix socket for one test. The server has no extension, only the function
// sealcast.interface_version(), which each connection of the sidecar calls first.
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

  // Lets sealcast.interface_version() return `version`. Before the first call, it returns the version that the sidecar
  // needs.
  void set_interface_version(std::int64_t version) const;

  std::string dsn() const;
  // Runs statements over a new connection. Returns the first value of the last result, as text.
  std::string run(const std::string& sql) const;

 private:
  std::filesystem::path directory_;
  pid_t pid_ = -1;
};

}  // namespace sealcast::test
