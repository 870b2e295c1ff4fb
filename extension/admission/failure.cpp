// Reads the constraint and the table from an error.
#include "admission/failure.h"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "utils/lsyscache.h"
}

namespace sealcast::admission {

namespace {

constexpr int kIntegrityViolation = MAKE_SQLSTATE('2', '3', '0', '0', '0');

// Returns the name of the table in the error, or of the partitioned table if it is a partition.
const char* table_of(const ErrorData* error) {
  const Oid table = get_relname_relid(error->table_name, get_namespace_oid(error->schema_name, true));
  if (!OidIsValid(table) || !get_rel_relispartition(table)) return error->table_name;
  return get_rel_name(get_partition_parent(table, true));
}

}  // namespace

bool names_constraint(const ErrorData* error) {
  const bool violation = ERRCODE_TO_CATEGORY(error->sqlerrcode) == kIntegrityViolation;
  return violation && (error->constraint_name != nullptr || error->sqlerrcode == ERRCODE_NOT_NULL_VIOLATION);
}

Verdict constraint_violated(const ErrorData* error) {
  const char* const table = error->table_name == nullptr ? "?" : table_of(error);
  const char* const name = error->constraint_name != nullptr ? error->constraint_name
                           : error->column_name != nullptr   ? error->column_name
                                                             : "?";
  return {.status = 422,
          .code = "constraint_violated",
          .message = "a rule of the operator's database refuses this message",
          .details = psprintf("%s.%s", table, name),
          .hint = "Change the message, or ask the operator about this constraint."};
}

Verdict txn_in_progress(const char* message) {
  return {.status = 503,
          .code = "txn_in_progress",
          .message = message,
          .hint = "Retry with the same txn_id.",
          .retry_after_ms = 200};
}

// The executor raises "no partition of relation … found for row" as a CHECK violation without a constraint. A CHECK of
// a table has a name.
bool names_missing_partition(const ErrorData* error) {
  return error->sqlerrcode == ERRCODE_CHECK_VIOLATION && error->constraint_name == nullptr &&
         error->schema_name != nullptr && error->table_name != nullptr && strcmp(error->schema_name, "sealcast") == 0 &&
         strcmp(table_of(error), "messages") == 0;
}

Verdict no_partition() {
  return {.status = 503,
          .code = "no_partition",
          .message = "there is no partition for the messages of today",
          .details = "Nothing was inserted. The operator must run: select sealcast.maintain()",
          .hint = "Retry with the same txn_id.",
          .retry_after_ms = 1000};
}

}  // namespace sealcast::admission
