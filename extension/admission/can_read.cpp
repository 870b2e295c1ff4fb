// The SQL function caller_can_read(), which the policies of row-level security call for each row. It asks the rule
// itself, sealcast_internal.can_read(), once per stream and second, and remembers the answers while a statement runs.
#include "admission/caller.h"
#include "server/guard.h"

extern "C" {
#include "common/hashfn.h"
#include "parser/parse_func.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
}

namespace sealcast::admission {
namespace {

// A restriction counts at once, also for a cursor that reads for hours.
constexpr TimestampTz kMaxAge = USECS_PER_SEC;

struct Answer {
  pg_uuid_t stream_id;  // the key
  TimestampTz asked_at;
  bool readable;
};

// What a place in a statement that calls the function remembers, in the memory of that place.
struct Memory {
  FmgrInfo rule;
  HTAB* answers;
  std::optional<pg_uuid_t> caller;
};

Memory& memory_of(FmgrInfo& place) {
  if (place.fn_extra != nullptr) return *static_cast<Memory*>(place.fn_extra);
  auto* const memory = static_cast<Memory*>(MemoryContextAllocZero(place.fn_mcxt, sizeof(Memory)));
  const Oid types[] = {UUIDOID, UUIDOID};
  List* const name = list_make2(makeString(pstrdup("sealcast_internal")), makeString(pstrdup("can_read")));
  fmgr_info_cxt(LookupFuncName(name, lengthof(types), types, false), &memory->rule, place.fn_mcxt);
  HASHCTL shape{};
  shape.keysize = sizeof(pg_uuid_t);
  shape.entrysize = sizeof(Answer);
  shape.hcxt = place.fn_mcxt;
  memory->answers = hash_create("sealcast readable streams", 64, &shape, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  place.fn_extra = memory;
  return *memory;
}

bool ask(Memory& memory, const pg_uuid_t& stream_id) {
  LOCAL_FCINFO(call, 2);
  InitFunctionCallInfoData(*call, &memory.rule, 2, InvalidOid, nullptr, nullptr);
  call->args[0] = {UUIDPGetDatum(&stream_id), false};
  call->args[1] = {memory.caller ? UUIDPGetDatum(&*memory.caller) : Datum{0}, !memory.caller};
  const Datum readable = FunctionCallInvoke(call);
  return !call->isnull && DatumGetBool(readable);
}

bool is_same(const std::optional<pg_uuid_t>& a, const std::optional<pg_uuid_t>& b) {
  return a.has_value() == b.has_value() && (!a || std::memcmp(&*a, &*b, sizeof *a) == 0);
}

}  // namespace

SEALCAST_FUNCTION(sealcast_caller_can_read) {
  if (PG_ARGISNULL(0)) PG_RETURN_BOOL(false);
  const pg_uuid_t& stream_id = *PG_GETARG_UUID_P(0);
  Memory& memory = memory_of(*fcinfo->flinfo);
  const std::optional<pg_uuid_t> caller = caller_id();
  const TimestampTz now = GetCurrentTimestamp();
  if (!is_same(caller, memory.caller)) {
    memory.caller = caller;
    HASH_SEQ_STATUS all;
    hash_seq_init(&all, memory.answers);
    while (void* const answer = hash_seq_search(&all)) hash_search(memory.answers, answer, HASH_REMOVE, nullptr);
  }
  bool found;
  auto* answer = static_cast<Answer*>(hash_search(memory.answers, &stream_id, HASH_FIND, &found));
  if (answer != nullptr && now - answer->asked_at < kMaxAge) PG_RETURN_BOOL(answer->readable);
  const bool readable = ask(memory, stream_id);
  answer = static_cast<Answer*>(hash_search(memory.answers, &stream_id, HASH_ENTER, &found));
  answer->asked_at = now;
  answer->readable = readable;
  PG_RETURN_BOOL(readable);
}

}  // namespace sealcast::admission
