// Defines the settings sealcast.* and refuses invalid values.
#include "server/settings.h"

#include <sys/un.h>

#include "core/keyring.h"
#include "server/pg.h"

extern "C" {
#include "utils/guc.h"
}

namespace sealcast::server::settings {

char* keyring = nullptr;
char* signing_kid = nullptr;
bool keyring_strict = false;
bool gate = true;
char* gate_socket = nullptr;
int gate_timeout_ms = 500;
bool postgrest_errors = true;
char* cell = nullptr;
int maintenance_interval_s = 0;

namespace {

constexpr int kMaxGateTimeoutMs = 60'000;
// An hour, after which a sidecar does maintenance, and ten minutes.
constexpr int kMaintenanceIntervalS = 4'200;
constexpr int kMaxMaintenanceIntervalS = 86'400;

bool check_keyring(char** value, void**, GucSource) {
  if (std::strlen(*value) < MAXPGPATH) return true;
  GUC_check_errdetail("The path is longer than %d bytes.", MAXPGPATH - 1);
  return false;
}

bool check_signing_kid(char** value, void**, GucSource) {
  if (**value == '\0' || core::is_kid(*value)) return true;
  GUC_check_errdetail("A key id has 1 to %d characters of A-Z, a-z, 0-9, _ and -.",
                      static_cast<int>(core::kMaxKidLength));
  return false;
}

bool check_gate_socket(char** value, void**, GucSource) {
  constexpr std::size_t kRoom = sizeof(sockaddr_un::sun_path);
  if (std::strlen(*value) >= kRoom) {
    GUC_check_errdetail("The path of a Unix socket has at most %d bytes.", static_cast<int>(kRoom) - 1);
    return false;
  }
  if (**value == '\0' || **value == '/') return true;
  GUC_check_errdetail("The path must be absolute.");
  return false;
}

bool check_cell(char** value, void**, GucSource) {
  constexpr std::size_t kMaxName = 32;
  const std::string_view name = *value;
  if (name.size() <= kMaxName && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == name.npos) {
    return true;
  }
  GUC_check_errdetail("The name of a cell has 1 to %d characters of a-z, 0-9 and -.", static_cast<int>(kMaxName));
  return false;
}

}  // namespace

void define() {
  DefineCustomStringVariable(
      "sealcast.keyring", "Directory of the keys that sign and verify messages, one file per key.",
      "The name of a file is the key id. Its content is the secret. The directory is read again at each reload.",
      &keyring, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, check_keyring, nullptr, nullptr);
  DefineCustomBoolVariable("sealcast.keyring_strict",
                           "Refuses key files that others may read, instead of logging a warning.", nullptr,
                           &keyring_strict, false, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("sealcast.signing_kid",
                             "Id of the key that signs new messages. All other keys only verify.", nullptr,
                             &signing_kid, "", PGC_SIGHUP, 0, check_signing_kid, nullptr, nullptr);
  DefineCustomBoolVariable("sealcast.gate", "Asks the sidecar's gate before a message from SQL is admitted.",
                           "If off, messages from SQL have no rate limit.", &gate, true, PGC_SUSET, 0, nullptr, nullptr,
                           nullptr);
  DefineCustomStringVariable("sealcast.gate_socket", "Path of the sidecar's Unix socket for the gate.",
                             "If unset, messages from SQL are refused, unless sealcast.gate is off.", &gate_socket, "",
                             PGC_SUSET, 0, check_gate_socket, nullptr, nullptr);
  DefineCustomIntVariable("sealcast.gate_timeout", "Maximum time to wait for the answer of the gate.", nullptr,
                          &gate_timeout_ms, 500, 1, kMaxGateTimeoutMs, PGC_SUSET, GUC_UNIT_MS, nullptr, nullptr,
                          nullptr);
  DefineCustomBoolVariable("sealcast.postgrest_errors",
                           "Raises refusals with SQLSTATE PGRST in requests of PostgREST 12 and later.",
                           "If off, they have SQLSTATE PTnnn there, as elsewhere.", &postgrest_errors, true,
                           PGC_USERSET, 0, nullptr, nullptr, nullptr);
  DefineCustomStringVariable("sealcast.cell", "Name of this database in sealcast.cells.",
                             "Leave it unset if there is only one database: then every stream belongs to it.", &cell,
                             "", PGC_SUSET, 0, check_cell, nullptr, nullptr);
  DefineCustomIntVariable("sealcast.maintenance_interval",
                          "Time after the last maintenance of a database at which a background worker does it.",
                          "If 0, no background worker does maintenance.", &maintenance_interval_s,
                          kMaintenanceIntervalS, 0, kMaxMaintenanceIntervalS, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr,
                          nullptr);
  MarkGUCPrefixReserved("sealcast");
}

}  // namespace sealcast::server::settings
