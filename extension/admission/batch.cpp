// Reads the five arrays that are the arguments of admit(), canonicalises the payloads, and returns the verdicts as
// rows.
#include "admission/batch.h"

#include "core/payload.h"
#include "server/datum.h"
#include "server/guard.h"

extern "C" {
#include "utils/array.h"
#include "utils/tuplestore.h"
}

namespace sealcast::admission {
namespace {

struct Array {
  Datum* values = nullptr;
  bool* nulls = nullptr;
  int count = 0;

  const void* pointer(int i) const { return nulls[i] ? nullptr : DatumGetPointer(values[i]); }
};

[[noreturn]] void raise_array_error() {
  ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
                  errmsg("the arrays of a batch differ in length or do not start at index 1"),
                  errhint("Pass five arrays with one element per message.")));
  pg_unreachable();
}

Array read_array(FunctionCallInfo fcinfo, int argument, Oid type) {
  Array array;
  if (PG_ARGISNULL(argument)) return array;
  ArrayType* const argument_array = PG_GETARG_ARRAYTYPE_P(argument);
  if (ARR_NDIM(argument_array) > 1 || (ARR_NDIM(argument_array) == 1 && ARR_LBOUND(argument_array)[0] != 1))
    raise_array_error();
  const bool uuids = type == UUIDOID;
  deconstruct_array(argument_array, type, uuids ? UUID_LEN : -1, false, uuids ? TYPALIGN_CHAR : TYPALIGN_INT,
                    &array.values, &array.nulls, &array.count);
  return array;
}

// Detoasts a text argument. This is done outside any guard, because code inside a guard must not detoast.
const text* detoasted(const void* value) {
  return value == nullptr ? nullptr : pg_detoast_datum_packed(static_cast<varlena*>(const_cast<void*>(value)));
}

// Returns the payload buffer of this backend. All messages use the same one, so that its memory is not allocated again
// for each message. Memory above kKeptBytes is freed.
core::Payload& reused_payload() {
  static core::Payload payload;
  constexpr std::size_t kKeptBytes = 1 << 20;
  if (payload.canonical.capacity() > kKeptBytes) std::string().swap(payload.canonical);
  return payload;
}

void prepare(Item& item) {
  if (item.d == nullptr) {
    item.problem = "the payload is null";
    return;
  }
  char problem[sizeof(server::Report::message)];
  bool prepared = false;
  server::guarded([&](core::CancelFlag cancel) {
    static const std::vector<core::ServerField> kNone;
    static std::vector<core::ServerField> role_field{{"user_role", {}}};
    role_field[0].value = item.role == nullptr ? std::string_view() : server::view(item.role);
    core::Payload& payload = reused_payload();
    try {
      core::prepare_payload(server::view(item.d), item.type == nullptr || item.type->states_role ? role_field : kNone,
                            payload, cancel);
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::invalid_json && error.kind() != core::ErrorKind::invalid_argument) throw;
      server::copy_clipped(problem, sizeof problem, error.what());
      return;
    }
    item.canonical = server::new_varlena(payload.canonical);
    item.sent_hash = server::new_varlena(core::bytes(payload.sent_hash));
    prepared = true;
  });
  if (!prepared) item.problem = pstrdup(problem);
}

}  // namespace

Items read_items(FunctionCallInfo fcinfo) {
  enum { kStreamIds, kTypes, kSenderIds, kTxnIds, kPayloads, kArrays };
  static constexpr Oid kElements[kArrays] = {UUIDOID, TEXTOID, UUIDOID, UUIDOID, TEXTOID};
  Array arrays[kArrays];
  for (int i = 0; i < kArrays; ++i) {
    arrays[i] = read_array(fcinfo, i, kElements[i]);
    if (arrays[i].count != arrays[0].count) raise_array_error();
  }
  const auto count = static_cast<std::size_t>(arrays[0].count);
  auto* const items = static_cast<Item*>(palloc(Max(count, 1) * sizeof(Item)));
  for (std::size_t i = 0; i < count; ++i) {
    const int at = static_cast<int>(i);
    Item& item = *new (&items[i]) Item{};
    item.number = at + 1;
    item.stream_id = static_cast<const pg_uuid_t*>(arrays[kStreamIds].pointer(at));
    item.t = detoasted(arrays[kTypes].pointer(at));
    item.sender_id = static_cast<const pg_uuid_t*>(arrays[kSenderIds].pointer(at));
    item.txn_id = static_cast<const pg_uuid_t*>(arrays[kTxnIds].pointer(at));
    item.d = detoasted(arrays[kPayloads].pointer(at));
  }
  return {items, count};
}

void prepare(Items items) {
  for (Item& item : items) {
    CHECK_FOR_INTERRUPTS();
    prepare(item);
  }
}

void write_verdicts(FunctionCallInfo fcinfo, Items items) {
  enum { kItem, kStatus, kCode, kMessage, kDetails, kHint, kRetryAfter, kReplayed, kEnvelope, kColumns };
  InitMaterializedSRF(fcinfo, 0);
  auto* const result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  for (const Item& item : items) {
    const Verdict& verdict = item.verdict;
    Datum values[kColumns] = {};
    bool nulls[kColumns] = {};
    values[kItem] = Int32GetDatum(item.number);
    values[kStatus] = Int32GetDatum(verdict.status);
    const auto put_text = [&](int column, const char* value) {
      nulls[column] = value == nullptr;
      if (value != nullptr) values[column] = CStringGetTextDatum(value);
    };
    put_text(kCode, verdict.code);
    put_text(kMessage, verdict.message);
    put_text(kDetails, verdict.details);
    put_text(kHint, verdict.hint);
    nulls[kRetryAfter] = !verdict.retry_after_ms;
    values[kRetryAfter] = Int64GetDatum(verdict.retry_after_ms.value_or(0));
    values[kReplayed] = BoolGetDatum(verdict.replayed);
    nulls[kEnvelope] = verdict.envelope == nullptr;
    values[kEnvelope] = PointerGetDatum(verdict.envelope);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
}

}  // namespace sealcast::admission
