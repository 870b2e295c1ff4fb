// Reads the rows of blocked_terms and keeps them compiled. A change of the table invalidates its entry in the relation
// cache of all backends, so that a backend learns of it without a query.
#include "admission/terms.h"

#include <array>
#include <list>
#include <unordered_map>

#include "server/catalog.h"
#include "server/datum.h"
#include "server/guard.h"
#include "server/index_lookup.h"

extern "C" {
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
}

namespace sealcast::admission::terms {
namespace {

constexpr char kTable[] = "blocked_terms";
constexpr char kIndex[] = "blocked_terms_once";

// The sets of streams beyond these limits are dropped, the least recently used one first.
constexpr std::size_t kKeptBytes = std::size_t{64} << 20;
constexpr std::size_t kKeptStreams = 10'000;

Oid table = InvalidOid;
// Counts the changes of the table, and of anything that may be one.
std::uint64_t changes = 1;
// The value of `changes` at which the table was empty.
std::uint64_t empty_at = 0;

void note_change(Datum, Oid relation) {
  if (!OidIsValid(relation) || relation == table) ++changes;
}

using Scope = std::array<unsigned char, UUID_LEN>;  // a stream_id; nil: all streams

struct ScopeHash {
  std::size_t operator()(const Scope& scope) const noexcept { return hash_bytes(scope.data(), UUID_LEN); }
};

struct Entry {
  Scope scope;
  std::uint64_t read_at;      // the value of `changes` before the rows were read
  std::uint64_t fingerprint;  // of the rows
  std::size_t bytes;
  Compiled compiled;
};

// Only code inside a guard changes what these objects own.
struct Cache {
  Entry everywhere{};
  std::list<Entry> streams;  // the most recently used one first
  std::unordered_map<Scope, std::list<Entry>::iterator, ScopeHash> by_scope;
  std::size_t bytes = 0;
  core::terms::Reviewer reviewer;
};

Cache& cache() {
  static Cache instance;
  return instance;
}

// The rows of a scope, in the memory context in which they were read.
struct Rows {
  core::terms::Term* terms;
  pg_uuid_t* ids;
  int count;
  std::uint64_t fingerprint;
};

std::uint64_t hashed(std::string_view bytes, std::uint64_t seed) {
  return hash_bytes_extended(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()),
                             seed);
}

Rows read_rows(const Scope& scope) {
  constexpr int kMost = static_cast<int>(core::terms::kMaxTerms);
  int room = 16;
  Rows rows{};
  rows.terms = static_cast<core::terms::Term*>(palloc(static_cast<Size>(room) * sizeof(core::terms::Term)));
  rows.ids = static_cast<pg_uuid_t*>(palloc(static_cast<Size>(room) * sizeof(pg_uuid_t)));
  PushActiveSnapshot(GetLatestSnapshot());
  server::IndexLookup lookup = server::IndexLookup::open(kTable, kIndex);
  const int id = lookup.column("term_id"), term = lookup.column("term"), kind = lookup.column("kind"),
            whole_word = lookup.column("whole_word"), action = lookup.column("action");
  pg_uuid_t stream_id;
  std::memcpy(stream_id.data, scope.data(), UUID_LEN);
  const Datum key[] = {UUIDPGetDatum(&stream_id)};
  lookup.find(key);
  while (rows.count < kMost && lookup.next()) {
    if (rows.count == room) {
      room *= 2;
      rows.terms =
          static_cast<core::terms::Term*>(repalloc(rows.terms, static_cast<Size>(room) * sizeof(core::terms::Term)));
      rows.ids = static_cast<pg_uuid_t*>(repalloc(rows.ids, static_cast<Size>(room) * sizeof(pg_uuid_t)));
    }
    const std::string_view kind_name = server::view(DatumGetTextPP(lookup.value(kind)));
    const std::string_view action_name = server::view(DatumGetTextPP(lookup.value(action)));
    const bool whole = DatumGetBool(lookup.value(whole_word));
    const std::string_view words = server::view(DatumGetTextPCopy(lookup.value(term)));
    const pg_uuid_t& term_id = *DatumGetUUIDP(lookup.value(id));
    const std::optional<core::terms::Kind> known_kind = core::terms::kind_named(kind_name);
    const std::optional<core::terms::Action> known_action = core::terms::action_named(action_name);
    // A CHECK of the table allows no others.
    if (!known_kind || !known_action) continue;
    rows.fingerprint = hashed(words, rows.fingerprint + (whole ? 1 : 0));
    rows.fingerprint = hashed(kind_name, hashed(action_name, rows.fingerprint));
    rows.fingerprint = hashed({reinterpret_cast<const char*>(term_id.data), UUID_LEN}, rows.fingerprint);
    rows.terms[rows.count] = {words, *known_kind, whole, *known_action};
    rows.ids[rows.count++] = term_id;
  }
  lookup.close();
  PopActiveSnapshot();
  return rows;
}

void drop_last() {
  Cache& all = cache();
  all.bytes -= all.streams.back().bytes;
  all.by_scope.erase(all.streams.back().scope);
  all.streams.pop_back();
}

Entry& entry_for(const Scope& scope) {
  Cache& all = cache();
  if (scope == Scope{}) return all.everywhere;
  if (const auto found = all.by_scope.find(scope); found != all.by_scope.end()) return *found->second;
  all.streams.push_front(Entry{scope, 0, 0, 0, {}});
  all.by_scope.emplace(scope, all.streams.begin());
  return all.streams.front();
}

// Returns the problem of the first term that cannot be compiled, or null.
const text* compile(const Scope& scope, const Rows& rows, std::uint64_t read_at) {
  const text* problem = nullptr;
  server::guarded([&](core::CancelFlag) {
    Cache& all = cache();
    Compiled made;
    std::vector<core::terms::TermSet::Rejected> rejected;
    if (rows.count > 0) {
      const std::span<const core::terms::Term> terms(rows.terms, static_cast<std::size_t>(rows.count));
      made.set = std::make_unique<core::terms::TermSet>(terms, all.reviewer.folder(), rejected);
      made.ids.assign(rows.ids, rows.ids + rows.count);
    }
    const std::size_t bytes =
        sizeof(Entry) + made.ids.capacity() * sizeof(pg_uuid_t) + (made.set ? made.set->memory_bytes() : 0);
    problem = nullptr;
    if (!rejected.empty()) {
      problem = reinterpret_cast<const text*>(
          server::new_varlena(std::to_string(rejected.size()) + " of them, first: " + rejected.front().problem));
    }
    Entry& entry = entry_for(scope);
    if (&entry != &all.everywhere) all.bytes += bytes - entry.bytes;
    entry = Entry{scope, read_at, rows.fingerprint, bytes, std::move(made)};
    while (all.streams.size() > 1 && (all.bytes > kKeptBytes || all.streams.size() > kKeptStreams)) drop_last();
  });
  return problem;
}

const Entry* find(const Scope& scope) {
  Cache& all = cache();
  if (scope == Scope{}) return &all.everywhere;
  const auto found = all.by_scope.find(scope);
  if (found == all.by_scope.end()) return nullptr;
  all.streams.splice(all.streams.begin(), all.streams, found->second);
  return &*found->second;
}

void refresh(const Scope& scope) {
  MemoryContext const before = CurrentMemoryContext;
  MemoryContext const memory = AllocSetContextCreate(before, "sealcast blocked terms", ALLOCSET_DEFAULT_SIZES);
  MemoryContextSwitchTo(memory);
  const std::uint64_t read_at = changes;
  const Rows rows = read_rows(scope);
  const Entry* const known = find(scope);
  if (known != nullptr && known->read_at != 0 && known->fingerprint == rows.fingerprint) {
    const_cast<Entry*>(known)->read_at = read_at;
  } else if (const text* const problem = compile(scope, rows, read_at)) {
    ereport(LOG_SERVER_ONLY, (errmsg("sealcast: blocked terms are ignored, because they cannot be compiled"),
                              errdetail("%s", text_to_cstring(problem)),
                              errhint("Remove these terms by remove_blocked_term(), and add them again.")));
  }
  MemoryContextSwitchTo(before);
  MemoryContextDelete(memory);
}

}  // namespace

