// Main program of sealcast_load. The program sends messages to sealcastd, or to a server with the same interface, and
// reads the messages as SSE readers. It has one thread, which uses epoll and raw sockets. It prints its results as one
// JSON object.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>

#include "load.h"
#include "messages.h"
#include "readers.h"

namespace sealcast::bench {
namespace {

struct Usage {
  double cpu_s;
  std::uint64_t server_kib;  // resident memory of the server; 0 without --server-pid
  double server_cpu_s;
};

Usage usage_now(int server) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](timeval time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  Usage now{seconds(usage.ru_utime) + seconds(usage.ru_stime), 0, 0};
  if (server == 0) return now;
  std::string proc = "/proc/" + std::to_string(server), word;
  std::ifstream status(proc + "/status"), stat(proc + "/stat");
  while (status >> word) {
    if (word == "VmRSS:") status >> now.server_kib;
  }
  std::uint64_t user_ticks = 0, system_ticks = 0;
  for (int i = 0; i < 13; i++) stat >> word;
  stat >> user_ticks >> system_ticks;
  now.server_cpu_s = static_cast<double>(user_ticks + system_ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
  return now;
}

double ms(const Histogram& latency, double fraction) { return static_cast<double>(latency.percentile(fraction)) / 1e6; }

void print_latency(const Histogram& latency) {
  std::printf("\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f", ms(latency, 0.5),
              ms(latency, 0.9), ms(latency, 0.99), ms(latency, 0.999), static_cast<double>(latency.max()) / 1e6);
}

void print_answers(const LoadOptions& options, const Answers& answers) {
  std::string statuses;
  for (auto [status, count] : answers.statuses) {
    statuses += (statuses.empty() ? "\"" : ",\"") + std::to_string(status) + "\":" + std::to_string(count);
  }
  std::printf("\"answers_per_s\":%.0f,", static_cast<double>(answers.latency.total()) / options.seconds);
  print_latency(answers.latency);
  std::printf(",\"statuses\":{%s},\"accepted\":%lu,\"forged\":%lu,\"lost\":%lu,\"unanswered\":%lu", statuses.c_str(),
              answers.accepted, answers.forged, answers.lost, answers.unanswered);
}

void print_deliveries(const LoadOptions& options, const Readers& readers, std::uint64_t missing) {
  const Deliveries& deliveries = readers.deliveries();
  std::printf(",\"subscribers\":{\"count\":%zu,\"deliveries_per_s\":%.0f,", readers.count(),
              static_cast<double>(deliveries.latency.total()) / options.seconds);
  print_latency(deliveries.latency);
  std::printf(",\"missing\":%lu,\"gaps\":%lu,\"duplicates\":%lu,\"forged\":%lu,\"ended\":%lu}", missing,
              deliveries.gaps, deliveries.duplicates, deliveries.forged, deliveries.ended);
}

// Returns the exit code: 0 if all answers and frames are correct; 1 if an answer or a frame is wrong or a connection
// ended early; 3 if answers or frames are only missing, because the server is too slow.
int measure(const LoadOptions& options, std::size_t subscribers, int server, Messages& messages) {
  allow_open_files(options.connections + subscribers + 64);
  Poller poller;
  Load load(options, poller, messages);
  Readers readers(poller, messages, [&load](std::uint64_t number) { return load.due_of(number); });
  Usage alone = usage_now(server);
  readers.subscribe(options.host, options.port, subscribers);
  Usage begin = usage_now(server);
  const Answers& answers = load.run(readers);
  Usage end = usage_now(server);
  std::uint64_t missing = readers.missing(answers.accepted);

  std::printf("{\"connections\":%zu,\"rate\":%.0f,\"seconds\":%.1f,\"verified\":%s,", options.connections, options.rate,
              options.seconds, messages.verifies() ? "true" : "false");
  print_answers(options, answers);
  if (readers.count() > 0) print_deliveries(options, readers, missing);
  if (server != 0) {
    std::printf(",\"server_kib\":{\"alone\":%lu,\"subscribed\":%lu,\"end\":%lu},\"server_cpu_s\":%.2f",
                alone.server_kib, begin.server_kib, end.server_kib, end.server_cpu_s - begin.server_cpu_s);
  }
  double cpu_s = end.cpu_s - begin.cpu_s;
  std::printf(",\"cpu_s\":%.2f,\"cpu_s_per_million\":%.2f}\n", cpu_s,
              answers.total == 0 ? 0 : cpu_s / static_cast<double>(answers.total) * 1e6);

  const Deliveries& deliveries = readers.deliveries();
  if (answers.forged + answers.lost + deliveries.gaps + deliveries.duplicates + deliveries.forged + deliveries.ended >
      0) {
    return 1;
  }
  return answers.unanswered + missing > 0 ? 3 : 0;
}

}  // namespace
}  // namespace sealcast::bench

int main(int argc, char** argv) {
  using namespace sealcast::bench;
  LoadOptions load;
  MessageOptions messages;
  std::size_t subscribers = 0;
  int server = 0;
  CLI::App app{"Measures POST /rpc/send_message and the event streams; prints one JSON object"};
  app.add_option("--host", load.host, "IPv4 address of sealcastd");
  app.add_option("--port", load.port, "port of sealcastd")->required();
  app.add_option("--connections", load.connections, "number of connections that send")->check(CLI::Range(1, 100'000));
  app.add_option("--seconds", load.seconds, "length of the measurement in seconds, after the warm-up");
  app.add_option("--warmup", load.warmup, "length of the warm-up in seconds");
  app.add_option("--rate", load.rate, "requests per second; 0: each connection waits for its answer (closed loop)");
  app.add_option("--stream", messages.stream_ids, "ids of existing streams; each sender uses one of them")->required();
  app.add_option("--type", messages.type, "message type");
  app.add_option("--senders", messages.senders, "number of users, each with a session")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--bytes", messages.bytes, "size of d in bytes");
  app.add_option("--session-secret", messages.secret_file, "file with the HS256 secret")->required();
  app.add_option("--keyring", messages.keyring, "directory of the keys that verify every envelope");
  app.add_option("--subscribers", subscribers, "number of readers of the event stream")
      ->check(CLI::Range(0, 1'000'000));
  app.add_option("--server-pid", server, "id of the server process, to report its memory and CPU time");
  CLI11_PARSE(app, argc, argv);
  try {
    if (subscribers > 0 && messages.stream_ids.size() > 1)
      throw std::runtime_error("--subscribers works only with a single --stream; leave out the others");
    messages.host = load.host;
    Messages prepared(messages);
    return measure(load, subscribers, server, prepared);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sealcast_load: %s\n", error.what());
    return 2;
  }
}
