// The methods of moderators, and report() for readers. Each is one request: a call of a SQL function by POST /rpc/{function},
// or a page by GET. They are not repeated by themselves, since a moderator should see what happened.
import { COUNT, ENVELOPE, LIST, NOTHING, orNothing, pageOf, RULES, UUID, YES_OR_NO } from './answers.js';
import { checkArgument, checkOptions, OBJECT, orNull, TEXT } from './check.js';
import {
  HELD_OPTIONS, LOG_OPTIONS, MESSAGE_NAME, OFFSET, OUTCOME, PIN_OPTIONS, PURGE_OPTIONS, REASON_OPTIONS, REPORT_OPTIONS, REPORTS_OPTIONS,
  RESTRICT_OPTIONS, SIGNAL_OPTION, TERM_OPTIONS, TERM_HITS_OPTIONS,
} from './options.js';

const withoutNull = (given) => Object.fromEntries(Object.entries(given).filter(([, value]) => (value ?? null) !== null));
const isoTime = (time) => (time === null ? null : new Date(time).toISOString());

export function moderationOf(http) {
  // Calls the SQL function; arguments that are undefined or null are left out, so their defaults apply.
  function call(name, answer, streamId, given, signal) {
    const body = JSON.stringify(withoutNull(given));
    return http.json('POST', `/rpc/${name}`, { answer, body, streamId, signal });
  }

  function page(streamId, name, answer, query, signal) {
    const given = String(new URLSearchParams(withoutNull(query)));
    const path = `/streams/${encodeURIComponent(streamId)}/${name}${given && `?${given}`}`;
    return http.json('GET', path, { answer, streamId, signal });
  }

  async function restrict(kind, streamId, userId, restrictOptions) {
    checkUser(kind, streamId, userId);
    const { until = null, purgeMs = null, signal, ...why } = checkOptions(`${kind}()`, restrictOptions, RESTRICT_OPTIONS);
    const purge = purgeMs === null ? null : `${purgeMs} ms`;
    await call(kind, NOTHING, streamId, { stream_id: streamId, user_id: userId, until: isoTime(until), purge, ...why }, signal);
  }

  async function lift(act, streamId, userId, liftOptions) {
    checkUser(act, streamId, userId);
    const { signal } = checkOptions(`${act}()`, liftOptions, SIGNAL_OPTION);
    return call(act, YES_OR_NO, streamId, { stream_id: streamId, user_id: userId }, signal);
  }

  function checkStream(where, streamId) {
    checkArgument(`${where}()`, 'streamId', streamId, TEXT);
  }

  function checkUser(where, streamId, userId) {
    checkStream(where, streamId);
    checkArgument(`${where}()`, 'userId', userId, TEXT);
  }

  function checkHeld(where, streamId, heldId) {
    checkStream(where, streamId);
    checkArgument(`${where}()`, 'heldId', heldId, TEXT);
  }

  return {
    mute: async (streamId, userId, options = {}) => restrict('mute', streamId, userId, options),
    ban: async (streamId, userId, options = {}) => restrict('ban', streamId, userId, options),
    unmute: async (streamId, userId, options = {}) => lift('unmute', streamId, userId, options),
    unban: async (streamId, userId, options = {}) => lift('unban', streamId, userId, options),

    async setRole(streamId, userId, role, options = {}) {
      checkUser('setRole', streamId, userId);
      checkArgument('setRole()', 'role', role, orNull(TEXT));
      const { signal } = checkOptions('setRole()', options, SIGNAL_OPTION);
      await call('set_role', NOTHING, streamId, { stream_id: streamId, user_id: userId, role }, signal);
    },

    async redact(streamId, message, reason = null) {
      checkStream('redact', streamId);
      checkArgument('redact()', 'message', message, MESSAGE_NAME);
      checkArgument('redact()', 'reason', reason, orNull(TEXT));
      const { offset, txnId: txn_id, senderId: sender_id } = message;
      return call('redact_message', YES_OR_NO, streamId, { stream_id: streamId, offset, txn_id, sender_id, reason });
    },

    async redactMessages(streamId, userId, options) {
      checkUser('redactMessages', streamId, userId);
      const { since, reason } = checkOptions('redactMessages()', options, PURGE_OPTIONS);
      checkArgument('redactMessages()', 'since', since, PURGE_OPTIONS.since);
      return call('redact_messages', COUNT, streamId, { stream_id: streamId, user_id: userId, since: isoTime(since), reason });
    },

    async rules(streamId, options = {}) {
      checkStream('rules', streamId);
      const { signal } = checkOptions('rules()', options, SIGNAL_OPTION);
      return page(streamId, 'rules', RULES, {}, signal);
    },

    // A rule that is null ends, so null is sent.
    async setRules(streamId, rules, options = {}) {
      checkStream('setRules', streamId);
      checkArgument('setRules()', 'rules', rules, OBJECT);
      const { signal } = checkOptions('setRules()', options, SIGNAL_OPTION);
      return call('set_stream_rules', orNothing(ENVELOPE), streamId, { stream_id: streamId, rules }, signal);
    },

    async report(streamId, offset, options = {}) {
      checkStream('report', streamId);
      checkArgument('report()', 'offset', offset, OFFSET);
      const { signal, ...why } = checkOptions('report()', options, REPORT_OPTIONS);
      return call('report_message', YES_OR_NO, streamId, { stream_id: streamId, offset, ...why }, signal);
    },

    async reports(streamId, options = {}) {
      checkStream('reports', streamId);
      const { signal, ...query } = checkOptions('reports()', options, REPORTS_OPTIONS);
      return page(streamId, 'reports', pageOf('reports'), query, signal);
    },

    async resolveReport(streamId, offset, outcome, options = {}) {
      checkStream('resolveReport', streamId);
      checkArgument('resolveReport()', 'offset', offset, OFFSET);
      checkArgument('resolveReport()', 'outcome', outcome, OUTCOME);
      const { signal, reason } = checkOptions('resolveReport()', options, REASON_OPTIONS);
      return call('resolve_report', YES_OR_NO, streamId, { stream_id: streamId, offset, outcome, reason }, signal);
    },

    async heldMessages(streamId, options = {}) {
      checkStream('heldMessages', streamId);
      const { signal, ...query } = checkOptions('heldMessages()', options, HELD_OPTIONS);
      return page(streamId, 'held', pageOf('held'), query, signal);
    },

    // The stream only says which cell has the held message.
    async approve(streamId, heldId, options = {}) {
      checkHeld('approve', streamId, heldId);
      const { signal } = checkOptions('approve()', options, SIGNAL_OPTION);
      return call('approve_message', ENVELOPE, streamId, { held_id: heldId }, signal);
    },

    async deny(streamId, heldId, options = {}) {
      checkHeld('deny', streamId, heldId);
      const { signal, reason } = checkOptions('deny()', options, REASON_OPTIONS);
      return call('deny_message', YES_OR_NO, streamId, { held_id: heldId, reason }, signal);
    },

    async pin(streamId, offset, options = {}) {
      checkStream('pin', streamId);
      checkArgument('pin()', 'offset', offset, OFFSET);
      const { signal, note } = checkOptions('pin()', options, PIN_OPTIONS);
      return call('pin_message', orNothing(ENVELOPE), streamId, { stream_id: streamId, offset, note }, signal);
    },

    async unpin(streamId, options = {}) {
      checkStream('unpin', streamId);
      const { signal } = checkOptions('unpin()', options, SIGNAL_OPTION);
      return call('unpin_message', orNothing(ENVELOPE), streamId, { stream_id: streamId }, signal);
    },

    async moderationLog(streamId, options = {}) {
      checkStream('moderationLog', streamId);
      const { signal, userId: user_id, ...query } = checkOptions('moderationLog()', options, LOG_OPTIONS);
      return page(streamId, 'moderation_log', pageOf('entries'), { user_id, ...query }, signal);
    },

    async blockedTerms(streamId, options = {}) {
      checkStream('blockedTerms', streamId);
      const { signal } = checkOptions('blockedTerms()', options, SIGNAL_OPTION);
      return call('blocked_terms_of', LIST, streamId, { stream_id: streamId }, signal);
    },

    async addBlockedTerm(streamId, term, options = {}) {
      checkStream('addBlockedTerm', streamId);
      checkArgument('addBlockedTerm()', 'term', term, TEXT);
      const { signal, wholeWord: whole_word, ...how } = checkOptions('addBlockedTerm()', options, TERM_OPTIONS);
      return call('add_blocked_term', UUID, streamId, { stream_id: streamId, term, whole_word, ...how }, signal);
    },

    // The stream only says which cell has the term.
    async removeBlockedTerm(streamId, termId, options = {}) {
      checkStream('removeBlockedTerm', streamId);
      checkArgument('removeBlockedTerm()', 'termId', termId, TEXT);
      const { signal } = checkOptions('removeBlockedTerm()', options, SIGNAL_OPTION);
      return call('remove_blocked_term', YES_OR_NO, streamId, { term_id: termId }, signal);
    },

    async termHits(streamId, options = {}) {
      checkStream('termHits', streamId);
      const { signal, beforeHit: before_hit, ...query } = checkOptions('termHits()', options, TERM_HITS_OPTIONS);
      return call('term_hits_of', LIST, streamId, { stream_id: streamId, before_hit, ...query }, signal);
    },
  };
}
