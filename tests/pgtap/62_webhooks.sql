-- Tests the events for the operator's webhook: which acts queue which event, how the sidecar reads and ends them, and dead letters.
begin;
\ir scene.psql
select plan(45);

-- Returns the types of the queued events in order, and forgets these.
create function pg_temp.queued() returns text language sql as $$
  with gone as (delete from sealcast.webhook_events returning event_id, type)
  select coalesce(string_agg(type, ' ' order by event_id), '') from gone $$;

select sealcast.ban(:room, :guest) \g /dev/null
select is(pg_temp.queued(), '', 'without a webhook, nothing is queued');
select is(sealcast_internal.subscribe_webhook('{*,user.baned,message.sent}'), '{user.baned}', 'unknown names of events are returned');

-- Each act queues its event.
select sealcast.mute(:room, :guest, reason => 'noise') \g /dev/null
select is((select data::jsonb from sealcast.webhook_events),
          (select jsonb_build_object('stream_id', l.stream_id, 'user_id', l.user_id, 'actor_id', null, 'actor_rank', 'admin', 'reason', 'noise', 'before', null, 'after', l.after)
           from sealcast.moderation_log l where act = 'mute'), 'an event has the entry of the moderation log');
select is((select event_id from sealcast.webhook_events), (select l.entry_id from sealcast.moderation_log l where act = 'mute'), 'and its id');
select is((select stream_id from sealcast.webhook_events), :room::uuid, 'and its stream');
select is(pg_temp.queued(), 'user.muted', 'a mute is user.muted');
select sealcast.unmute(:room, :guest) \g /dev/null
select is(pg_temp.queued(), 'user.unmuted', 'the end of a mute is user.unmuted');
select sealcast.ban(:room, :guest) \g /dev/null
select is(pg_temp.queued(), 'user.banned', 'a ban that replaces another one is one event');
select sealcast.unban(:room, :guest) \g /dev/null
select is(pg_temp.queued(), 'user.unbanned', 'the end of a ban is user.unbanned');
select sealcast.ban(null, :guest) \g /dev/null
select is((select stream_id || ' ' || (data::json ->> 'stream_id' is null) from sealcast.webhook_events), '00000000-0000-0000-0000-000000000000 true', 'a ban in all streams has no stream');
select sealcast.unban(null, :guest) \g /dev/null
select is(pg_temp.queued(), 'user.banned user.unbanned', 'in the order of the acts');
select sealcast.set_role(:room, :guest, 'vip') \g /dev/null
select is(pg_temp.queued(), 'role.changed', 'a role is role.changed');
select sealcast.set_stream_rules(:room, '{"slow_mode_s": 5}') \g /dev/null
select is(pg_temp.queued(), 'stream.rules_changed', 'rules are stream.rules_changed');
update sealcast.streams set closed_at = now() where stream_id = :cave;
update sealcast.streams set closed_at = null where stream_id = :cave;
update sealcast.streams set visibility = 'public' where stream_id = :cave;
select is(pg_temp.queued(), 'stream.closed stream.reopened stream.visibility_changed', 'changes of a stream');
select sealcast.remove_blocked_term(sealcast.add_blocked_term(:room, 'darn')) \g /dev/null
select is(pg_temp.queued(), 'blocked_term.added blocked_term.removed', 'changes of blocked terms');

-- Reports and redactions.
select pg_temp.admit(:room, 'chat', :vip, json_build_object('content', 'secret ' || n)::text, format('c0000000-0000-4000-8000-00000000000%s', n)::uuid)
from generate_series(1, 3) n \g /dev/null
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select m.stream_id, row_number() over (order by m.message_id), 1, m.ts, m.ts, m.message_id from sealcast.messages m where m.sender_id = :vip;
select pg_temp.queued() \g /dev/null
\set reported 1
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.report_message(%L, %s, %L, %L)', :room, :reported, 'rude', 'insult')), 'ok', 'a reader reports a message');
select is((select data::jsonb from sealcast.webhook_events),
          jsonb_build_object('stream_id', :room, 'offset', :reported, 'sender_id', :vip, 'category', 'insult', 'reason', 'rude', 'reporters', 1),
          'message.reported has neither the content nor the reporter');
