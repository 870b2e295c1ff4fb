-- Tests redaction: who may redact whose messages, what stays of them, the messages that announce it, and purges.
begin;
\ir scene.psql
select plan(108);
delete from sealcast_internal.outbox;
update sealcast_internal.relay_leases set holder = 'tap', epoch = 1, lease_until = now() + interval '1 h';
\set guest2 '''b0000000-0000-4000-8000-000000000014'''
\set guest3 '''b0000000-0000-4000-8000-000000000015'''
\set vip2 '''b0000000-0000-4000-8000-000000000010'''
\set moderator2 '''b0000000-0000-4000-8000-000000000012'''
\set owner2 '''b0000000-0000-4000-8000-000000000011'''
\set banned '''b0000000-0000-4000-8000-000000000013'''
insert into sealcast.stream_roles (stream_id, user_id, role) values
  (:room, :moderator2, 'moderator'), (:room, :owner2, 'owner'), (:room, :banned, 'moderator'), (:room, :vip2, 'vip');
insert into sealcast.restrictions (kind, stream_id, user_id, issuer_rank) values ('ban', :room, :banned, 'owner');

-- Gives the messages of this transaction their offsets. Returns their frames. A drain relays the messages of
-- transactions that have ended, so they count as those of an earlier one.
create function pg_temp.drain() returns table ("offset" bigint, envelope json, redacted json) language plpgsql as $$
begin
  update sealcast_internal.outbox set xid = '3' where xid = pg_current_xact_id();
  update sealcast_internal.relay_log r set seen = '3:3:', seen_xid = '0', seen_id = 0, target = null, target_xid = null, target_id = null, after_id = 0;
  return query select d."offset", d.envelope::json, d.redacted::json
               from sealcast_internal.drain('tap', '{0,1,2,3}', '{1,1,1,1}', 100000) d where d.stream_id is not null;
  delete from sealcast_internal.outbox;
end $$;
-- Sends a message and returns its txn_id.
create function pg_temp.send(stream_id uuid, sender uuid, d text default '{"content":"secret"}', t text default 'chat') returns uuid language plpgsql as $$
declare
  txn uuid := gen_random_uuid();
begin
  if pg_temp.admit(stream_id, t, sender, d, txn) <> '200' then raise 'not sent'; end if;
  return txn;
end $$;
-- The d of the newest message of the system, and the number of the messages that announce redactions.
create function pg_temp.event() returns jsonb language sql as
  $$ select m.d::jsonb from sealcast.messages m where m.t in ('message_redacted', 'messages_purged') order by m.message_id desc limit 1 $$;
create function pg_temp.events() returns bigint language sql as
  $$ select count(*) from sealcast.messages m where m.t in ('message_redacted', 'messages_purged') $$;
create function pg_temp.d_of(txn uuid) returns text language sql as $$ select m.d from sealcast.messages m where m.txn_id = txn $$;
create function pg_temp.sealed(txn uuid) returns json language sql as
  $$ select sealcast.envelope(m)::json from sealcast.messages m where m.txn_id = txn $$;

-- Who may redact whose message: over SQL and over call_as(), on its way (by txn_id) and relayed (by offset).
create function pg_temp.tried(caller uuid, sender uuid, late boolean, path text, relayed boolean) returns text language plpgsql as $$
declare
  txn uuid;
  place json;
  outcome text;
