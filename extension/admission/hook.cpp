// Resolves the name of an admit hook, calls the function and checks its answer. The name is text, so that a function
// that is dropped and created again is found again, and so that dumps and pg_upgrade carry it.
#include "admission/hook.h"

#include "server/datum.h"
#include "server/run_as.h"

extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace sealcast::admission {

namespace {

constexpr char kSignature[] = "(uuid, uuid, text, uuid, json) returns sealcast.refusal";
constexpr Oid kArguments[] = {UUIDOID, UUIDOID, TEXTOID, UUIDOID, JSONOID};

// Returns the function of this name, or InvalidOid.
Oid find_function(const text* name) {
  const bool has_arguments = server::view(name).find('(') != std::string_view::npos;
  LOCAL_FCINFO(call, 1);
  InitFunctionCallInfoData(*call, nullptr, 1, DEFAULT_COLLATION_OID, nullptr, nullptr);
  call->args[0].value = PointerGetDatum(name);
  call->args[0].isnull = false;
  const Datum found = has_arguments ? to_regprocedure(call) : to_regproc(call);
  return call->isnull ? InvalidOid : DatumGetObjectId(found);
}

// Returns the name of the function with its schema, for example app.no_links(uuid,uuid,text,uuid,json).
const char* full_name(Oid function) {
  const int settings = NewGUCNestLevel();
  set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  const char* const name = format_procedure(function);
  AtEOXact_GUC(true, settings);
  return name;
}

bool is_hook(Oid function) {
  Oid* types;
  int count;
  const Oid result = get_func_signature(function, &types, &count);
  const Oid refusal = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("refusal"),
                                      ObjectIdGetDatum(get_namespace_oid("sealcast", false)));
  return result == refusal && !get_func_retset(function) && get_func_prokind(function) == PROKIND_FUNCTION &&
         count == static_cast<int>(std::size(kArguments)) && std::equal(types, types + count, kArguments);
}

Oid require_hook(const Item& item) {
  const Oid function = find_function(item.type->admit_hook);
  if (!OidIsValid(function)) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
                    errmsg("the admit hook %s of message type %s does not exist",
                           text_to_cstring(item.type->admit_hook), text_to_cstring(item.t)),
                    errhint("Create the function, or set message_types.admit_hook to another one, with its schema.")));
  }
  if (!is_hook(function)) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
                    errmsg("the admit hook %s of message type %s is not a function %s",
                           text_to_cstring(item.type->admit_hook), text_to_cstring(item.t), kSignature)));
  }
  return function;
}

const char* text_member(HeapTupleHeader refusal, const char* name) {
  bool null;
  const Datum value = GetAttributeByName(refusal, name, &null);
  return null ? nullptr : TextDatumGetCString(value);
}

bool is_code(const char* code) {
  return code != nullptr && *code != '\0' && std::strspn(code, "abcdefghijklmnopqrstuvwxyz_") == std::strlen(code);
}

// Returns the refusal in the composite value that the hook returned; nullopt if all its members are null.
std::optional<Verdict> read_refusal(const Item& item, Datum value) {
  constexpr int kMinStatus = 400, kMaxStatus = 599;
  HeapTupleHeader refusal = DatumGetHeapTupleHeader(value);
  bool no_status;
  const Datum status = GetAttributeByName(refusal, "status", &no_status);
  const char* const code = text_member(refusal, "code");
  const char* const message = text_member(refusal, "message");
  const char* const hint = text_member(refusal, "hint");
  if (no_status && code == nullptr && message == nullptr && hint == nullptr) return std::nullopt;
  if (!no_status && DatumGetInt32(status) == kHeld && code != nullptr && std::strcmp(code, held().code) == 0) {
    return Verdict{.status = kHeld, .message = message};
  }
  if (no_status || DatumGetInt32(status) < kMinStatus || DatumGetInt32(status) > kMaxStatus || !is_code(code) ||
      message == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
                    errmsg("the admit hook %s returned an invalid refusal", text_to_cstring(item.type->admit_hook)),
                    errdetail("status is %s, code is %s, message is %s.",
                              no_status ? "null" : psprintf("%d", DatumGetInt32(status)), code ? code : "null",
                              message ? message : "null"),
                    errhint("A refusal needs a status of 400 to 599, a code of a-z and _, and a message; to hold a "
                            "message, 202 and held.")));
  }
  return Verdict{.status = DatumGetInt32(status), .code = code, .message = message, .hint = hint};
}

}  // namespace

std::optional<Verdict> ask_hook(const Item& item) {
  const Oid function = require_hook(item);
  FmgrInfo info;
  fmgr_info(function, &info);
  LOCAL_FCINFO(call, std::size(kArguments));
  InitFunctionCallInfoData(*call, &info, std::size(kArguments), DEFAULT_COLLATION_OID, nullptr, nullptr);
  const Datum arguments[] = {UUIDPGetDatum(item.stream_id), UUIDPGetDatum(item.sender_id), PointerGetDatum(item.t),
                             UUIDPGetDatum(item.txn_id), PointerGetDatum(item.canonical)};
  for (std::size_t i = 0; i < std::size(kArguments); ++i) call->args[i] = {arguments[i], false};

  const Oid owner = server::owner_of(function);
  // A deferred trigger of a table of another owner would run at the commit, with the rights of another user. Under this
  // restriction it is an error.
  const int restrictions = owner == GetUserId() || superuser_arg(owner) ? 0 : SECURITY_RESTRICTED_OPERATION;
  std::optional<Verdict> refusal;
  CommandCounterIncrement();
  PushActiveSnapshot(GetTransactionSnapshot());
  server::run_as(owner, restrictions, [&] {
    // A hook that changes a setting, for example search_path, changes it for itself.
    set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                      false);
    const Datum answer = FunctionCallInvoke(call);
    if (!call->isnull) refusal = read_refusal(item, answer);
  });
  PopActiveSnapshot();
  return refusal;
}

// The trigger qualify_hook() of message_types. It runs with the search_path of its session.
SEALCAST_FUNCTION(sealcast_qualify_hook) {
  if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "sealcast_internal.qualify_hook() must be called as a trigger");
  const auto* const data = reinterpret_cast<TriggerData*>(fcinfo->context);
  HeapTuple const row = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
  TupleDesc const columns = RelationGetDescr(data->tg_relation);
  int column = SPI_fnumber(columns, "admit_hook");
  bool null = false;
  const Datum name = SPI_getbinval(row, columns, column, &null);
  const Oid function = null ? InvalidOid : find_function(DatumGetTextPP(name));
  if (!OidIsValid(function)) return PointerGetDatum(row);
  Datum qualified = CStringGetTextDatum(full_name(function));
  return PointerGetDatum(heap_modify_tuple_by_cols(row, columns, 1, &column, &qualified, &null));
}

}  // namespace sealcast::admission
