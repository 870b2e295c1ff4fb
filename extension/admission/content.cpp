// Checks the text of admissible messages against the rules of their streams, reviews it for blocked terms, and records
// the terms that were found in term_hits.
#include "admission/batch.h"
#include "admission/terms.h"
#include "server/bulk_insert.h"
#include "server/datum.h"
#include "server/guard.h"

namespace sealcast::admission {

namespace {

constexpr int kUnprocessable = 422;

// Returns the rules about text that apply to the item.
core::terms::TextRules text_rules(const Item& item) {
  core::terms::TextRules rules;
  if (!is_ruled(item)) return rules;
  rules.max_chars = static_cast<std::size_t>(item.rules->max_chars);
  rules.no_links = item.rules->link_roles != nullptr && !contains(item.rules->link_roles, item.role);
  rules.emote_only = item.rules->emote_only && item.type->is_tier_2;
  rules.t = server::view(item.t);
  return rules;
}

Verdict refusal_by(core::terms::TextRule rule, const StreamRules& rules) {
  using core::terms::TextRule;
  switch (rule) {
    case TextRule::max_chars:
      return {.status = kUnprocessable,
              .code = "text_too_long",
              .message = psprintf("this stream takes no text of more than %d characters now", rules.max_chars),
              .hint = "Shorten the text, or wait until the rule ends."};
    case TextRule::links:
      return {.status = kUnprocessable,
              .code = "links_not_allowed",
              .message = "you may not send links in this stream now",
              .details = ARR_NDIM(rules.link_roles) == 0 ? nullptr : joined(rules.link_roles),
              .hint = "Remove the link, or wait until the rule ends."};
    case TextRule::emote_only:
      break;
  }
  return {.status = kUnprocessable,
          .code = "emotes_only",
          .message = "this stream takes only emotes now",
          .hint = "Send only emoji and names of emotes such as :heart:, or wait until the rule ends."};
}

// `has_terms`: whether the database has blocked terms.
void review(Item& item, bool has_terms) {
  const core::terms::TextRules rules = text_rules(item);
  if (!has_terms && !rules.any()) return;
  const terms::Compiled* const everywhere = has_terms ? &terms::of(nullptr) : nullptr;
  // The terms of all streams are the operator's, and apply to moderators as well.
  const terms::Compiled* const stream = !has_terms || moderates(item.role) ? nullptr : &terms::of(item.stream_id);
  TermHits hits{};
  std::optional<core::terms::TextRule> broken;
  const varlena* masked = nullptr;
  Hold hold{"term", {}, ""};
  bool held = false;
  server::guarded([&](core::CancelFlag cancel) {
    static core::terms::Review found;
    const core::terms::TermSet* sets[2];
    const terms::Compiled* sources[2];
    std::size_t count = 0;
    for (const terms::Compiled* const each : {everywhere, stream}) {
      if (each == nullptr || each->set == nullptr) continue;
      sets[count] = each->set.get();
      sources[count++] = each;
    }
    hits.count = 0;
    held = false;
    broken.reset();
    if (count == 0 && !rules.any()) return;
    terms::reviewer().review(server::view(item.canonical), item.type->states_role ? "user_role" : "", {sets, count},
                             found, cancel, rules);
    broken = found.broken;
    if (broken) return;
    const auto add = [&](const core::terms::Found& term) {
      hits.term_ids[hits.count++] = sources[term.set]->ids[term.number];
    };
    hits.refused = found.refused_by.has_value();
    if (hits.refused) {
      add(*found.refused_by);
      return;
    }
    if (found.held_by) {
      held = true;
      hold.term_id = sources[found.held_by->set]->ids[found.held_by->number];
    }
    static_assert(std::size(hits.term_ids) >= std::size(sets) * core::terms::Findings::kMaxFlags);
    for (const core::terms::Found& term : found.flagged_by) add(term);
    if (found.masked) masked = server::new_varlena(found.payload);
  });
  if (broken) {
    item.admissible = false;
    item.verdict = refusal_by(*broken, *item.rules);
    return;
  }
  if (masked != nullptr) item.canonical = reinterpret_cast<const text*>(masked);
  if (held) item.hold = new (palloc(sizeof(Hold))) Hold(hold);
  if (hits.count == 0) return;
  auto* const kept = static_cast<TermHits*>(palloc(sizeof(TermHits)));
  item.hits = new (kept) TermHits(hits);
  if (!hits.refused) return;
  item.admissible = false;
  // The sender learns neither the term nor whether it is one of the stream.
  item.verdict = {.status = kUnprocessable,
                  .code = "content_refused",
                  .message = "this message contains something that is not allowed here",
                  .hint = "Change the message."};
}

}  // namespace

void review_content(Items items) {
  const bool has_terms = terms::any();
  for (Item& item : items) {
    if (!has_terms && item.rules == nullptr) continue;
    CHECK_FOR_INTERRUPTS();
    // The system states facts.
    if (item.admissible && !item.type->system_only) review(item, has_terms);
  }
}

void record_hits(Items items) {
  struct Row {
    const Item* item;
    const pg_uuid_t* term_id;
  };
  std::size_t most = 0;
  for (const Item& item : items) most += item.hits == nullptr ? 0 : static_cast<std::size_t>(item.hits->count);
  if (most == 0) return;
  auto* const rows = static_cast<Row*>(palloc(most * sizeof(Row)));
  int count = 0;
  for (const Item& item : items) {
    if (item.hits == nullptr || item.verdict.replayed) continue;
    // A hook, a constraint or the original of a repeat may have decided otherwise.
    if (item.verdict.status != (item.hits->refused ? kUnprocessable : 200)) continue;
    for (int i = 0; i < item.hits->count; ++i) rows[count++] = {&item, &item.hits->term_ids[i]};
  }
  if (count == 0) return;
  const TimestampTz now = GetCurrentTimestamp();
  const text* const refused = cstring_to_text("refuse");
  const text* const flagged = cstring_to_text("flag");
  static constexpr const char* kColumns[] = {"at", "stream_id", "sender_id", "txn_id", "t", "term_id", "action"};
  server::bulk_insert("term_hits", kColumns, count, [&](int i, Datum* values, bool*) {
    const Item& item = *rows[i].item;
    values[0] = TimestampTzGetDatum(now);
    values[1] = UUIDPGetDatum(item.stream_id);
    values[2] = UUIDPGetDatum(item.sender_id);
    values[3] = UUIDPGetDatum(item.txn_id);
    values[4] = PointerGetDatum(item.t);
    values[5] = UUIDPGetDatum(rows[i].term_id);
    values[6] = PointerGetDatum(item.hits->refused ? refused : flagged);
  });
}

void log_refusal(const Item& item) {
  if (item.hits == nullptr || !item.hits->refused) return;
  const auto c_string = [](const pg_uuid_t& uuid) {
    return pnstrdup(server::UuidText(uuid).text, sizeof server::UuidText::text);
  };
  // Not LOG: a session can have LOG sent to itself.
  ereport(LOG_SERVER_ONLY,
          (errmsg("sealcast: a blocked term refused a message of user %s in stream %s", c_string(*item.sender_id),
                  c_string(*item.stream_id)),
           errdetail("term_id %s, txn_id %s", c_string(item.hits->term_ids[0]), c_string(*item.txn_id))));
}

}  // namespace sealcast::admission