begin
  txn := pg_temp.send('a0000000-0000-4000-8000-000000000001', sender, '{}',
                      case sender when '00000000-0000-0000-0000-000000000000' then 'transport_warmup' else 'chat' end);
  if late then
    update sealcast.message_types set redact_own_within = '1 ms' where t = 'chat';
    perform pg_sleep(0.003);
  end if;
  if relayed then
    select json_build_object('offset', max(d."offset")) into place from pg_temp.drain() d;
  else
    place := json_build_object('txn_id', txn, 'sender_id', sender);
  end if;
  outcome := pg_temp.outcome(case path when 'sql' then 'sealcast_user' when 'admin' then 'sealcast_admin' else 'sealcast_service' end,
    case path when 'sql' then caller::text end,
    case when path = 'call' then format('select sealcast_internal.call_as(%L, ''redact_message'', %L)', caller,
                                        place::jsonb || '{"stream_id":"a0000000-0000-4000-8000-000000000001"}')
         when relayed then format('select sealcast.redact_message(''a0000000-0000-4000-8000-000000000001'', %s)', place ->> 'offset')
         else format('select sealcast.redact_message(''a0000000-0000-4000-8000-000000000001'', txn_id => %L, sender_id => %L)', txn, sender) end);
  if (outcome = 'ok') <> (pg_temp.d_of(txn) is null) then outcome := outcome || ', but d is ' || coalesce(pg_temp.d_of(txn), 'null'); end if;
  raise exception using errcode = 'TDONE', message = outcome;
exception when sqlstate 'TDONE' then
  return sqlerrm;
end $$;
-- `picture`: may the caller redact a message of a guest, a vip, a moderator, an owner, their own of just now, their own of
-- 6 minutes ago, and one of the system.
create temp table callers (name text, id uuid, picture text);
insert into callers values ('a guest', :guest, '----+--'), ('a vip', :vip, '----+--'), ('a moderator', :moderator, '++--++-'),
  ('a banned moderator', :banned, '-------'), ('an owner', :owner, '++++++-');
create temp table senders (n integer, name text, id uuid, late boolean);
insert into senders values (1, 'a guest', :guest2, false), (2, 'a vip', :vip2, false), (3, 'a moderator', :moderator2, false),
  (4, 'an owner', :owner2, false), (5, 'themselves', null, false), (6, 'themselves, too late', null, true), (7, 'the system', :system, false);
select is(string_agg(concat_ws(' ', path, relayed, outcome), ', ') filter (where outcome <> expected), null,
          format('%s %s a message of %s', c.name, case when substr(c.picture, s.n, 1) = '+' then 'may redact' else 'may not redact' end, s.name))
from callers c cross join senders s cross join unnest('{sql,call}'::text[]) path cross join unnest('{f,t}'::boolean[]) relayed
  cross join lateral (select case when substr(c.picture, s.n, 1) = '+' then 'ok' when c.id = :banned then 'PT403 user_banned' else 'PT403 role_required' end) x (expected)
  cross join lateral (select pg_temp.tried(c.id, coalesce(s.id, c.id), s.late, path, relayed)) o (outcome)
-- A banned user cannot have sent a message just now.
where not (c.id = :banned and s.id is null)
group by c.name, c.picture, s.n, s.name order by c.name, s.n;
select is(string_agg(concat_ws(' ', s.name, relayed, outcome), ', '), null, 'sealcast_admin may redact every message')
from senders s cross join unnest('{f,t}'::boolean[]) relayed cross join lateral (select pg_temp.tried(null, s.id, false, 'admin', relayed)) o (outcome)
where s.id is not null and outcome <> 'ok';
update sealcast.message_types set redact_own_within = null where t = 'chat';
select is(pg_temp.tried(:guest, :guest, false, 'sql', true), 'PT403 role_required', 'null: nobody may redact a message of their own');
select is(pg_temp.tried(:moderator, :moderator, false, 'sql', true), 'ok', 'also then, a moderator may');
update sealcast.message_types set redact_own_within = '5 minutes' where t = 'chat';

