// Runs code of the owner of a handler: the handler itself, and its deferred triggers. A setting that this code changes
// goes back to its value, also if the code sets it for the session. Otherwise the code could change the search_path of
// our functions, which have more rights, and the settings of later handlers.
#include "server/pg.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace sealcast::events {

namespace {

// Executes one statement. `events` is its parameter; a null pointer: it has none.
void execute(const char* sql, Oid type, Datum* events) {
  const int settings = NewGUCNestLevel();
  SPI_connect();
  const int done = SPI_execute_with_args(sql, events == nullptr ? 0 : 1, &type, events, nullptr, false, 0);
  if (done < 0) elog(ERROR, "the server could not execute \"%s\": %s", sql, SPI_result_code_string(done));
  SPI_finish();
  AtEOXact_GUC(false, settings);
}

// Returns the first argument of the caller.
Oid handler_argument(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0)) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the function of the handler was dropped while its events were applied"),
                    errhint("Create the function again, or unregister the handler.")));
  }
  return PG_GETARG_OID(0);
}

Oid owner_of(Oid function) {
  HeapTuple const found = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(found)) elog(ERROR, "function %u does not exist", function);
  const Oid owner = reinterpret_cast<Form_pg_proc>(GETSTRUCT(found))->proowner;
  ReleaseSysCache(found);
  return owner;
}

// Returns whether the first parameter of the function has this type.
bool takes(Oid function, Oid type) {
  Oid* types;
  int count;
  get_func_signature(function, &types, &count);
  return count == 1 && types[0] == type;
}

}  // namespace

SEALCAST_FUNCTION(sealcast_call_handler) {
  const Oid function = handler_argument(fcinfo);
  if (PG_ARGISNULL(1)) PG_RETURN_VOID();
  Datum events = PG_GETARG_DATUM(1);
  const char* const name = get_func_name(function);
  if (name == nullptr) elog(ERROR, "function %u does not exist", function);
  const char* const full_name = quote_qualified_identifier(get_namespace_name(get_func_namespace(function)), name);
  const Oid type = get_fn_expr_argtype(fcinfo->flinfo, 1);
  const char* const call = takes(function, type) ? psprintf("select %s($1)", full_name)
                                                 : psprintf("select %s(e) from pg_catalog.unnest($1) e", full_name);
  execute(call, type, &events);
  PG_RETURN_VOID();
}

// PostgreSQL runs a deferred trigger with the rights of the present user, and not with those of the user who changed
// the row. Under SECURITY_RESTRICTED_OPERATION, such a trigger cannot defer another one to the commit, where the worker
// would run it.
SEALCAST_FUNCTION(sealcast_check_deferred) {
  const Oid owner = owner_of(handler_argument(fcinfo));
  Oid user;
  int context;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
  execute("set constraints all immediate", InvalidOid, nullptr);
  SetUserIdAndSecContext(user, context);
  PG_RETURN_VOID();
}

}  // namespace sealcast::events