set local request.jwt.claims = '';
select sealcast.resolve_report(:room, :reported, 'dismissed') \g /dev/null
select is(pg_temp.queued(), 'message.reported report.resolved', 'reports and their end');
select is(pg_temp.outcome('sealcast_user', :vip, format('select sealcast.redact_message(%L, %s)', :room, :reported)), 'ok', 'a sender redacts a message');
select is((select jsonb_build_array(type, data::jsonb - 'ts') from sealcast.webhook_events),
          jsonb_build_array('message.redacted', jsonb_build_object('stream_id', :room, 'offset', :reported, 'txn_id', 'c0000000-0000-4000-8000-000000000001',
                                                                   'sender_id', :vip, 'by', :vip, 'reason', null)), 'a redaction by the sender is an event, too');
select pg_temp.queued() \g /dev/null
set local request.jwt.claims = '';
select sealcast.ban(:room, :vip, purge => '1 hour') \g /dev/null
select is((select data::jsonb ->> 'user_id' from sealcast.webhook_events where type = 'messages.purged'), :vip, 'a purge is one event');
select is(pg_temp.queued(), 'user.banned messages.purged', 'beside the ban');
select is((select count(*) from sealcast.webhook_events where data like '%secret%'), 0::bigint, 'no event has the content of a message');

-- Held messages and pins.
select sealcast.unban(:room, :vip), sealcast.add_blocked_term(:room, 'hush', action => 'hold') \g /dev/null
select pg_temp.queued() \g /dev/null
select pg_temp.admit(:room, 'chat', :vip, '{"content":"hush secret"}', format('d0000000-0000-4000-8000-00000000000%s', n)::uuid) from generate_series(1, 2) n \g /dev/null
select is((select data::jsonb - 'held_id' from sealcast.webhook_events order by event_id limit 1),
          jsonb_build_object('stream_id', :room, 'sender_id', :vip, 'txn_id', 'd0000000-0000-4000-8000-000000000001', 't', 'chat', 'held_by', 'term', 'detail', 'hush'),
          'message.held has no content');
select sealcast.approve_message(min(h.held_id::text)::uuid), sealcast.deny_message(max(h.held_id::text)::uuid) from sealcast.held_messages h \g /dev/null
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select m.stream_id, 10, 1, m.ts, m.ts, m.message_id from sealcast.messages m where m.txn_id = 'd0000000-0000-4000-8000-000000000001';
select sealcast.pin_message(:room, 10), sealcast.unpin_message(:room) \g /dev/null
select is(pg_temp.queued(), 'message.held message.held message.approved message.denied message.pinned message.unpinned', 'what happens to held messages, and pins');

-- Only the wanted events are queued, and none of an act that was undone.
select sealcast_internal.subscribe_webhook('{user.banned}') \g /dev/null
select sealcast.mute(:room, :vip) \g /dev/null
savepoint undone;
select sealcast.ban(:room, :owner) \g /dev/null
rollback to undone;
select sealcast.ban(:room, :vip) \g /dev/null
select is(pg_temp.queued(), 'user.banned', 'only the wanted events are queued');

-- What the sidecar reads.
insert into sealcast.webhook_events (event_id, type, stream_id, occurred_at, data, due_at)
select format('00000000-0000-7000-8000-0000000000%s%s', s.digit, n)::uuid, 'user.banned', s.id, timestamptz '2026-01-02 03:04:05.006007Z', '{"n":' || n || '}', now()
from (values ('1', :room::uuid), ('2', :cave), ('3', :attic)) s (digit, id), generate_series(1, 3) n;
select results_eq(format($$select stream_id, right(event_id::text, 2) from sealcast_internal.due_webhooks('{0,1,2,3}', null, 2, 2)$$),
                  format($$values (%1$L::uuid, '11'), (%1$L, '12'), (%2$L, '21'), (%2$L, '22')$$, :room, :cave), 'the oldest events of the first streams are returned');
select results_eq(format($$select stream_id, right(event_id::text, 2) from sealcast_internal.due_webhooks('{0,1,2,3}', %L, 2, 1)$$, :cave),
                  format($$values (%L::uuid, '31')$$, :attic), 'and those of the next streams');
