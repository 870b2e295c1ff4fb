// Reading the keyring directory into the store, and parsing the store into this process' keyring: see key_store.h.
#include "sealing/key_store.h"

#include "server/guard.h"
#include "server/settings.h"

extern "C" {
#include "port/atomics.h"
#include "storage/lwlock.h"
}

namespace sealcast::sealing::key_store {
namespace {

constexpr int64 kRereadInterval = USECS_PER_SEC;
constexpr const char* kSetUp =
    "Set sealcast.signing_kid to the kid of a key in the directory sealcast.keyring, and reload.";

struct StoredKey {
  char kid[core::kMaxKidLength + 1];
  core::Algorithm algorithm;
  uint16 size;
  char secret[core::kMaxSecretBytes];

  std::string_view bytes() const { return {secret, size}; }
};

struct Store {
  pg_atomic_uint64 generation;  // grows whenever the keys change
  pg_atomic_uint64 read_at;     // when the directory was last read, or tried to

  // Under the lock. The settings are those of the process with the latest reload: backends reload at different moments.
  TimestampTz configured_at;
  bool strict;
  char directory[MAXPGPATH];
  char problem[sizeof(server::Report::message)];
  int count;
  StoredKey keys[core::kMaxKeys];
};

// What a reading has to say once the lock is gone.
struct Outcome {
  bool ok;
  bool changed;
  bool news;  // a problem that was not logged yet
  bool first;
  bool has_keys;
  char keys[core::kMaxKeys * (core::kMaxKidLength + 2)];
  char warnings[4096];
  char directory[MAXPGPATH];
  server::Report report;
};

Store* store = nullptr;
LWLock* store_lock = nullptr;  // null when the store is this process' own

core::Keyring cached;
uint64 cached_generation = 0;
TimestampTz seen_reload = 0;

void initialize(Store* fresh) {
  std::memset(static_cast<void*>(fresh), 0, sizeof *fresh);
  pg_atomic_init_u64(&fresh->generation, 1);
  pg_atomic_init_u64(&fresh->read_at, 0);
}

void ensure_store() {
  if (store != nullptr) return;
  static Store own;
  initialize(&own);
  store = &own;
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

void put(const std::vector<core::Key>& keys) noexcept {
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

// Reads the directory into the store. The lock is held; reports nothing itself.
void read_directory(Outcome& outcome) {
  // PgReloadTime tells whose settings are newer; one from the future is a clock that was set back.
  const TimestampTz now = GetCurrentTimestamp();
  if (PgReloadTime >= store->configured_at || store->configured_at > now) {
    store->configured_at = PgReloadTime;
    store->strict = server::settings::keyring_strict;
    server::copy_clipped(store->directory, sizeof store->directory, server::settings::keyring);
  }
  outcome.first = pg_atomic_read_u64(&store->read_at) == 0;
  pg_atomic_write_u64(&store->read_at, static_cast<uint64>(now));

  outcome.changed = false;
  outcome.keys[0] = outcome.warnings[0] = '\0';
  std::memcpy(outcome.directory, store->directory, sizeof outcome.directory);
  outcome.ok = server::attempted(outcome.report, [&] {
    core::LoadedKeyring loaded;
    if (store->directory[0] != '\0') loaded = core::load_keyring(store->directory, store->strict);
    const std::vector<core::Key>& keys = loaded.keyring.keys();
    for (const std::string& warning : loaded.warnings) {
      append_line(outcome.warnings, sizeof outcome.warnings, warning, "\n");
    }
    for (const core::Key& key : keys) append_line(outcome.keys, sizeof outcome.keys, key.kid, ", ");
    outcome.changed = !same_keys(keys);
    if (outcome.changed) put(keys);
  });
  outcome.has_keys = store->count > 0;
  outcome.news = !outcome.ok && std::strcmp(store->problem, outcome.report.message) != 0;
  server::copy_clipped(store->problem, sizeof store->problem, outcome.ok ? "" : outcome.report.message);
}

// Paths stay in the server's log, where whoever sends a message does not see them; the message stays out of it.
void log_outcome(const Outcome& outcome, bool reloaded) {
  // Every backend looks after a reload, but one voice is enough to repeat what was logged before: the watcher's.
  reloaded = reloaded && (store_lock == nullptr || MyBackendType == B_BG_WORKER);
  if (!outcome.ok && (reloaded || outcome.news)) {
    ereport(LOG_SERVER_ONLY,
            (errhidestmt(true), errcode(outcome.report.sqlstate), errmsg("sealcast %s", outcome.report.message),
             outcome.has_keys ? errdetail("The keys that were read before stay in use.")
                              : errdetail("No keys were read before; nothing can be sealed or verified."),
             outcome.report.hint[0] != '\0' ? errhint("%s", outcome.report.hint) : 0));
  }
  if (!outcome.ok) return;
  // A store of one's own is filled in every connection, which is no news.
  if (outcome.changed && (store_lock != nullptr || !outcome.first)) {
    ereport(LOG_SERVER_ONLY,
            (errhidestmt(true), errmsg("sealcast keyring: keys %s from \"%s\"",
                                       outcome.keys[0] != '\0' ? outcome.keys : "(none)", outcome.directory)));
  }
  if (outcome.warnings[0] != '\0' && (reloaded || outcome.changed)) {
    ereport(LOG_SERVER_ONLY, (errhidestmt(true), errmsg("sealcast %s", outcome.warnings),
                              errhint("Take that right (chmod o-r); sealcast.keyring_strict refuses such keys.")));
  }
}

// Whether nobody has read the directory since this process learnt of a reload.
bool reload_due(TimestampTz now) {
  const auto read_at = static_cast<TimestampTz>(pg_atomic_read_u64(&store->read_at));
  return PgReloadTime != seen_reload && (read_at < PgReloadTime || read_at > now);
}

void read_if(bool missed) {
  Outcome outcome;
  bool read = false;
  lock(LW_EXCLUSIVE);
  // Others may have read while this one waited for the lock.
  const TimestampTz now = GetCurrentTimestamp();
  const auto since = now - static_cast<TimestampTz>(pg_atomic_read_u64(&store->read_at));
  const bool reloaded = reload_due(now);
  const bool other_keys = pg_atomic_read_u64(&store->generation) != cached_generation;
  if (reloaded || (missed && !other_keys && (since < 0 || since >= kRereadInterval))) {
    read_directory(outcome);
    read = true;
  }
  unlock();
  if (read) log_outcome(outcome, reloaded);
}

void parse() {
  server::Report report;
  lock(LW_SHARED);
  const uint64 generation = pg_atomic_read_u64(&store->generation);
  const bool ok = server::attempted(report, [&] {
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

// For an ereport about a missing key. The problem itself may name paths, which are not for everybody.
int detail_of_problem() {
  return store->problem[0] == '\0' ? 0 : errdetail("The keyring could not be read; the server's log says why.");
}

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

void attach(void* memory, LWLock* lock, bool fresh) {
  store = static_cast<Store*>(memory);
  store_lock = lock;
  if (fresh) initialize(store);
}

bool preloaded() { return store_lock != nullptr; }

const core::Keyring& current() {
  refresh();
  return cached;
}

bool changed_after_miss() {
  const uint64 before = cached_generation;
  read_if(true);
  refresh();
  return cached_generation != before;
}

const core::Key& require(std::string_view kid) {
  const core::Key* key = current().find(kid);
  if (key == nullptr && changed_after_miss()) key = cached.find(kid);
  if (key == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                    errmsg("key \"%.*s\" is not in the keyring", static_cast<int>(kid.size()), kid.data()),
                    detail_of_problem(),
                    errhint("select * from sealcast.keys() shows the keys; a new one is found within a "
                            "second.")));
  }
  return *key;
}

const core::Key& require_signing() {
  const char* const kid = server::settings::signing_kid;
  if (*kid == '\0') {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("there is no key to sign with"),
                    errdetail("The setting sealcast.signing_kid is empty."), errhint("%s", kSetUp)));
  }
  const core::Key* key = current().find(kid);
  if (key == nullptr && changed_after_miss()) key = cached.find(kid);
  if (key == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the key to sign with, \"%s\", is not in the keyring", kid), detail_of_problem(),
                    errhint("%s", kSetUp)));
  }
  return *key;
}

const char* problem() {
  refresh();
  return store->problem;
}

}  // namespace sealcast::sealing::key_store