-- What stays of a redacted message.
select pg_temp.send(:room, :guest) as txn, pg_temp.send(:room, :guest, '{"content":"kept"}') as kept \gset
select pg_temp.sealed(:'txn') as whole \gset
select max("offset") - 1 as at from pg_temp.drain() \gset
select is(sealcast_internal.offset_of(:room, ts, message_id), :at::bigint, 'the offset of a message is found by its key') from sealcast.messages where txn_id = :'txn';
select is(p, (select (ts, message_id)::record from sealcast.messages where txn_id = :'txn'), 'the key of a message is found by its offset') from sealcast_internal.place_of(:room, :at) p;
select is((p.ts, p.message_id), (null::bigint, null::bigint), 'an offset that was not given has no key') from sealcast_internal.place_of(:room, :at + 2) p;
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select sealcast.redact_message(%L, %s, ''an "ugly" word'')', :room, :at))), 'true', 'redacting returns true');
select is(pg_temp.d_of(:'txn'), null, 'the content is erased');
select is(pg_temp.d_of(:'kept'), '{"content":"kept"}', 'no other content is');
select is(r.payload_hash, sha256('{"content":"secret"}'), 'the hash of the content is kept') from sealcast.redactions r;
select is(pg_temp.sealed(:'txn')::text,
          replace(:'whole', '"d":{"content":"secret"}', format('"d":null,"payload_hash":"%s"', sealcast.payload_hash('{"content":"secret"}'::json))),
          'the envelope has the hash in the place of the content');
select is(sealcast.verify_detail(pg_temp.sealed(:'txn')), 'redacted', 'verify_detail() calls it redacted');
select is(sealcast.verify_detail(pg_temp.sealed(:'txn')::jsonb), 'redacted', 'also as jsonb');
select is(sealcast.verify(pg_temp.sealed(:'txn')), false, 'verify() is false, for the content is not proven');
select is(sealcast.verify_detail(replace(pg_temp.sealed(:'txn')::text, '"payload_hash":"', '"payload_hash":"0')::json), 'malformed', 'a hash of another length is malformed');
select is(sealcast.verify_detail(regexp_replace(pg_temp.sealed(:'txn')::text, '"payload_hash":"[^"]*"', format('"payload_hash":"%s"', sealcast.payload_hash('{}'::json)))::json), 'bad_signature', 'another hash has a bad signature');
select is(sealcast.verify_detail(replace(:'whole', ',"sig"', format(',"payload_hash":"%s","sig"', sealcast.payload_hash('{"content":"secret"}'::json)))::json), 'malformed', 'content and hash together are malformed');

-- The message that announces it.
select is(pg_temp.event() - 'ts', jsonb_build_object('offset', :at, 'txn_id', :'txn', 'sender_id', :guest, 'by', :moderator, 'reason', 'an "ugly" word'), 'message_redacted names the message, its redactor and the reason');
select is((pg_temp.event() ->> 'ts')::bigint, m.ts, 'it has the time of the message') from sealcast.messages m where m.txn_id = :'txn';
select is(sealcast.verify_detail(sealcast.envelope(m)::json), 'ok', 'it is sealed') from sealcast.messages m where t = 'message_redacted';
select is((select result from pg_temp.try('sealcast_user', :owner, format('select sealcast.redact_message(%L, %s, ''again'')', :room, :at))), 'false', 'a second redaction returns false');
select is(pg_temp.events(), 1::bigint, 'and announces nothing');
select is((r.redacted_by, r.reason), (:moderator::uuid, 'an "ugly" word'::text), 'and changes nothing') from sealcast.redactions r;

