// Starts and stops postgres, as an unprivileged user when the tests run as root.
#include "support/postgres_server.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "client/postgres/interface_version.h"

namespace sealcast::test {
namespace {

// Returns the path of a program of Postgres, such as initdb. On Debian these programs are not in PATH.
std::string program(const std::string& name) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen("${PG_CONFIG:-pg_config} --bindir", "r"), ::pclose);
  char line[4096];
  if (!pipe || !std::fgets(line, sizeof line, pipe.get())) throw std::runtime_error("pg_config does not answer");
  std::string directory = line;
  directory.erase(directory.find_last_not_of('\n') + 1);
  return directory + "/" + name;
}

const passwd* unprivileged() { return ::geteuid() == 0 ? ::getpwnam("nobody") : nullptr; }

pid_t spawn(std::vector<std::string> words, const std::string& log) {
  pid_t parent = ::getpid();
  pid_t child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (::getppid() != parent) ::_exit(1);
  if (const passwd* user = unprivileged(); user && (::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0))
    ::_exit(1);
  int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

PostgresServer::PostgresServer(const std::string& schema) {
  std::string pattern = (std::filesystem::temp_directory_path() / "sealcast-pg-XXXXXX").string();
  directory_ = ::mkdtemp(pattern.data());
  if (const passwd* user = unprivileged(); user && ::chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0) {
    throw std::runtime_error("cannot give the server its directory");
  }
  int status = 0;
  pid_t initdb = spawn({program("initdb"), "--pgdata", directory_ / "data", "--auth=trust", "--username=postgres",
                        "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"},
                       directory_ / "log");
  ::waitpid(initdb, &status, 0);
  if (status != 0) throw std::runtime_error("initdb failed");
  start();
  run("create schema sealcast");
  run("create schema sealcast_internal");
  set_interface_version(postgres::kInterfaceVersion);
  if (schema.empty()) return;
  run(schema);
  // The connections of the sidecar have a search_path without the schema of the test's tables.
  run(R"(do $$
    declare f regprocedure;
    begin
      for f in select p.oid from pg_proc p where p.pronamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace)
      loop
        execute format('alter function %s set search_path = public', f);
      end loop;
    end $$)");
}

PostgresServer::~PostgresServer() {
  stop();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void PostgresServer::start() {
  pid_ = spawn({program("postgres"), "-D", directory_ / "data", "-k", directory_, "-c", "listen_addresses=", "-c",
                "fsync=off", "-c", "max_connections=30", "-c", "shared_buffers=16MB"},
               directory_ / "log");
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (PQping(dsn().c_str()) != PQPING_OK) {
    if (std::chrono::steady_clock::now() > end || ::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      throw std::runtime_error("postgres does not start; check that it is installed");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void PostgresServer::stop() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGQUIT);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string PostgresServer::dsn() const { return "host=" + directory_.string() + " dbname=postgres user=postgres"; }

void PostgresServer::set_interface_version(std::int64_t version) const {
  run("create or replace function sealcast.interface_version() returns integer language sql return " +
      std::to_string(version));
}

std::string PostgresServer::run(const std::string& sql) const {
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(dsn().c_str()), PQfinish);
  std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(connection.get(), sql.c_str()), PQclear);
  auto status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
    throw std::runtime_error(PQerrorMessage(connection.get()));
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

}  // namespace sealcast::test
