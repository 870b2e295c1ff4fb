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

// The rate of a type, in messages per second. The sidecar's gate knows it.
struct Rate {
  const text* t;
  int64 limit;
};

// A row of message_types.
struct TypeRules {
  const text* t;
  int max_bytes;
  ArrayType* required_roles;  // null if a sender needs no role
  bool system_only;
  bool is_tier_2;          // neither facts of the system nor gifts: docs/sampling.md
  bool states_role;        // whether server_fields is {user_role}: admission sets d.user_role
  const text* admit_hook;  // the function of the admit hook; null if there is none
};

// A row of streams.
struct StreamRow {
  std::optional<TimestampTz> closed_at;
  bool is_private;
};

// A row of stream_rules, as far as admission enforces it.
struct StreamRules {
  bool members_only;        // a sender needs a role in the stream
  ArrayType* sender_roles;  // the roles that may send; null if there is no such rule
  ArrayType* types;         // the types that may be sent; null if all may be
  bool hold_first;          // the first messages of a user wait for a moderator
  int max_chars;            // characters that the text of a message may have; 0 if there is no such rule
  ArrayType* link_roles;    // the roles that may send links; null if everyone may
  bool emote_only;          // messages of tier 2 have no text but emotes
};

// The row of restrictions that applies to a sender in a stream. Of several rows a ban takes precedence over a mute.
// Among rows of the same kind, the one that ends last takes precedence.
struct Restriction {
  bool ban;
  bool everywhere;
  std::optional<TimestampTz> until;  // nullopt if it never ends
};

// The blocked terms that were found in a message and are recorded.
struct TermHits {
  bool refused;  // by the only one of them
  int count;
  pg_uuid_t term_ids[16];
};

// Why a message waits for a moderator.
struct Hold {
  const char* by;     // term, rule or hook
  pg_uuid_t term_id;  // nil unless `by` is term
  const char* detail;
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
  const StreamRules* rules;        // null if the stream has no rules
  const text* role;                // the sender's role in this stream; null if the sender has none
  const Restriction* restriction;  // null if the sender is neither muted nor banned

  // prepare() sets these members.
  const text* canonical;   // the canonical payload with the server fields; null if the payload is invalid
  const bytea* sent_hash;  // the hash of the canonical payload as it was sent; null if the payload is invalid
  const char* problem;     // the reason why the payload is invalid; null if it is valid

  bool admissible;       // judge() sets it, and review_content() may clear it
  const TermHits* hits;  // review_content() sets it; null if there are none
  const Hold*
      hold;  // hold_newcomers(), review_content(), or the admit hook when it is asked; null: the message need not wait
  bool approved;    // a moderator has approved it, so it waits no more
  bool skips_hook;  // its admit hook has held it before, and is not asked again

  // Set while an admissible item is stored.
  int64 message_id;
  const bytea* sig;

  Verdict verdict;  // judge(), storing and answer_repeats() set it

  // Returns whether the item is admitted alone, in a subtransaction of its own.
  bool goes_alone() const { return hold != nullptr || type->admit_hook != nullptr; }

  // Returns whether the item has a complete key and a valid payload. Only such an item can be a repeat.
  bool has_key() const { return sender_id != nullptr && txn_id != nullptr && canonical != nullptr; }
};

using Items = std::span<Item>;

// Reads the arguments of admit(): five arrays of the same length. A null array counts as an empty one. Raises error
// 2202E if the lengths differ, or if an array has several dimensions or does not start at index 1.
Items read_items(FunctionCallInfo fcinfo);

// Sets the facts of all items: cell, type, stream, rules, role and restriction. Reads with the active snapshot.
void look_up(Items items, TimestampTz now);

// Sets only the stream, its rules, the role and the restriction of all items. Reads with the active snapshot.
void look_up_standing(Items items, TimestampTz now);

// Sets only `other_cell` of all items. Reads with the active snapshot.
void look_up_cells(Items items);

// Sets the canonical payload and its hash, or `problem` if the payload is invalid. Uses the type and the role if
// look_up() has set them. Items that will be refused need a hash too: a repeat is recognised by its hash.
void prepare(Items items);

// Sets `admissible` to true, or sets the verdict that refuses the item. Call it after look_up() and prepare(). If the
// stream is in another cell, look_up_cells() is enough instead of look_up().
void judge(Item& item, TimestampTz now);

// Checks the text of the admissible items against the rules of their streams, and searches it for blocked terms:
// refuses items, and masks canonical payloads. Call it after judge().
void review_content(Items items);

// Sets `hold` of the admissible items that a rule of their stream holds.
void hold_newcomers(Items items);

// Stores the item among the held messages. Its key must be inserted. Sets its verdict: 202, or a refusal if too many
// messages wait. Then the caller must undo its changes.
void hold(Item& item);

// The status of a message that waits for a moderator.
inline constexpr int kHeld = 202;

// Returns the verdict 202.
Verdict held();

// Inserts a row into term_hits for each term that refused an item, or that flagged an item which was admitted.
void record_hits(Items items);

// Logs the term that refused the item, if one did: an ERROR undoes record_hits().
void log_refusal(const Item& item);

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
// with the code. If the verdict has retry_after_ms, the HINT begins with these milliseconds. In a request of PostgREST
// the ERROR has another form (postgrest.h). `exceeded` is the rate that the sender exceeds, if this is the reason.
[[noreturn]] void refuse(const Verdict& verdict, std::optional<Rate> exceeded = {});

// Returns whether the rules of the stream apply to the item: it has rules, and its sender is not exempt from them.
bool is_ruled(const Item& item);

// Returns whether the array of texts contains the name. A null name is in no array.
bool contains(ArrayType* array, const text* name);

// Returns the texts of the array with ", " between them.
const char* joined(ArrayType* array);

// Returns whether the role is one of those of sql/31_authority.sql that set a stream's rules and its blocked terms, and
// are exempt from them.
bool moderates(const text* role);

// Returns the verdict 403 for a user who is muted or banned.
Verdict restricted(const Restriction& restriction, TimestampTz now);

// Returns the verdict 422 for a type that does not exist.
Verdict unknown_type(const text* t);

// Returns the verdicts as the rows of the SQL function admit().
void write_verdicts(FunctionCallInfo fcinfo, Items items);

}  // namespace sealcast::admission
