// One call of admit(): its items, the facts that the database holds about each item, and their verdicts.
//
// All of it lives in the memory of the call, in structs without destructors, because any step may leave by ereport.
#pragma once

#include "admission/cells.h"

namespace sealcast::admission {

// The SQL type sealcast.verdict, without `item`. Null texts become SQL nulls.
struct Verdict {
  int status = 0;  // 0: no verdict yet
  const char* code = nullptr;
  const char* message = nullptr;
  const char* details = nullptr;
  const char* hint = nullptr;
  std::optional<int64> retry_after_ms{};
  bool replayed = false;
  const text* envelope = nullptr;
};

// A row of message_types.
struct TypeRules {
  const text* t;
  int max_bytes;
  ArrayType* required_roles;  // null: any sender
  bool system_only;
  bool states_role;  // server_fields is {user_role}
  Oid admit_hook;    // InvalidOid: none
};

// A row of streams.
struct StreamRow {
  std::optional<TimestampTz> closed_at;
};

// The strongest row of restrictions for a sender: a ban before a mute, then the one that ends last.
struct Restriction {
  bool ban;
  bool everywhere;
  std::optional<TimestampTz> until;
};

// One message of the batch.
struct Item {
  int number;  // from 1
  // The arguments; null where the array holds a null.
  const pg_uuid_t* stream_id;
  const text* t;
  const pg_uuid_t* sender_id;
  const pg_uuid_t* txn_id;
  const text* d;

  // Facts from the database, set by look_up().
  const Cell* other_cell;   // the cell that the stream belongs to; null: this one
  const TypeRules* type;    // null: unknown type
  const StreamRow* stream;  // null: unknown stream
  const text* role;         // in this stream; null: none
  const Restriction* restriction;

  // Set by prepare().
  const text* canonical;   // null if the payload has a problem
  const bytea* sent_hash;  // likewise
  const char* problem;     // null if the payload is valid

  bool admissible;  // set by judge()

  // Set while an admissible item is stored.
  int64 message_id;
  const bytea* sig;
  Verdict verdict;

  // Only an item with a key can be a repeat.
  bool has_key() const { return sender_id != nullptr && txn_id != nullptr && canonical != nullptr; }
};

using Items = std::span<Item>;

// Reads the arguments of admit(), five arrays of one length. Error 2202E if the lengths differ.
Items read_items(FunctionCallInfo fcinfo);

// Sets the facts: cell, type, stream, role, restriction. Reads with the active snapshot.
void look_up(Items items, TimestampTz now);

// Sets `other_cell` alone. Reads with the active snapshot.
void look_up_cells(Items items);

// Sets the canonical payload and its hash. Inadmissible items need them too: a repeat is recognised by its hash.
void prepare(Items items);

// Sets `admissible`, or the verdict that refuses the item. Needs look_up() and prepare().
void judge(Item& item, TimestampTz now);

// Admits each admissible item whose type has an admit hook, one after the other. Call it after insert_keys().
void admit_hooked(Items items);

// Sets the verdicts of items whose key was used before: the original for a repeat, else 409. Such a verdict
// replaces an earlier refusal.
void answer_repeats(Items items);

// Sets the verdicts of items whose stream is in another cell, and stores nothing. A repeat of a message that was sent
// here before its stream moved gets its original.
void answer_without_storing(Items items);

// Admits a batch: looks up, prepares, judges, stores, runs the hooks and answers repeats. Afterwards each item has a
// verdict.
void admit(Items items);

// Raises a verdict other than 200 as an ERROR: SQLSTATE PTnnn, DETAIL beginning with the code, HINT beginning with the
// milliseconds to wait.
[[noreturn]] void refuse(const Verdict& verdict);

Verdict unknown_type(const text* t);

void write_verdicts(FunctionCallInfo fcinfo, Items items);

}  // namespace sealcast::admission