-- How readers get it.
create temp view frames as select h."offset", h.envelope, h.redacted from sealcast.history(:room, :at - 1) h;
select is(envelope::text, pg_temp.sealed(:'txn')::text, 'history() returns the redacted envelope') from frames where "offset" = :at;
select is(redacted::jsonb, jsonb_build_object('by', :moderator, 'reason', 'an "ugly" word', 'at', (select ts from sealcast.messages where t = 'message_redacted')), 'history() tells who has redacted it, when and why') from frames where "offset" = :at;
select is(redacted::text, null, 'a message that is not redacted has none') from frames where "offset" = :at + 1;
select is((h.envelope, h.redacted)::text, (f.envelope::text, f.redacted::text)::text, 'the sidecar reads the same') from sealcast_internal.read_history(:room, :at - 1, null, 1, true) h, frames f where f."offset" = :at;
select is((t.envelope, t.redacted)::text, (f.envelope::text, f.redacted::text)::text, 'tail() returns the same')
from sealcast_internal.tail('{0,1,2,3}', '{0,0,0,0}', 1000) t join frames f using ("offset") where t."offset" = :at and t.stream_id = :room;
select is((select result from pg_temp.try('sealcast_user', :guest, format('select sealcast.envelope(m)::json ->> ''d'' is null and sealcast.envelope(m)::json ->> ''payload_hash'' is not null from sealcast.messages m where txn_id = %L', :'txn'))), 'true', 'a user reads the redacted envelope from the table');
select is(pg_temp.admit(:room, 'chat', :guest, '{"content":"secret"}', :'txn'), '200 replayed', 'a repeat of the message is a repeat');
select is(v.envelope, pg_temp.sealed(:'txn')::text, 'and gets the redacted envelope') from sealcast.admit(array[:room::uuid], '{chat}', array[:guest::uuid], array[:'txn'::uuid], '{"{\"content\":\"secret\"}"}') v;
select is(pg_temp.admit(:room, 'chat', :guest, '{"content":"other"}', :'txn'), '409 txn_id_reused', 'its txn_id cannot be used for another message');
select is(sealcast_internal.redacted_offset(:room), 9007199254740991, 'until the announcement has an offset, no frame in memory is known to be clean');
select max("offset") as announced from pg_temp.drain() \gset
select is(sealcast_internal.redacted_offset(:room), :announced::bigint, 'then, the frames before it are not');
select is(a.newest_redaction, m.message_id, 'its message_id names the redaction') from sealcast_internal.stream_access(:room, null) a, sealcast.messages m where m.t = 'message_redacted';
-- The clock was set back by half a minute between the seal and the relay.
update sealcast.stream_runs set logged_at = logged_at - 30000 where stream_id = :room and "offset" <= :announced and "offset" + messages > :announced;
select is(sealcast_internal.redacted_offset(:room), :announced::bigint, 'the announcement is found, although it was logged before it was sealed');
update sealcast.stream_runs set logged_at = logged_at + 30000 where stream_id = :room and "offset" <= :announced and "offset" + messages > :announced;

-- A message that has no offset yet.
select pg_temp.send(:room, :guest) as early \gset
select is((select result from pg_temp.try('sealcast_user', :guest, format('select sealcast.redact_message(%L, txn_id => %L)', :room, :'early'))), 'true', 'a message without an offset is redacted by its txn_id, by default one of the caller');
select is(pg_temp.event() -> 'offset', 'null'::jsonb, 'its announcement has no offset');
select is(array_agg(concat_ws(' ', envelope ->> 't', envelope ->> 'd' is null, redacted ->> 'by') order by "offset"), array['chat t ' || :guest, 'message_redacted f'], 'drain() returns it redacted, then the announcement') from pg_temp.drain();
insert into sealcast.sampling values (:room, 0, false, now());
select pg_temp.send(:room, :guest) as early \gset
select pg_temp.try('sealcast_user', :guest, format('select sealcast.redact_message(%L, txn_id => %L)', :room, :'early')) \g /dev/null
select max("offset") as announced from pg_temp.drain() \gset
select is(array_agg("offset" order by "offset"), array[:announced - 1, :announced]::bigint[], 'a redacted message and its announcement are on the public channel of a sampled stream')
from sealcast_internal.read_history(:room, :announced - 2, null, 10, true);
delete from sealcast.sampling;

