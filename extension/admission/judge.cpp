// Decides whether a message may be sent. The same rules apply to messages from the sidecar and to messages from SQL.
// The rules of the acts `send` and `send_private` are also in the table of sql/31_authority.sql.
#include "admission/batch.h"
#include "core/message_type.h"
#include "core/redaction.h"
#include "server/datum.h"

extern "C" {
#include "utils/array.h"
#include "utils/fmgroids.h"
}

namespace sealcast::admission {
namespace {

bool is_system(const pg_uuid_t& sender) {
  static constexpr pg_uuid_t kSystem{};
  return std::memcmp(&sender, &kSystem, sizeof kSystem) == 0;
}

const char* in_utc(TimestampTz moment) {
  pg_tm tm;
  fsec_t microseconds;
  if (timestamp2tm(moment, nullptr, &tm, &microseconds, nullptr, nullptr) != 0) return "?";
  return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min,
                  tm.tm_sec, microseconds / 1000);
}

const char* c_string(const pg_uuid_t& uuid) {
  return pnstrdup(server::UuidText(uuid).text, sizeof server::UuidText::text);
}

Verdict role_required(const text* t, const char* required) {
  return {.status = 403,
          .code = "role_required",
          .message = psprintf("you may not send messages of type %s", text_to_cstring(t)),
          .details = required,
          .hint = "Send a type that your role may send."};
}

// Returns the refusal by the rules of the stream (sql/46_stream_rules.sql), or a verdict with status 0.
Verdict refusal_by_rules(const Item& item) {
  if (!is_ruled(item)) return {};
  const StreamRules& rules = *item.rules;
  const bool excluded = rules.members_only ? item.role == nullptr
                                           : rules.sender_roles != nullptr && !contains(rules.sender_roles, item.role);
  if (excluded) {
    return {.status = 403,
            .code = "role_required",
            .message = rules.members_only ? "only members of this stream may send now"
                                          : "only users with certain roles may send in this stream now",
            .details = rules.members_only ? "any role" : joined(rules.sender_roles),
            .hint = "Ask an owner of the stream for a role, or wait until the rule ends."};
  }
  if (rules.types != nullptr && !contains(rules.types, item.t)) {
    return {.status = 403,
            .code = "type_not_allowed",
            .message = psprintf("this stream takes no messages of type %s now", text_to_cstring(item.t)),
            .details = joined(rules.types),
            .hint = "Send a type that the stream takes, or wait until the rule ends."};
  }
  return {};
}

Verdict wrong_cell(const Item& item) {
  return {.status = 421,
          .code = "wrong_cell",
          .message = psprintf("stream %s is in cell %s", c_string(*item.stream_id), item.other_cell->name),
          .details = item.other_cell->url,
          .hint = "Send the message to that cell, with the same txn_id."};
}

// A closed stream still takes messages about older ones: redactions, and what is pinned. It also takes the end of what
// late joiners are told, since they would else be told it for ever.
bool closed_stream_takes(std::string_view t) {
  return core::announces_redaction(t) || t == "pinned" || t == "transport_migrate" || t == "sampling_update" ||
         t == "viewer_count_update";
}

// Returns the first refusal that applies to the item, in the order of docs/errors.md. Returns a verdict with status 0
// if no refusal applies.
Verdict refusal(const Item& item, TimestampTz now) {
  if (item.stream_id == nullptr || item.t == nullptr || item.sender_id == nullptr || item.d == nullptr) {
    return {.status = 400,
            .code = "invalid_request",
            .message = "stream_id, t, sender_id or d is null",
            .hint = "Send all four members."};
  }
  if (item.other_cell != nullptr) return wrong_cell(item);
  if (item.type == nullptr) return unknown_type(item.t);
  if (item.stream == nullptr) {
    return {.status = 404,
            .code = "stream_not_found",
            .message = psprintf("stream %s does not exist", c_string(*item.stream_id)),
            .hint = "Check stream_id."};
  }
  if (item.stream->closed_at && *item.stream->closed_at <= now && !closed_stream_takes(server::view(item.t))) {
    return {.status = 403,
            .code = "stream_closed",
            .message = "this stream is closed",
            .details = psprintf("since %s", in_utc(*item.stream->closed_at)),
            .hint = "Send to an open stream."};
  }
  if (item.restriction != nullptr) return restricted(*item.restriction, now);
  if (item.stream->is_private && item.role == nullptr && !is_system(*item.sender_id)) {
    return {.status = 403,
            .code = "role_required",
            .message = "this stream is private and you have no role in it",
            .hint = "Ask an owner of the stream for a role."};
  }
  if (item.type->system_only != is_system(*item.sender_id)) {
    if (item.type->system_only) return role_required(item.t, "only the system sends this type");
    return role_required(item.t, item.type->required_roles == nullptr ? nullptr : joined(item.type->required_roles));
  }
  if (item.type->required_roles != nullptr && !contains(item.type->required_roles, item.role)) {
    return role_required(item.t, joined(item.type->required_roles));
  }
  if (const Verdict ruled = refusal_by_rules(item); ruled.status != 0) return ruled;
  if (item.problem != nullptr) {
    return {.status = 400,
            .code = "invalid_json",
            .message = "d is not JSON that can be signed",
            .details = item.problem,
            .hint = "Send an I-JSON object (RFC 7493) whose numbers are exact as double, and without U+0000."};
  }
  const auto bytes = static_cast<int>(server::view(item.canonical).size());
  if (bytes > item.type->max_bytes) {
    return {.status = 413,
            .code = "payload_too_large",
            .message = psprintf("d has %d bytes, but type %s allows at most %d", bytes, text_to_cstring(item.t),
                                item.type->max_bytes),
            .hint = "Send a smaller payload, or ask the operator to raise max_bytes of the type."};
  }
  if (item.txn_id == nullptr) {
    return {.status = 400,
            .code = "invalid_request",
            .message = "txn_id is null",
            .hint = "Send a new UUID for each message, and the same UUID for its retries."};
  }
  return {};
}

}  // namespace