bool any() {
  static bool registered = false;
  if (!registered) CacheRegisterRelcacheCallback(note_change, Datum{0});
  registered = true;
  // A long transaction that takes no new locks would otherwise hear of no change.
  AcceptInvalidationMessages();
  if (empty_at == changes) return false;
  static std::uint64_t present_at = 0;
  if (present_at == changes) return true;
  table = server::table_id(kTable);
  const std::uint64_t read_at = changes;
  PushActiveSnapshot(GetLatestSnapshot());
  server::IndexLookup lookup = server::IndexLookup::open(kTable, kIndex);
  lookup.find(std::span<const Datum>());
  const bool found = lookup.next();
  lookup.close();
  PopActiveSnapshot();
  (found ? present_at : empty_at) = read_at;
  return found;
}

const Compiled& of(const pg_uuid_t* stream_id) {
  // The first call makes the cache, whose constructor may throw.
  static bool made = false;
  if (!made) server::guarded([](core::CancelFlag) { cache(); });
  made = true;
  Scope scope{};
  if (stream_id != nullptr) std::memcpy(scope.data(), stream_id->data, UUID_LEN);
  const Entry* known = find(scope);
  if (known == nullptr || known->read_at != changes) {
    refresh(scope);
    known = find(scope);
  }
  return known->compiled;
}

core::terms::Reviewer& reviewer() { return cache().reviewer; }

// The trigger note_term_change() of blocked_terms.
SEALCAST_FUNCTION(sealcast_note_term_change) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "sealcast_internal.note_term_change() must be called as a trigger");
  CacheInvalidateRelcache(reinterpret_cast<TriggerData*>(fcinfo->context)->tg_relation);
  return PointerGetDatum(nullptr);
}

// sealcast_internal.term_problem(term text, kind text, whole_word boolean, others text[], other_kinds text[]) returns
// text: why the term cannot stand beside the others, or null.
SEALCAST_FUNCTION(sealcast_term_problem) {
  const auto texts = [fcinfo](int argument, int& count) {
    Datum* values;
    bool* nulls;
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
    return values;
  };
  int count = 0, kinds = 0;
  const Datum* const others = texts(3, count);
  const Datum* const other_kinds = texts(4, kinds);
  const auto term_of = [](Datum term, Datum kind, bool whole_word) {
    const auto known = core::terms::kind_named(server::view(DatumGetTextPP(kind)));
    return core::terms::Term{server::view(DatumGetTextPP(term)), known.value_or(core::terms::Kind::literal), whole_word,
                             core::terms::Action::flag};
  };
  const core::terms::Term term = term_of(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_BOOL(2));
  auto* const all = static_cast<core::terms::Term*>(palloc(static_cast<Size>(count + 1) * sizeof(core::terms::Term)));
  for (int i = 0; i < Min(count, kinds); ++i) all[i] = term_of(others[i], other_kinds[i], true);
  const text* problem = nullptr;
  server::guarded([&](core::CancelFlag) {
    const std::string found =
        core::terms::problem_of(term, {all, static_cast<std::size_t>(Min(count, kinds))}, reviewer().folder());
    problem = found.empty() ? nullptr : reinterpret_cast<const text*>(server::new_varlena(found));
  });
  if (problem == nullptr) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(problem);
}

}  // namespace sealcast::admission::terms