-- Refusals.
create temp table refusals (who text, sub text, statement text, expected text, why text);
insert into refusals values
  ('sealcast_user', :moderator, format('select sealcast.redact_message(%L, 999999)', :room), 'PT404 message_not_found', 'an offset that was not given'),
  ('sealcast_user', :guest, format('select sealcast.redact_message(%L, 999999)', :room), 'PT403 role_required', 'only a moderator learns that an offset was not given'),
  ('sealcast_user', :guest, format('select sealcast.redact_message(%L, txn_id => gen_random_uuid())', :room), 'PT404 message_not_found', 'a txn_id of no message'),
  ('sealcast_user', :guest, format('select sealcast.redact_message(%L, txn_id => gen_random_uuid(), sender_id => %L)', :room, :guest2), 'PT403 role_required', 'only a moderator learns which txn_ids others have used'),
  ('sealcast_user', :owner, format('select sealcast.redact_message(%L, txn_id => %L, sender_id => %L)', :cave, :'txn', :guest), 'PT404 message_not_found', 'a message of another stream'),
  ('sealcast_admin', null, format('select sealcast.redact_message(%L, txn_id => %L)', :room, :'txn'), 'PT404 message_not_found', 'a txn_id without a sender'),
  ('sealcast_user', :guest, format('select sealcast.redact_message(%L, %s)', :nowhere, :at), 'PT404 stream_not_found', 'a stream that does not exist'),
  ('sealcast_user', null, format('select sealcast.redact_message(%L, %s)', :room, :at), 'PT401 unauthenticated', 'no session'),
  ('sealcast_user', :guest, format('select sealcast.redact_message(%L, null::bigint)', :room), 'PT400 invalid_request', 'neither offset nor txn_id'),
  ('sealcast_user', :guest, format('select sealcast.redact_message(%L, %s, repeat(''x'', 501))', :room, :at), 'PT400 invalid_request', 'a long reason'),
  ('sealcast_service', null, format('select sealcast.redact_message(%L, %s)', :room, :at), '42501', 'the service'),
  ('sealcast_admin', null, format('select sealcast.redact_message(%L, %s)', :room, (select max(m."offset") from sealcast.history(:room) m where m.envelope ->> 't' = 'message_redacted')), 'PT400 invalid_request', 'an announcement of a redaction'),
  ('sealcast_user', :guest, format('select sealcast.redact_messages(%L, %L)', :room, :guest2), 'PT403 role_required', 'a guest may not purge'),
  ('sealcast_user', :moderator, format('select sealcast.redact_messages(%L, %L)', :room, :owner2), 'PT403 role_required', 'a moderator may not purge an owner'),
  ('sealcast_user', :banned, format('select sealcast.redact_messages(%L, %L)', :room, :guest), 'PT403 user_banned', 'a banned moderator may not purge'),
  ('sealcast_user', :moderator, format('select sealcast.redact_messages(%L, %L)', :room, :system), 'PT400 invalid_request', 'the system is not purged'),
  ('sealcast_user', :moderator, format('select sealcast.redact_messages(%L, %L, ''infinity'')', :room, :guest2), 'PT400 invalid_request', 'a time in the future is refused, and does not mean all messages'),
  ('sealcast_admin', null, format('select sealcast.mute(null, %L, purge => ''1 minute'')', :guest), 'PT400 invalid_request', 'a purge needs a stream');
select is(pg_temp.outcome(who, sub, statement), expected, why || ' is refused') from refusals;

-- A closed stream takes no messages, but its messages can be redacted.
update sealcast.streams set closed_at = null where stream_id = :attic;
select pg_temp.send(:attic, :guest) as txn \gset
update sealcast.streams set closed_at = now() - interval '1 hour' where stream_id = :attic;
select is((select result from pg_temp.try('sealcast_admin', null, format('select sealcast.redact_message(%L, txn_id => %L, sender_id => %L)', :attic, :'txn', :guest))), 'true', 'a message of a closed stream can be redacted');
select is(pg_temp.event() -> 'by', 'null'::jsonb, 'an operator without a user id is not named');

