-- Tests erasure: what it removes, what stays, the things of other users, its steps, and who may do it.
begin;
\ir scene.psql
select plan(43);
\set other '''b0000000-0000-4000-8000-000000000024'''
\set gone '''a0000000-0000-4000-8000-000000000004'''
delete from sealcast_internal.outbox;
insert into sealcast.streams (stream_id) values (:gone);

-- Does the steps of an erasure to its end, as sealcast_admin. Returns how many steps, and the messages that were erased.
create function pg_temp.erase(user_id uuid, "limit" integer default 10000, out steps integer, out messages bigint) language plpgsql as $$
declare
  step record;
begin
  perform set_config('role', 'sealcast_admin', true);
  perform set_config('request.jwt.claims', '', true);
  for i in 1 .. 1000 loop
    select * into step from sealcast.erase_user_step(erase.user_id, erase."limit");
    steps := i; messages := greatest(messages, step.messages);
    if step.postponed then raise 'postponed'; end if;
    if step.done > step.total then raise '% of % done', step.done, step.total; end if;
    exit when step.finished;
  end loop;
  perform set_config('role', 'none', true);
  if not step.finished then raise 'endless'; end if;
end $$;
-- The tables in which a text is found, as a dump would have it.
create function pg_temp.found_in(word text) returns text[] language plpgsql as $$
declare
  relation regclass;
  found_it boolean;
  result text[] := '{}';
begin
  for relation in select c.oid from pg_class c where c.relkind in ('r', 'p') and c.relnamespace in ('sealcast'::regnamespace, 'sealcast_internal'::regnamespace)
                  and not c.relispartition order by c.oid::regclass::text loop
    execute format('select exists (select from %s this_row where this_row::text ~ %L)', relation, word) into found_it;
    if found_it then result := result || relation::text; end if;
  end loop;
  return result;
end $$;
create function pg_temp.announcements() returns table (stream_id uuid, d jsonb) language sql as
  $$ select m.stream_id, m.d::jsonb from sealcast.messages m where m.t = 'messages_purged' order by m.message_id $$;

-- The things of the guest, with the word canary in each text about them, and the same things of another user with the word kept.
create function pg_temp.furnish(user_id uuid, word text) returns void language plpgsql as $$
declare
  room constant uuid := 'a0000000-0000-4000-8000-000000000001';
  stream uuid;
  sent text;
  first uuid := gen_random_uuid();
begin
  foreach stream in array array[room, room, room, 'a0000000-0000-4000-8000-000000000002', 'a0000000-0000-4000-8000-000000000004'] loop
    insert into sealcast.stream_roles (stream_id, user_id, role) values (stream, user_id, 'vip') on conflict do nothing;
    sent := pg_temp.admit(stream, 'chat', user_id, format('{"content":"%s"}', word), first);
    if sent <> '200' then raise 'not sent: %', sent; end if;
    first := gen_random_uuid();
  end loop;
  perform sealcast.mute(room, user_id, now() + interval '1 day', word || ' rude', word || ' note');
  perform sealcast.ban(room, user_id, null, word || ' worse', word || ' note');
  perform sealcast.unmute(room, user_id);
  insert into sealcast.report_cases (stream_id, "offset", sender_id, envelope) values (room, case word when 'kept' then 1 else 2 end, user_id, word);
  insert into sealcast.reports (stream_id, "offset", reporter_id, reason) values (room, case word when 'kept' then 1 else 2 end, 'b0000000-0000-4000-8000-000000000001', word);
  insert into sealcast.reports (stream_id, "offset", reporter_id, reason) values (room, 3, user_id, word);
  insert into sealcast.term_hits (at, stream_id, sender_id, txn_id, t, term_id, action) values (now(), room, user_id, first, 'chat', first, word);
  insert into sealcast.event_attempts (handler, sender_id, txn_id, attempts, reason, stream_id, "offset") values ('tap', user_id, first, 1, word, room, 1);
  insert into sealcast.event_dead_letters (group_name, handler, stream_id, "offset", sender_id, txn_id, reason, attempts) values ('g', 'tap', room, 1, user_id, first, word, 1);
  insert into sealcast.held_messages (held_id, stream_id, sender_id, txn_id, t, d, sent_hash, held_by, detail, held_at, expires_at)
  values (gen_random_uuid(), room, user_id, first, 'chat', word, convert_to(word, 'UTF8'), 'term', word, now(), now() + interval '1 day');
  insert into sealcast.webhook_events (event_id, type, stream_id, occurred_at, data)
  values (gen_random_uuid(), 'user.banned', room, now(), json_build_object('user_id', user_id, 'reason', word)::text);
