// The data of one call of admit(): its items (the messages), the facts from the database about each item, and the
// verdicts.
//
// Any step may raise an error by ereport, which runs no destructors. All data is therefore in structs without
// destructors, allocated in the memory context of the call.
#pragma once

#include "admission/cells.h"

namespace sealcast::admission {

// The answer to one item: the SQL type sealcast.verdict without its member `item`. A null pointer becomes a SQL null.
struct Verdict {
  int status = 0;  // an HTTP status code; 0 if there is no verdict yet
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
  ArrayType* required_roles;  // null if a sender needs no role
  bool system_only;
  bool states_role;        // whether server_fields is {user_role}: admission sets d.user_role
  const text* admit_hook;  // the function of the admit hook; null if there is none
};

// A row of streams.
struct StreamRow {
  std::optional<TimestampTz> closed_at;
  bool is_private;
};

// The row of restrictions that applies to a sender in a stream. Of several rows a ban takes precedence over a mute.
// Among rows of the same kind, the one that ends last takes precedence.
struct Restriction {
  bool ban;
  bool everywhere;
  std::optional<TimestampTz> until;  // nullopt if it never ends
};

// One message of the batch.
struct Item {
  int number;  // position in the batch, from 1
  // The arguments of admit() for this message. A pointer is null if the array has a SQL null there.
  const pg_uuid_t* stream_id;
  const text* t;
  const pg_uuid_t* sender_id;
  const pg_uuid_t* txn_id;
  const text* d;

  // Facts from the database. look_up() sets them.
  const Cell* other_cell;          // the cell of the stream; null if the stream is in this cell
  const TypeRules* type;           // null if the type does not exist
  const StreamRow* stream;         // null if the stream does not exist
  const text* role;                // the sender's role in this stream; null if the sender has none
  const Restriction* restriction;  // null if the sender is neither muted nor banned

  // prepare() sets these members.
  const text* canonical;   // the canonical payload with the server fields; null if the payload is invalid
  const bytea* sent_hash;  // the hash of the canonical payload as it was sent; null if the payload is invalid
  const char* problem;     // the reason why the payload is invalid; null if it is valid

  bool admissible;  // judge() sets it

  // Set while an admissible item is stored.
  int64 message_id;
  const bytea* sig;

  Verdict verdict;  // judge(), storing and answer_repeats() set it

  // Returns whether the item has a complete key and a valid payload. Only such an item can be a repeat.
  bool has_key() const { return sender_id != nullptr && txn_id != nullptr && canonical != nullptr; }
};

using Items = std::span<Item>;

// Reads the arguments of admit(): five arrays of the same length. A null array counts as an empty one. Raises error
// 2202E if the lengths differ, or if an array has several dimensions or does not start at index 1.
Items read_items(FunctionCallInfo fcinfo);

// Sets the facts of all items: cell, type, stream, role and restriction. Reads with the active snapshot.
void look_up(Items items, TimestampTz now);

// Sets only the stream, the role and the restriction of all items. Reads with the active snapshot.
void look_up_standing(Items items, TimestampTz now);

// Sets only `other_cell` of all items. Reads with the active snapshot.
void look_up_cells(Items items);

// Sets the canonical payload and its hash, or `problem` if the payload is invalid. Uses the type and the role if
// look_up() has set them. Items that will be refused need a hash too: a repeat is recognised by its hash.
void prepare(Items items);

// Sets `admissible` to true, or sets the verdict that refuses the item. Call it after look_up() and prepare(). If the
// stream is in another cell, look_up_cells() is enough instead of look_up().
void judge(Item& item, TimestampTz now);

// Admits the item alone, in a subtransaction: inserts its key, asks its admit hook if it has one, seals and stores it.
// A refusal or failure leaves nothing behind, and becomes the verdict of this item. Sets no verdict if the key was used
// before. Raises only errors that concern the whole transaction.
void admit_alone(Item& item);

// Sets the verdicts of the items whose key was used before. A repeat gets 200 with the envelope of its original; any
// other item gets 409. This verdict replaces an earlier refusal of the item.
void answer_repeats(Items items);

// Sets the verdicts of items whose stream is in another cell, and stores nothing. Such an item gets 421, except a
// repeat: if its original was sent here before the stream moved, it gets the envelope of the original. Call it after
// look_up_cells().
void answer_without_storing(Items items);

// Admits a batch: looks up, prepares, judges, stores, runs the hooks and answers repeats. Afterwards each item has a
// verdict.
void admit(Items items);

// Raises a verdict other than 200 as an ERROR. The SQLSTATE is PT and the three digits of the status. The DETAIL begins
// with the code. If the verdict has retry_after_ms, the HINT begins with these milliseconds.
[[noreturn]] void refuse(const Verdict& verdict);

// Returns the verdict 403 for a user who is muted or banned.
Verdict restricted(const Restriction& restriction, TimestampTz now);

// Returns the verdict 422 for a type that does not exist.
Verdict unknown_type(const text* t);

// Returns the verdicts as the rows of the SQL function admit().
void write_verdicts(FunctionCallInfo fcinfo, Items items);

}  // namespace sealcast::admission
