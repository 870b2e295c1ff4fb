// Asks the sidecar's gate over its Unix socket whether a sender may send now. If the gate does not answer, the outcome
// is `unavailable`, and the message is refused.
//
// A backend has one connection and asks one question at a time. It uses a connection again only after a complete and
// valid answer. After a timeout, a cancel or an invalid answer it closes the connection, so that it never takes the
// late answer to an earlier question for the answer to the current one.
#include "admission/gate_client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "core/message_type.h"
#include "server/datum.h"
#include "server/pg.h"
#include "server/settings.h"

extern "C" {
#include "access/htup_details.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/wait_event.h"
}

namespace sealcast::admission::gate {

namespace {

constexpr std::size_t kMaxLine = 512;
// The retry_after_ms that a sender gets if the gate does not answer.
constexpr int64 kRetryAfterMs = 1000;
// Pause between two attempts to connect while the backlog of the Unix socket is full. No event reports that it has room
// again.
constexpr long kConnectRetryMs = 10;

struct GateConnection {
  int fd = -1;
  // Whether the gate has answered on this connection before. If so, the sidecar may have closed it while it was idle.
  bool used = false;
  char path[sizeof(sockaddr_un::sun_path)];
};

// The result of one step of a question. `lost` means that the sidecar had closed a connection that was used before:
// then the question is asked again on a new connection.
enum class Step { done, lost, failed };

GateConnection connection;
bool failure_logged = false;
char failure[256];  // the reason why the last failed step failed

Step failed(const char* reason) {
  strlcpy(failure, reason, sizeof failure);
  return Step::failed;
}

Step failed_errno(const char* action) {
  snprintf(failure, sizeof failure, "%s: %s", action, strerror(errno));
  return Step::failed;
}

void disconnect() {
  if (connection.fd < 0) return;
  close(connection.fd);
  ReleaseExternalFD();
  connection.fd = -1;
}

long remaining_ms(TimestampTz deadline) { return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline); }

// Waits up to `timeout_ms` for these events of the socket. If `events` is 0, waits only for the time. Returns false,
// without waiting, if timeout_ms is not positive: the deadline is over. Raises an ERROR if the query is cancelled.
bool wait_until(int events, long timeout_ms) {
  if (timeout_ms <= 0) return false;
  WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | events,
                    events != 0 ? connection.fd : PGINVALID_SOCKET, timeout_ms, PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
  return true;
}

Step open_connection(TimestampTz deadline) {
  if (!AcquireExternalFD()) return failed("too many open files");
  connection.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection.fd < 0) {
    ReleaseExternalFD();
    return failed_errno("cannot create a socket");
  }
  connection.used = false;
  strlcpy(connection.path, server::settings::gate_socket, sizeof connection.path);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strlcpy(address.sun_path, connection.path, sizeof address.sun_path);
  while (connect(connection.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EAGAIN && errno != EINTR) return failed_errno("cannot connect");
    if (!wait_until(0, Min(kConnectRetryMs, remaining_ms(deadline)))) return failed("timed out while connecting");
  }
  return Step::done;
}

// Makes sure that there is a connection. Keeps the present one if it is open, has no unread bytes and belongs to the
// current sealcast.gate_socket; otherwise opens a new one.
Step ensure_connection(TimestampTz deadline) {
  if (connection.fd >= 0) {
    char byte;
    const ssize_t got = recv(connection.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    const bool quiet = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (quiet && std::strcmp(connection.path, server::settings::gate_socket) == 0) return Step::done;
    disconnect();
  }
  return open_connection(deadline);
}

Step lost_or_failed(const char* reason) { return connection.used ? Step::lost : failed(reason); }

Step send_line(const char* line, std::size_t size, TimestampTz deadline) {
  std::size_t sent = 0;
  while (sent < size) {
    const ssize_t now = send(connection.fd, line + sent, size - sent, MSG_NOSIGNAL);
    if (now >= 0) {
      sent += static_cast<std::size_t>(now);
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return lost_or_failed("the sidecar closed the connection");
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_until(WL_SOCKET_WRITEABLE, remaining_ms(deadline))) return failed("timed out while sending");
    } else if (errno != EINTR) {
      return failed_errno("cannot send");
    }
  }
  return Step::done;
}

// Reads one line into `line` and replaces its LF by a NUL. Fails if more bytes follow the LF.
Step receive_line(char* line, TimestampTz deadline) {
  std::size_t size = 0;
  while (true) {
    const ssize_t got = recv(connection.fd, line + size, kMaxLine - size, 0);
    if (got > 0) {
      size += static_cast<std::size_t>(got);
      if (const void* end = std::memchr(line, '\n', size)) {
        if (end != line + size - 1) return failed("received more than one answer");
        line[size - 1] = '\0';
        return Step::done;
      }
      if (size == kMaxLine) return failed("received an answer without a line end");
    } else if (got == 0 || errno == ECONNRESET) {
      return size == 0 ? lost_or_failed("the sidecar closed the connection") : failed("the answer was cut off");
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_until(WL_SOCKET_READABLE, remaining_ms(deadline)))
        return failed("timed out while waiting for an answer");
    } else if (errno != EINTR) {
      return failed_errno("cannot receive");
    }
  }
}