end $$;
insert into sealcast.event_handlers (name, t, function, batch_size, timeout, group_name) values ('tap', 'chat', 'x', 1, '1 s', 'g');
select pg_temp.furnish(:guest, 'canary'), pg_temp.furnish(:other, 'kept') \g /dev/null
update sealcast.streams set payee_id = :guest where stream_id = :room;
update sealcast.streams set payee_id = :other where stream_id = :cave;
-- A message that a moderator has redacted before.
select sealcast.redact_message(:room, txn_id, :guest, 'canary reason') from sealcast.txn_keys where sender_id = :guest order by message_id limit 1 \g /dev/null
select count(*) as kept_rows from sealcast.moderation_log where user_id = :other \gset
select md5(string_agg(l::text, ',' order by entry_id)) as kept_log from sealcast.moderation_log l where user_id = :other \gset
-- The messages of a deleted stream are stored until retention drops them.
delete from sealcast.streams where stream_id = :gone;
create temp table sealed as select m.txn_id, m.stream_id, m.sig, m.kid, sha256(convert_to(m.d, 'UTF8')) as hash from sealcast.messages m where sender_id = :guest and d is not null;
create temp table others as select m::text as row from sealcast.messages m where sender_id <> :guest;
select is(pg_temp.found_in('canary'), '{sealcast.event_attempts,sealcast.event_dead_letters,sealcast.held_messages,sealcast.messages,sealcast.moderation_log,sealcast.redactions,sealcast.report_cases,sealcast.reports,sealcast.restrictions,sealcast.term_hits,sealcast.webhook_events}',
          'before, the texts are in all these tables');

-- Who may do it.
select is(pg_temp.outcome(role, sub, format('select sealcast.erase_user_step(%L)', :guest)), expected, format('%s with the claims %s: %s', role, coalesce(sub, 'null'), expected))
from (values ('sealcast_user', :owner, '42501'), ('sealcast_user', :guest, '42501'), ('sealcast_service', null, '42501'),
             ('sealcast_admin', :owner, 'ok'), ('sealcast_admin', format('{"sub":%s,"role":"sealcast_user"}', to_json(:owner::text)), 'PT403 role_required')) v (role, sub, expected);
select is(pg_temp.outcome(role, null, format('call sealcast.erase_user(%L)', :guest)), expected, format('%s: the procedure gives %s', role, expected))
from (values ('sealcast_user', '42501'), ('sealcast_service', '42501')) v (role, expected);
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.erase_user_step(%L, %s)', user_id, coalesce("limit", 'null'))), 'PT400 invalid_request', format('%s, %s', user_id, "limit"))
from (values (:system, '1'), (null, '1'), (:guest, '0'), (:guest, '10001'), (:guest, null)) v (user_id, "limit");

-- A text about the user is removed from the log only while the erasure is in progress.
select throws_ok(format('update sealcast.moderation_log set reason = null, before = before - array[''reason'', ''note''], after = after - array[''reason'', ''note''] where user_id = %L', :other),
                 '55000', null, 'an entry about another user cannot lose its texts');
select throws_ok(format('update sealcast.moderation_log set actor_rank = ''none'', reason = null, before = before - array[''reason'', ''note''], after = after - array[''reason'', ''note''] where user_id = %L and act = ''ban''', :guest),
                 '55000', null, 'an entry about the user loses nothing else') where (select count(*) from sealcast_internal.erasures) = 1;

-- The step that has been tried above has begun the erasure. A limit of 2 interrupts it within streams.
select sealcast_internal.is_being_erased(:guest) as begun \gset
select is(:'begun'::text, 't', 'the erasure is in progress');
select * from pg_temp.erase(:guest, 2) \gset
select is(:messages, 4, 'it counts the messages that lost their content');
select cmp_ok(:steps, '>', 8, 'it takes many steps');
select is(pg_temp.found_in('canary'), '{sealcast.messages}', 'no table has the texts, except');
select is((select array_agg(t) from sealcast.messages where d ~ 'canary'), '{message_redacted}', 'the signed announcement of the moderator who redacted a message before');
select is((select count(*) from sealcast_internal.erasures) + (select count(*) from sealcast_internal.erasure_messages), 0::bigint, 'nothing is in progress');

-- What stays of the messages.
select is((select count(*) from sealed s join sealcast.messages m using (txn_id, stream_id, sig, kid) join sealcast.redactions r using (ts, message_id)
           where m.d is null and r.payload_hash = s.hash and r.reason is null), 4::bigint, 'each message keeps its signature and its hash');
