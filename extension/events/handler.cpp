// Runs code of the owner of a handler, with the rights of this owner: the handler itself, and its deferred triggers.
// The owner may change the function at any time, also while its events are applied; so its rights do not depend on what
// the function is now. A setting that this code changes goes back to its value, also if the code sets it for the
// session. Otherwise the code could change the search_path of our functions, which have more rights, and the settings
// of later handlers.
#include "server/run_as.h"

extern "C" {
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
}

namespace sealcast::events {

namespace {

// Returns the first argument of the caller.
Oid handler_argument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0)) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the function of the handler was dropped while its events were applied"),
                    errhint("Create the function again, or unregister the handler.")));
  }
  return PG_GETARG_OID(0);
}

// Returns whether the first parameter of the function has this type.
bool takes(Oid function, Oid type) {
  Oid* types;
  int count;
  get_func_signature(function, &types, &count);
  return count == 1 && types[0] == type;
}

// Calls a function that returns void.
void call(FmgrInfo* function, Datum argument) {
  LOCAL_FCINFO(call, 1);
  InitFunctionCallInfoData(*call, function, 1, InvalidOid, nullptr, nullptr);
  call->args[0].value = argument;
  call->args[0].isnull = false;
  FunctionCallInvoke(call);
}

void call_for_each(FmgrInfo* function, ArrayType* events) {
  MemoryContext const each = AllocSetContextCreate(CurrentMemoryContext, "sealcast event", ALLOCSET_DEFAULT_SIZES);
  ArrayIterator const iterator = array_create_iterator(events, 0, nullptr);
  Datum event;
  bool null;
  while (array_iterate(iterator, &event, &null)) {
    MemoryContext const caller = MemoryContextSwitchTo(each);
    call(function, event);
    MemoryContextSwitchTo(caller);
    MemoryContextReset(each);
  }
  array_free_iterator(iterator);
  MemoryContextDelete(each);
}

}  // namespace

// Calls the function by its oid: its name could also name another function of its owner by now.
SEALCAST_FUNCTION(sealcast_call_handler) {
  const Oid oid = handler_argument(fcinfo);
  if (PG_ARGISNULL(1)) PG_RETURN_VOID();
  ArrayType* const events = PG_GETARG_ARRAYTYPE_P(1);
  const bool many = takes(oid, get_fn_expr_argtype(fcinfo->flinfo, 1));
  FmgrInfo function;
  fmgr_info(oid, &function);
  server::run_as(server::owner_of(oid), 0, [&] {
    if (many) {
      call(&function, PointerGetDatum(events));
    } else {
      call_for_each(&function, events);
    }
  });
  PG_RETURN_VOID();
}

// PostgreSQL runs a deferred trigger with the rights of the present user, and not with those of the user who changed
// the row. Under SECURITY_RESTRICTED_OPERATION, such a trigger cannot defer another one to the commit, where the worker
// would run it.
SEALCAST_FUNCTION(sealcast_check_deferred) {
  server::run_as(server::owner_of(handler_argument(fcinfo)), SECURITY_RESTRICTED_OPERATION, [] {
    SPI_connect();
    const int done = SPI_execute("set constraints all immediate", false, 0);
    if (done < 0) elog(ERROR, "the server could not check deferred constraints: %s", SPI_result_code_string(done));
    SPI_finish();
  });
  PG_RETURN_VOID();
}

}  // namespace sealcast::events