// Returns whether the answer `line` is `name`, followed by as many numbers as `numbers` has, and sets these.
bool matches(std::string_view line, std::string_view name, std::initializer_list<int64*> numbers) {
  if (!line.starts_with(name)) return false;
  const char* at = line.data() + name.size();
  const char* const end = line.data() + line.size();
  for (int64* const number : numbers) {
    if (at == end || *at != ' ') return false;
    const auto [stop, error] = std::from_chars(at + 1, end, *number);
    if (error != std::errc() || *number < 0) return false;
    at = stop;
  }
  return at == end;
}

// Parses the answer of the gate: `pass`, `seen`, `text`, `limited <milliseconds> <limit>`, or `slowed`, `repeated`,
// `copied` or `unavailable` with <milliseconds>.
Step parse(const char* line, Answer& answer) {
  int64 retry_after_ms, limit;
  if (matches(line, kPass, {})) return answer = {kPass}, Step::done;
  if (matches(line, kSeen, {})) return answer = {kSeen}, Step::done;
  if (matches(line, kText, {})) return answer = {kText}, Step::done;
  if (matches(line, kLimited, {&retry_after_ms, &limit})) {
    return answer = {kLimited, retry_after_ms, limit}, Step::done;
  }
  for (const std::string_view outcome : {kSlowed, kRepeated, kCopied, kUnavailable}) {
    if (matches(line, outcome, {&retry_after_ms})) return answer = {outcome, retry_after_ms}, Step::done;
  }
  snprintf(failure, sizeof failure, "unexpected answer: %.200s", line);
  return Step::failed;
}

Step ask_once(const char* question, std::size_t size, TimestampTz deadline, Answer& answer) {
  char line[kMaxLine + 1];
  Step step = ensure_connection(deadline);
  if (step == Step::done) step = send_line(question, size, deadline);
  if (step == Step::done) step = receive_line(line, deadline);
  if (step == Step::done) step = parse(line, answer);
  if (step == Step::done) {
    connection.used = true;
  } else {
    disconnect();
  }
  return step;
}

// Asks the gate, and asks once more if the connection was lost. The gate may have handled the first question. A second
// question is harmless, because its answer can only be stricter than the lost answer.
Step ask(const char* question, std::size_t size, TimestampTz deadline, Answer& answer) {
  const Step step = ask_once(question, size, deadline, answer);
  return step == Step::lost ? ask_once(question, size, deadline, answer) : step;
}

// Logs a failed question. Each backend logs only the first failure of an outage, so that an outage does not flood the
// log.
void log_failure(Step step) {
  if (step == Step::done) {
    failure_logged = false;
  } else if (!failure_logged) {
    failure_logged = true;
    ereport(LOG_SERVER_ONLY,
            (errhidestmt(true),
             errmsg("sealcast gate at \"%s\" is unavailable: %s", server::settings::gate_socket, failure),
             errhint("Check that the sidecar runs and that its gate.socket is the path in sealcast.gate_socket.")));
  }
}

Answer ask_gate(const server::UuidText& sender_id, const server::UuidText& stream_id, std::string_view t,
                const server::UuidText& txn_id, std::string_view text) {
  Answer answer = {kUnavailable, kRetryAfterMs};
  const TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), server::settings::gate_timeout_ms);
  char question[kMaxLine];
  const int size = snprintf(question, sizeof question, "check %.36s %.36s %.*s %.36s%s%.*s\n", sender_id.text,
                            stream_id.text, static_cast<int>(t.size()), t.data(), txn_id.text, text.empty() ? "" : " ",
                            static_cast<int>(text.size()), text.data());
  PG_TRY();
  {
    const Step step = ask(question, static_cast<std::size_t>(size), deadline, answer);
    if (step != Step::done) answer = {kUnavailable, kRetryAfterMs};
    log_failure(step);
  }
  PG_CATCH();
  {
    disconnect();
    PG_RE_THROW();
  }
  PG_END_TRY();
  return answer;
}

}  // namespace

Answer check(const pg_uuid_t& sender_id, const pg_uuid_t& stream_id, std::string_view t, const pg_uuid_t& txn_id,
             std::string_view text) {
  if (!server::settings::gate) return {kOff};
  if (*server::settings::gate_socket == '\0') return {kUnavailable, kRetryAfterMs};
  return ask_gate(server::UuidText(sender_id), server::UuidText(stream_id), t, server::UuidText(txn_id), text);
}

SEALCAST_FUNCTION(sealcast_gate) {
  for (int i = 0; i < 4; ++i) {
    if (PG_ARGISNULL(i)) {
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                      errmsg("argument %d of sealcast_internal.gate() is null", i + 1)));
    }
  }
  const text* const t = PG_GETARG_TEXT_PP(2);
  if (!core::is_message_type(server::view(t))) {
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid message type: \"%s\"", text_to_cstring(t)),
             errdetail("A message type has 1 to 64 characters of a-z, 0-9, _, . and -, and begins with a letter.")));
  }
  const Answer answer = check(*PG_GETARG_UUID_P(0), *PG_GETARG_UUID_P(1), server::view(t), *PG_GETARG_UUID_P(3));
  const text* const outcome = cstring_to_text_with_len(answer.outcome.data(), static_cast<int>(answer.outcome.size()));
  Datum values[2] = {PointerGetDatum(outcome), Int64GetDatum(answer.retry_after_ms.value_or(0))};
  bool nulls[2] = {false, !answer.retry_after_ms};
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(server::record_type(fcinfo), values, nulls)));
}

}  // namespace sealcast::admission::gate