select is((select body from sealcast_internal.due_webhooks('{0,1,2,3}', null, 1, 1)), '{"type":"user.banned","timestamp":"2026-01-02T03:04:05.006007Z","data":{"n":1}}', 'with the body of the call');
select is((select count(*) from sealcast_internal.due_webhooks(array[sealcast_internal.shard_of(:room)], null, 10, 10) where sealcast_internal.shard_of(stream_id) <> sealcast_internal.shard_of(:room)),
          0::bigint, 'only the streams of the shards are returned');
select is((select count(*) from sealcast_internal.due_webhooks('{}', null, 10, 10)), 0::bigint, 'without shards, none');

-- A failed event holds back its stream, and no other one.
select sealcast_internal.fail_webhooks('{00000000-0000-7000-8000-000000000011}', '{it answered 500}', '{1}', '{60000}') \g /dev/null
select is((select string_agg(distinct stream_id::text, ' ') from sealcast_internal.due_webhooks('{0,1,2,3}', null, 10, 10)), :cave || ' ' || :attic, 'a stream waits for its retry, the others do not');
select is((select attempts || ' ' || reason from sealcast.webhook_events where event_id = '00000000-0000-7000-8000-000000000011'), '1 it answered 500', 'the attempts and the reason are recorded');
select sealcast_internal.end_webhooks('{00000000-0000-7000-8000-000000000021}') \g /dev/null
select is((select right(event_id::text, 2) from sealcast_internal.due_webhooks('{0,1,2,3}', :room, 1, 1)), '22', 'an accepted event is not returned again');

-- Dead letters.
select sealcast_internal.fail_webhooks('{00000000-0000-7000-8000-000000000011}', '{it answered 500}', '{12}', '{-1}') \g /dev/null
select is((select right(event_id::text, 2) from sealcast_internal.due_webhooks('{0,1,2,3}', null, 1, 1)), '12', 'a dead letter releases its stream');
select results_eq($$select name, value > 1000, ok from sealcast.health where name like 'webhook%' order by 1$$,
                  $$values ('webhook_dead_letters', false, false), ('webhook_waiting_seconds', true, false)$$,
                  'sealcast.health shows dead letters and the oldest event');
select is(sealcast.replay_webhooks(stream_id => :cave), 0::bigint, 'those of other streams are not replayed');
select is(pg_temp.outcome('sealcast_admin', null, 'select sealcast.replay_webhooks()'), 'ok', 'sealcast_admin replays dead letters');
select is((select right(event_id::text, 2) || ' ' || attempts from sealcast_internal.due_webhooks('{0,1,2,3}', null, 1, 1)), '11 0', 'a replayed event is due before the newer ones');
select sealcast_internal.fail_webhooks('{00000000-0000-7000-8000-000000000011}', '{x}', '{12}', '{-1}') \g /dev/null
select is(sealcast.drop_webhooks('00000000-0000-7000-8000-000000000011'), 1::bigint, 'a dead letter can be dropped');
select is(sealcast.drop_webhooks(), 0::bigint, 'events that wait are not dropped');

-- Retention and the end.
select pg_temp.queued() \g /dev/null
insert into sealcast.webhook_events (event_id, type, stream_id, occurred_at, data)
select sealcast_internal.ordered_id(now() - d), 'user.banned', :room, now() - d, '{}' from unnest('{31 days,29 days}'::interval[]) d;
select pg_temp.maintain() \g /dev/null
select is((select count(*) from sealcast.webhook_events), 1::bigint, 'events are kept as long as messages');
select is(pg_temp.outcome('sealcast_user', :owner, 'select sealcast.forget_webhooks()'), '42501', 'users have no access');
select is(pg_temp.outcome('sealcast_admin', null, 'select sealcast.forget_webhooks()'), 'ok', 'forget_webhooks() ends the queue');
set local request.jwt.claims = '';
select sealcast.unban(:room, :vip) \g /dev/null
select sealcast.ban(:room, :vip) \g /dev/null
select is(pg_temp.queued(), '', 'afterwards nothing is queued');

select finish();
rollback;