const char* joined(ArrayType* array) {
  return TextDatumGetCString(
      OidFunctionCall2(F_ARRAY_TO_STRING_ANYARRAY_TEXT, PointerGetDatum(array), CStringGetTextDatum(", ")));
}

bool contains(ArrayType* array, const text* name) {
  if (name == nullptr) return false;
  Datum* names;
  bool* nulls;
  int count;
  deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
  for (int i = 0; i < count; ++i) {
    if (!nulls[i] && server::view(DatumGetPointer(names[i])) == server::view(name)) return true;
  }
  return false;
}

bool is_ruled(const Item& item) {
  return item.rules != nullptr && !is_system(*item.sender_id) && !moderates(item.role);
}

bool moderates(const text* role) {
  return role != nullptr && (server::view(role) == "owner" || server::view(role) == "moderator");
}

Verdict restricted(const Restriction& restriction, TimestampTz now) {
  const char* const where = restriction.everywhere ? "" : restriction.ban ? " from this stream" : " in this stream";
  Verdict verdict{
      .status = 403,
      .code = restriction.ban ? "user_banned" : "user_muted",
      .message = psprintf("you are %s%s", restriction.ban ? "banned" : "muted", where),
      .hint = restriction.until ? "Wait until the restriction ends, or ask a moderator." : "Ask a moderator."};
  if (restriction.until) {
    verdict.details = psprintf("until %s", in_utc(*restriction.until));
    verdict.retry_after_ms = (*restriction.until - now + 999) / 1000;
  }
  return verdict;
}

// A sender can send any text as a type. Only a text that can be the name of a type is repeated.
Verdict unknown_type(const text* t) {
  return {.status = 422,
          .code = "unknown_type",
          .message = core::is_message_type(server::view(t))
                         ? psprintf("message type %s does not exist", text_to_cstring(t))
                         : "t is not the name of a message type",
          .hint = "Use a type of sealcast.message_types."};
}

void judge(Item& item, TimestampTz now) {
  item.verdict = refusal(item, now);
  item.admissible = item.verdict.status == 0;
}

}  // namespace sealcast::admission
