// Runs code with the rights of the owner of a function.
#pragma once

#include "server/pg.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "utils/guc.h"
#include "utils/syscache.h"
}

namespace sealcast::server {

inline Oid owner_of(Oid function) {
  HeapTuple const found = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(found)) elog(ERROR, "function %u does not exist", function);
  const Oid owner = reinterpret_cast<Form_pg_proc>(GETSTRUCT(found))->proowner;
  ReleaseSysCache(found);
  return owner;
}

// Calls `body` as this user, and restores the settings that it changes. An error undoes the change of the user and the
// settings with its transaction.
template <class Body>
void run_as(Oid user, int restrictions, Body body) {
  Oid caller;
  int context;
  GetUserIdAndSecContext(&caller, &context);
  const int settings = NewGUCNestLevel();
  SetUserIdAndSecContext(user, context | SECURITY_LOCAL_USERID_CHANGE | restrictions);
  body();
  AtEOXact_GUC(false, settings);
  SetUserIdAndSecContext(caller, context);
}

}  // namespace sealcast::server
