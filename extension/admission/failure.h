// Decides what an error means that was raised while messages were stored: by the table and the constraint that the
// error names, never by the class of its SQLSTATE alone.
#pragma once

#include "admission/batch.h"

namespace sealcast::admission {

// Returns whether a constraint refused a row: a CHECK, a unique index, an exclusion or a foreign key. Only an operator
// adds such a constraint, so it is the verdict of one message.
bool names_constraint(const ErrorData* error);

// The verdict 422 for the message that a constraint refused.
Verdict constraint_violated(const ErrorData* error);

// The verdict 503 for a message whose key another transaction holds.
Verdict txn_in_progress(const char* message);

// Returns whether sealcast.messages has no partition for the row.
bool names_missing_partition(const ErrorData* error);

// The verdict 503 for a message that no partition can take.
Verdict no_partition();

}  // namespace sealcast::admission