select is(array_agg(distinct sealcast.verify_detail(sealcast.envelope(m)::json)), '{redacted}', 'each message still verifies') from sealcast.messages m where m.sender_id = :guest;
select is((select array_agg(distinct sent_hash) from sealcast.txn_keys where sender_id = :guest), array[decode(repeat('00', 32), 'hex')], 'no hash of what was sent stays');
select is(pg_temp.admit(stream_id, 'chat', :guest, '{"content":"canary"}', txn_id), '409 txn_id_reused', 'a repeat is refused')
from (select distinct on (stream_id) * from sealed where stream_id in (:cave, :gone) order by stream_id) s;
select results_eq('select stream_id, count(*), sum((d ->> ''through'')::bigint - (d ->> ''since'')::bigint) >= 0, bool_and(d @> format(''{"user_id":"%s","by":null,"reason":null}'', ''b0000000-0000-4000-8000-000000000004'')::jsonb) from pg_temp.announcements() group by 1 order by 1',
                  $$values ('a0000000-0000-4000-8000-000000000001'::uuid, 1::bigint, true, true), ('a0000000-0000-4000-8000-000000000002', 1, true, true)$$,
                  'one message announces it in each stream, and none in the deleted one');

-- What stays of the rest.
select results_eq(format('select kind, reason, note, lifted_at is null from sealcast.restrictions where user_id = %L order by kind', :guest),
                  $$values ('ban', null::text, null::text, true), ('mute', null, null, false)$$, 'restrictions stay in force without their texts');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '403 user_banned', 'so an erasure does not lift a ban');
select is((select count(*) from sealcast.stream_roles where user_id = :guest), 0::bigint, 'roles are removed');
select results_eq(format('select stream_id, payee_id from sealcast.streams where stream_id in (%L, %L) order by 1', :room, :cave),
                  format('values (%L::uuid, null::uuid), (%L, %L)', :room, :cave, :other), 'the user is no longer a payee');
select is((select array_agg(reason) from sealcast.event_attempts where sender_id = :guest) || (select array_agg(reason) from sealcast.event_dead_letters where sender_id = :guest),
          '{erased,erased}', 'failed events stay in their queues');
select is((select array_agg(act order by entry_id) from sealcast.moderation_log where user_id = :guest and act like 'erase%'), '{erase_user,erase_user_finished}', 'the erasure is in the log');
select is((select after from sealcast.moderation_log where user_id = :guest and act = 'erase_user_finished'), '{"messages": 4}', 'with the number of messages');
select is((select array_agg(act order by act collate "C") from sealcast.moderation_log where user_id = :guest and act ~ 'mute|ban'), '{ban,mute,unmute}', 'and makes no entries of changed restrictions');
select is((select after - '{restriction_id,created_at}'::text[] from sealcast.moderation_log where user_id = :guest and act = 'ban'),
          '{"until": null, "lifted_at": null, "lifted_by": null, "created_by": null, "issuer_rank": "admin"}', 'an entry keeps everything but the texts');

-- The other user.
select is((select count(*) from others o join sealcast.messages m on m::text = o.row), (select count(*) from others), 'no message of others has changed');
select is(pg_temp.found_in('kept'), '{sealcast.event_attempts,sealcast.event_dead_letters,sealcast.held_messages,sealcast.messages,sealcast.moderation_log,sealcast.report_cases,sealcast.reports,sealcast.restrictions,sealcast.term_hits,sealcast.webhook_events}', 'all things of another user stay');
select is(md5(string_agg(l::text, ',' order by entry_id)), :'kept_log', 'their log is the same') from sealcast.moderation_log l where user_id = :other and (select count(*) from sealcast.moderation_log where user_id = :other) = :kept_rows;

-- Again.
select * from pg_temp.erase(:guest) \gset
select is(:messages, 0, 'erasing again erases nothing');
select is((select count(*) from pg_temp.announcements()), 2::bigint, 'and announces nothing');
-- Messages that are sent while it runs.
select pg_temp.admit(:cave, 'chat', :vip, '{"content":"early"}') \g /dev/null
select sealcast.erase_user_step(:vip) from generate_series(1, 3) \g /dev/null
select pg_temp.admit(:cave, 'chat', :vip, '{"content":"late"}') \g /dev/null
select * from pg_temp.erase(:vip) \gset
select is(pg_temp.found_in('"(early|late)"'), '{}', 'messages that are sent meanwhile are erased too') where :messages = 2;
-- A message without a key.
select pg_temp.admit(:room, 'chat', :owner, '{"content":"old"}') \g /dev/null
delete from sealcast.txn_keys where sender_id = :owner;
select * from pg_temp.erase(:owner) \gset
select is(:messages, 1, 'a message whose key was trimmed is found in the pages of its partition');

select * from finish();
rollback;