-- Purges.
select pg_temp.drain() \g /dev/null
select pg_temp.send(:room, u::uuid, format('{"n":%s}', n)) from unnest(array[:guest2, :guest3]) u, generate_series(1, 3) n \g /dev/null
select pg_temp.events() as before \gset
select min(ts) as first_ts, max(ts) as last_ts from sealcast.messages where sender_id = :guest2 \gset
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select sealcast.redact_messages(%L, %L, now() - interval ''1 hour'', ''spam'')', :room, :guest2))), '3', 'a purge returns how many messages it has redacted');
select is(array_agg(concat_ws(' ', m.sender_id = :guest2, m.d) order by m.sender_id, m.message_id), '{t,t,t,"f {\"n\":1}","f {\"n\":2}","f {\"n\":3}"}', 'it redacts the messages of the user alone')
from sealcast.messages m where m.sender_id in (:guest2, :guest3);
select is(pg_temp.event(), jsonb_build_object('user_id', :guest2, 'since', :first_ts, 'through', :last_ts, 'by', :moderator, 'reason', 'spam'), 'messages_purged names the user and the span');
select is(pg_temp.events() - :before, 1::bigint, 'one message announces the purge');
select is((select count(*) from sealcast.messages m where m.sender_id = :guest2 and sealcast.verify_detail(sealcast.envelope(m)::json) = 'redacted'), 3::bigint, 'the signatures of all purged messages hold');
select is((select result from pg_temp.try('sealcast_user', :moderator, format('select sealcast.redact_messages(%L, %L)', :room, :guest2))), '0', 'a second purge redacts nothing');
select is(pg_temp.events() - :before, 1::bigint, 'and announces nothing');
select pg_temp.send(:room, :guest2) \g /dev/null
select is(pg_temp.outcome('sealcast_user', :moderator, format('select sealcast.ban(%L, %L, null, ''for the user'', purge => ''10 minutes'')', :room, :guest2)), 'ok', 'a ban with a purge');
select is((select count(*) from sealcast.messages m where m.sender_id = :guest2 and m.d is not null), 0::bigint, 'redacts the messages of the user');
select is(pg_temp.event() -> 'reason', 'null'::jsonb, 'without the reason of the ban, which is for the user');
select is(pg_temp.admit(:room, 'chat', :guest2, '{}'), '403 user_banned', 'and bans');
select pg_temp.try('none', null, format('select sealcast_internal.call_as(%L, ''mute'', %L)', :moderator, json_build_object('stream_id', :room, 'user_id', :guest3, 'purge', '10 minutes'))) \g /dev/null
select is((select count(*) from sealcast.messages m where m.sender_id = :guest3 and m.d is not null), 0::bigint, 'a mute with a purge over call_as() does so too');

-- Messages whose keys are trimmed.
select pg_temp.send(:room, :owner2) as old, pg_temp.send(:room, :owner) as other \gset
select pg_temp.drain() \g /dev/null
select sealcast_internal.make_partition('sealcast.messages', 'ts', 'ts, message_id', current_date - 1) \g /dev/null
update sealcast.stream_runs r set ts = r.ts - 1200000 from sealcast.messages m
  where m.txn_id in (:'old', :'other') and r.ts = m.ts and m.message_id >= r.first_id and m.message_id < r.first_id + r.messages;
update sealcast.messages m set ts = m.ts - 1200000 where m.txn_id in (:'old', :'other');
delete from sealcast.txn_keys where sender_id in (:owner, :owner2);
update sealcast.retention set keep_txn_ids = '15 minutes';
select is((select result from pg_temp.try('sealcast_user', :owner, format('select sealcast.redact_messages(%L, %L)', :room, :owner2))), '1', 'a purge finds messages whose keys are trimmed');
select is((pg_temp.d_of(:'old'), pg_temp.d_of(:'other')), (null::text, '{"content":"secret","user_role":"owner"}'::text), 'and redacts those of the user alone');
update sealcast.retention set keep_txn_ids = '7 days';

-- A redaction without its row, for example in a database that is only partly restored: nothing can be proven.
delete from sealcast.redactions;
select is(count(*) filter (where h.envelope is null), (select count(*) from sealcast.messages where stream_id = :room and d is null), 'a message without content and hash is gone') from sealcast.history(:room, 0, null, 500) h;
select * from finish();
rollback;
