// The trigger idempotent_insert(): a row of anybody's table whose (sender, txn) was inserted before is left out.
//
// Each key is claimed in sealcast.row_keys first. Whoever comes second while the first transaction is open waits for
// its end, for at most kLockTimeout unless the session set a lock_timeout of its own; after a rollback the key is free.
#include "triggers/trigger_args.h"

extern "C" {
#include "catalog/partition.h"
#include "storage/proc.h"
#include "utils/guc.h"
}

namespace sealcast::triggers {

namespace {

constexpr const char* kUsage = "sealcast.idempotent_insert('sender column', 'txn column')";
constexpr const char* kLockTimeout = "5s";
constexpr const char* kClaim =
    "insert into sealcast.row_keys (table_id, sender_id, txn_id) values ($1, $2, $3) on conflict do nothing";

enum Argument { kSender, kTxn, kArguments };

struct Claim {
  const char* table;
  const char* sender;
  const char* txn;
};

void describe(void* argument) {
  const auto* const claim = static_cast<const Claim*>(argument);
  errcontext("claiming sender \"%s\", txn \"%s\" of table \"%s\" for sealcast.idempotent_insert()", claim->sender,
             claim->txn, claim->table);
}

// A partition's rows share their keys with the whole table.
Oid root_of(Relation table) {
  return table->rd_rel->relispartition ? llast_oid(get_partition_ancestors(RelationGetRelid(table)))
                                       : RelationGetRelid(table);
}

SPIPlanPtr claim_plan() {
  static SPIPlanPtr kept = nullptr;
  if (kept == nullptr) {
    Oid types[3] = {REGCLASSOID, TEXTOID, TEXTOID};
    SPIPlanPtr plan = SPI_prepare(kClaim, 3, types);
    if (plan == nullptr || SPI_keepplan(plan) != 0) {
      elog(ERROR, "could not prepare the claim of a row key: %s", SPI_result_code_string(SPI_result));
    }
    kept = plan;
  }
  return kept;
}

bool claim_key(Oid table, const Claim& claim) {
  const int guc_level = NewGUCNestLevel();
  if (LockTimeout == 0) {
    set_config_option("lock_timeout", kLockTimeout, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  }
  if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "could not connect to SPI");
  Datum values[3] = {ObjectIdGetDatum(table), CStringGetTextDatum(claim.sender), CStringGetTextDatum(claim.txn)};
  const int result = SPI_execute_plan(claim_plan(), values, nullptr, false, 0);
  if (result != SPI_OK_INSERT) elog(ERROR, "could not claim a row key: %s", SPI_result_code_string(result));
  const bool claimed = SPI_processed > 0;
  SPI_finish();
  AtEOXact_GUC(true, guc_level);
  return claimed;
}

}  // namespace

SEALCAST_FUNCTION(sealcast_idempotent_insert) {
  const RowTrigger trigger(fcinfo, "sealcast.idempotent_insert()", kUsage, kArguments, kArguments);
  Claim claim = {RelationGetRelationName(trigger.table()), trigger.text_of(trigger.arg(kSender)),
                 trigger.text_of(trigger.arg(kTxn))};
  ErrorContextCallback context = {error_context_stack, describe, &claim};
  error_context_stack = &context;
  const bool first = claim_key(root_of(trigger.table()), claim);
  error_context_stack = context.previous;
  return PointerGetDatum(first ? trigger.row() : nullptr);
}

}  // namespace sealcast::triggers
