// A Postgres server of the test's own, on a Unix socket, gone with it. It has no extension, but what each connection
// asks of it first.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace sealcast::test {

class PostgresServer {
 public:
  // Accepts connections when this returns. `schema` is run in the database.
  explicit PostgresServer(const std::string& schema = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  void start();
  void stop();  // at once, as a crash would

  // What sealcast.interface_version() answers from now on; at first what the sidecar needs.
  void set_interface_version(std::int64_t version) const;

  std::string dsn() const;
  // Runs statements over a connection of its own; the first value of the last one's rows, as text.
  std::string run(const std::string& sql) const;

 private:
  std::filesystem::path directory_;
  pid_t pid_ = -1;
};

}  // namespace sealcast::test
