// Reads the keyring directory into the store (the copy of all key files in memory), and parses the store into the
// keyring of this process.
#include "sealing/key_store.h"

#include "server/guard.h"
#include "server/settings.h"

extern "C" {
#include "port/atomics.h"
#include "storage/lwlock.h"
}

namespace sealcast::sealing::key_store {
namespace {

// Minimum time between two reads of the directory that happen because of an unknown key id.
constexpr int64 kRereadInterval = USECS_PER_SEC;
constexpr const char* kSetSigningKid =
    "Set sealcast.signing_kid to the id of a key in the directory sealcast.keyring, then reload.";

struct StoredKey {
  char kid[core::kMaxKidLength + 1];
  core::Algorithm algorithm;
  uint16 size;
  char secret[core::kMaxSecretBytes];

  std::string_view bytes() const { return {secret, size}; }
};

struct Store {
  pg_atomic_uint64 generation;  // grows whenever the keys change
  pg_atomic_uint64 read_at;     // time of the last read of the directory, successful or not; 0 before the first

  // The lock protects the members below. Only detail_of_problem() and problem() read `problem` without it.
  // `configured_at` is the PgReloadTime of the process whose settings are stored here. Processes reload at different
  // moments, so the settings of the latest reload are used.
  TimestampTz configured_at;
  bool strict;
  char directory[MAXPGPATH];
  char problem[sizeof(server::Report::message)];
  int count;
  StoredKey keys[core::kMaxKeys];
};

// The result of one read of the directory. It is a copy, because log_result() logs it after the lock is released.
struct ReadResult {
  bool ok;
  bool changed;
  bool new_problem;  // the read failed, and the last read did not fail with the same message
  bool first;        // no process had read the directory into this store before
  bool has_keys;
  char keys[core::kMaxKeys * (core::kMaxKidLength + 2)];
  char warnings[4096];
  char directory[MAXPGPATH];
  server::Report report;
};

Store* store = nullptr;
LWLock* store_lock = nullptr;  // null if the store is in the memory of this process and needs no lock

core::Keyring cached;
uint64 cached_generation = 0;
TimestampTz seen_reload = 0;

void initialize(Store* target) {
  std::memset(static_cast<void*>(target), 0, sizeof *target);
  pg_atomic_init_u64(&target->generation, 1);
  pg_atomic_init_u64(&target->read_at, 0);
}

void ensure_store() {
  if (store != nullptr) return;
  static Store process_store;
  initialize(&process_store);
  store = &process_store;
}

void lock(LWLockMode mode) {
  if (store_lock != nullptr) LWLockAcquire(store_lock, mode);
}

void unlock() {
  if (store_lock != nullptr) LWLockRelease(store_lock);
}

bool same_keys(const std::vector<core::Key>& keys) {
  if (keys.size() != static_cast<std::size_t>(store->count)) return false;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const StoredKey& stored = store->keys[i];
    if (keys[i].kid != stored.kid || keys[i].algorithm() != stored.algorithm || keys[i].secret != stored.bytes()) {
      return false;
    }
  }
  return true;
}

void replace_keys(const std::vector<core::Key>& keys) noexcept {
  explicit_bzero(store->keys, sizeof store->keys);
  store->count = 0;
  for (const core::Key& key : keys) {
    StoredKey& slot = store->keys[store->count++];
    server::copy_clipped(slot.kid, sizeof slot.kid, key.kid);
    slot.algorithm = key.algorithm();
    slot.size = static_cast<uint16>(key.secret.size());
    std::memcpy(slot.secret, key.secret.data(), key.secret.size());
  }
  pg_atomic_fetch_add_u64(&store->generation, 1);
}

void append_line(char* to, std::size_t size, std::string_view text, const char* separator) {
  std::size_t length = std::strlen(to);
  if (length > 0) {
    server::copy_clipped(to + length, size - length, separator);
    length += std::strlen(to + length);
  }
  server::copy_clipped(to + length, size - length, text);
}

// Reads the directory into the store. The caller holds the exclusive lock. log_result() logs after the lock is
// released: writing a log line can block or raise an error.
void read_directory(ReadResult& result) {
  // Use the settings of this process if its reload (PgReloadTime) is not older than the reload of the process whose
  // settings are stored. If configured_at is in the future, the clock was set back and the comparison is worthless.
  const TimestampTz now = GetCurrentTimestamp();
  if (PgReloadTime >= store->configured_at || store->configured_at > now) {
    store->configured_at = PgReloadTime;
    store->strict = server::settings::keyring_strict;
    server::copy_clipped(store->directory, sizeof store->directory, server::settings::keyring);
  }
  result.first = pg_atomic_read_u64(&store->read_at) == 0;
  pg_atomic_write_u64(&store->read_at, static_cast<uint64>(now));

  result.changed = false;
  result.keys[0] = result.warnings[0] = '\0';
  std::memcpy(result.directory, store->directory, sizeof result.directory);
  result.ok = server::try_guarded(result.report, [&] {
    core::LoadedKeyring loaded;
    if (store->directory[0] != '\0') loaded = core::load_keyring(store->directory, store->strict);
    const std::vector<core::Key>& keys = loaded.keyring.keys();
    for (const std::string& warning : loaded.warnings) {
      append_line(result.warnings, sizeof result.warnings, warning, "\n");
    }
    for (const core::Key& key : keys) append_line(result.keys, sizeof result.keys, key.kid, ", ");
    result.changed = !same_keys(keys);
    if (result.changed) replace_keys(keys);
  });
  result.has_keys = store->count > 0;
  result.new_problem = !result.ok && std::strcmp(store->problem, result.report.message) != 0;
  server::copy_clipped(store->problem, sizeof store->problem, result.ok ? "" : result.report.message);
}

// Logs the result of a read. LOG_SERVER_ONLY keeps paths from the senders. errhidestmt() keeps the statement, which may
// contain a message of a user, out of the log.
void log_result(const ReadResult& result, bool reloaded) {
  // After a reload any backend may be the first to read the directory. If the store is shared, only the key watcher (a
  // background worker) logs a problem again that was logged before.
  reloaded = reloaded && (store_lock == nullptr || MyBackendType == B_BG_WORKER);
  if (!result.ok && (reloaded || result.new_problem)) {
    ereport(
        LOG_SERVER_ONLY,
        (errhidestmt(true), errcode(result.report.sqlstate), errmsg("sealcast %s", result.report.message),
         result.has_keys ? errdetail("The keys of the last successful read stay in use.")
                         : errdetail("There are no keys from an earlier read, so nothing can be sealed or verified."),
         result.report.hint[0] != '\0' ? errhint("%s", result.report.hint) : 0));
  }
  if (!result.ok) return;
  // Without shared memory every connection fills its own store. Its first read is not logged, because each new
  // connection would add a line to the log.
  if (result.changed && (store_lock != nullptr || !result.first)) {
    ereport(LOG_SERVER_ONLY,
            (errhidestmt(true), errmsg("sealcast keyring: keys %s from \"%s\"",
                                       result.keys[0] != '\0' ? result.keys : "(none)", result.directory)));
  }
  if (result.warnings[0] != '\0' && (reloaded || result.changed)) {
    ereport(
        LOG_SERVER_ONLY,
        (errhidestmt(true), errmsg("sealcast %s", result.warnings),
         errhint(
             "Remove the read permission of others (chmod o-r). With sealcast.keyring_strict such keys are refused.")));
  }
}

// Returns true if this process has had a reload (PgReloadTime) since its last refresh(), and no process has read the
// directory since that reload. A read_at in the future means that the clock was set back.
bool reload_due(TimestampTz now) {
  const auto read_at = static_cast<TimestampTz>(pg_atomic_read_u64(&store->read_at));
  return PgReloadTime != seen_reload && (read_at < PgReloadTime || read_at > now);
}

// Reads the directory if a reload makes it necessary. `missed` means that a key id was not found: then also reads if
// the last read is at least kRereadInterval old and the store holds no keys that this process has not parsed yet.
void read_if(bool missed) {
  ReadResult result;
  bool read = false;
  lock(LW_EXCLUSIVE);
  // Another process may have read the directory while this one waited for the lock.
  const TimestampTz now = GetCurrentTimestamp();
  const auto since = now - static_cast<TimestampTz>(pg_atomic_read_u64(&store->read_at));
  const bool reloaded = reload_due(now);
  const bool keys_changed = pg_atomic_read_u64(&store->generation) != cached_generation;
  if (reloaded || (missed && !keys_changed && (since < 0 || since >= kRereadInterval))) {
    read_directory(result);
    read = true;
  }
  unlock();
  if (read) log_result(result, reloaded);
}

// Makes the keyring of this process from the keys of the store.
void parse() {
  server::Report report;
  lock(LW_SHARED);
  const uint64 generation = pg_atomic_read_u64(&store->generation);
  const bool ok = server::try_guarded(report, [&] {
    core::Keyring fresh;
    for (int i = 0; i < store->count; ++i) {
      const StoredKey& key = store->keys[i];
      fresh.add(key.kid, std::string(key.bytes()), key.algorithm);
    }
    cached = std::move(fresh);
  });
  unlock();
  if (!ok) server::raise(report);
  cached_generation = generation;
}

// Adds the DETAIL to an error about a missing key if the last read failed. The DETAIL does not contain the text of the
// problem, because that text may contain paths.
int detail_of_problem() {
  return store->problem[0] == '\0'
             ? 0
             : errdetail("The keyring could not be read. The reason is in the log of the server.");
}

// Brings the keyring of this process up to date with the last reload and with the store.
void refresh() {
  ensure_store();
  if (PgReloadTime != seen_reload) {
    if (reload_due(GetCurrentTimestamp())) read_if(false);
    seen_reload = PgReloadTime;
  }
  if (pg_atomic_read_u64(&store->generation) != cached_generation) parse();
}

}  // namespace

std::size_t shared_size() { return sizeof(Store); }

void attach(void* memory, LWLock* lock, bool initialize_store) {
  store = static_cast<Store*>(memory);
  store_lock = lock;
  if (initialize_store) initialize(store);
}

bool preloaded() { return store_lock != nullptr; }

const core::Keyring& current() {
  refresh();
  return cached;
}

bool reread_after_miss() {
  const uint64 before = cached_generation;
  read_if(true);
  refresh();
  return cached_generation != before;
}

const core::Key& require(std::string_view kid) {
  const core::Key* key = current().find(kid);
  if (key == nullptr && reread_after_miss()) key = cached.find(kid);
  if (key == nullptr) {
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT),
             errmsg("key \"%.*s\" is not in the keyring", static_cast<int>(kid.size()), kid.data()),
             detail_of_problem(), errhint("Run: select * from sealcast.keys(). A new key is found within a second.")));
  }
  return *key;
}

const core::Key& require_signing() {
  const char* const kid = server::settings::signing_kid;
  if (*kid == '\0') {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("there is no signing key"),
                    errdetail("The setting sealcast.signing_kid is empty."), errhint("%s", kSetSigningKid)));
  }
  const core::Key* key = current().find(kid);
  if (key == nullptr && reread_after_miss()) key = cached.find(kid);
  if (key == nullptr) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("signing key \"%s\" is not in the keyring", kid),
             detail_of_problem(), errhint("%s", kSetSigningKid)));
  }
  return *key;
}

const char* problem() {
  refresh();
  return store->problem;
}

}  // namespace sealcast::sealing::key_store
