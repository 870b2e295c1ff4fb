-- Events: which functions may be handlers, that each event has its effect once, what becomes of those that fail or are
-- forged, who may apply them, and that nothing is told applied that was not.
begin;
\ir scene.psql
select plan(82);

create role tap_shop;
grant usage on schema sealcast to tap_shop;
create table public.tap_counter (sender_id uuid, last bigint, n integer, as_role text default current_user);
create table public.tap_order ("offset" bigint, place bigint generated always as identity);
grant all on public.tap_counter, public.tap_order to tap_shop;
create function public.tap_count(e sealcast.event) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  if e.d ->> 'content' = 'poison' then raise exception 'no such %', e.d ->> 'content' using errcode = '22000'; end if;
  insert into public.tap_order ("offset") values (e."offset");
  insert into public.tap_counter values (e.sender_id, e."offset", 1);
end $$;
alter function public.tap_count owner to tap_shop;
create function public.tap_plain(e sealcast.event) returns void language sql as 'select';
create function public.tap_wrong(e sealcast.event) returns integer language sql security definer as 'select 1';
create function public.tap_secret(e sealcast.event) returns void language sql security definer as 'select';
revoke all on function public.tap_secret from public;

-- Registering.
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.register_handler(''x'', ''chat'', %L)', f)), '42P13', f || ' cannot be a handler')
from unnest(array['public.tap_plain(sealcast.event)', 'public.tap_wrong(sealcast.event)', 'public.tap_secret(sealcast.event)', 'sealcast.maintain()']) f;
select is(pg_temp.outcome('sealcast_user', :guest, $$select sealcast.register_handler('x', 'chat', 'public.tap_count(sealcast.event)')$$), '42501', 'users register nothing');
select is(pg_temp.outcome('sealcast_admin', null, $$select sealcast.register_handler('count', 'chat', 'public.tap_count(sealcast.event)', max_attempts => 2)$$), 'ok', 'an admin does');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.register_handler(%L, ''chat'', ''public.tap_count(sealcast.event)'', %s)', n, b)), '23514', 'bounds of ' || b)
from (values ('UP', '1'), ('x', '0'), ('x', '1, 0'), ('x', $$1, 1, '1 h'$$), ('x', $$1, 1, '1 s', 'a b'$$)) v (n, b);
select results_eq($$select * from sealcast.handlers_of('default')$$, $$values ('count', 'chat', 100, 5000::bigint)$$, 'what the group applies');
select results_eq($$select sealcast.event_groups()$$, array['default'], 'the groups');

-- Leases, shared by those who live.
insert into sealcast.event_leases (group_name, partition, epoch) select 'default', generate_series(0, 3), 0;
select is((select count(*) filter (where mine) from sealcast.claim_partitions('default', 'a', 3000, 4)), 4::bigint, 'one worker has all partitions');
select is((select count(*) filter (where mine) from sealcast.claim_partitions('default', 'b', 3000, 4)), 0::bigint, 'a second one none of those that are held');
select results_eq($$select partition, epoch, mine from sealcast.claim_partitions('default', 'a', 3000, 4)$$,
                  $$values (0, 1::bigint, true), (1, 1, true), (2, 1, false), (3, 1, false)$$, 'until the first gives up what is beyond its share');
select results_eq($$select partition, epoch, mine from sealcast.claim_partitions('default', 'b', 3000, 4)$$,
                  $$values (0, 1::bigint, false), (1, 1, false), (2, 2, true), (3, 2, true)$$, 'and the second takes it, with a new epoch');
select is((select count(*) filter (where mine) from sealcast.claim_partitions('other', 'b', 3000, 4)), 4::bigint, 'another group shares nothing with it');
select ok(every(epoch > 1e12), 'epochs begin with the time') from sealcast.event_leases where group_name = 'other';
select sealcast.release_partitions('default', 'b') \g /dev/null
update sealcast.event_leases set lease_until = now() - interval '1 s' where group_name = 'default' and partition = 0;
select results_eq($$select partition, epoch, mine from sealcast.claim_partitions('default', 'c', 3000, 4)$$,
                  $$values (0, 2::bigint, true), (1, 1, false), (2, 3, true), (3, 2, false)$$, 'given up and expired is taken, up to the share');
select is(pg_temp.outcome('none', null, $$select sealcast.claim_partitions('default', '', 3000, 4)$$), '22023', 'a worker needs a name');
\set lease '''default'', ''count'', 0, 2'

-- Messages as they come from Redis: envelope, offset, entry.
create function pg_temp.say(sender uuid, content text) returns text language sql as $$
  select envelope from sealcast.admit(array['a0000000-0000-4000-8000-000000000001'::uuid], array['chat'], array[sender], array[gen_random_uuid()],
                                      array[json_build_object('content', content)::text]) $$;
create function pg_temp.apply(envelopes text[], handler text default 'count', epoch bigint default 2, first bigint default 1) returns text language sql as $$
  select coalesce(string_agg(outcome, ' ' order by item), 'nothing')
  from sealcast.apply_events('default', handler, 0, epoch, envelopes, array(select first + i - 1 from generate_series(1, cardinality(envelopes)) i),
                             array(select i || '-0' from generate_series(1, cardinality(envelopes)) i)) $$;
create temp table sent as select array[pg_temp.say(:guest, 'one'), pg_temp.say(:vip, 'two'), pg_temp.say(:guest, 'three')] as e;
select is(pg_temp.apply(e, epoch => 1), 'nothing', 'who holds the lease no longer applies nothing') from sent;
select is(pg_temp.apply(e, 'nobody'), 'nothing', 'nor does an unknown handler') from sent;
select is(pg_temp.apply(e), 'applied applied applied', 'a batch is applied') from sent;
select results_eq('select "offset" from public.tap_order order by place', 'select generate_series(1::bigint, 3)', 'in order');
select is((select string_agg(distinct as_role, ' ') from public.tap_counter), 'tap_shop', 'with the rights of the function''s owner');
select is(pg_temp.apply(e), 'repeated repeated repeated', 'a repeat runs nothing') from sent;
select is(pg_temp.apply(array[e[1], x, x, e[2]]), 'repeated applied repeated repeated', 'nor does one within a batch')
from sent, pg_temp.say(:guest, 'four') x;
select is((select count(*) from public.tap_counter), 4::bigint, 'each has its effect once');
select is((select count(*) from sealcast.event_effects where handler = 'count'), 4::bigint, 'and one row that says so');

-- Signed by a key pair, after a rotation.
create function pg_temp.signed_by(kid text, envelope text) returns text language sql as $$
  select regexp_replace(replace(envelope, '"kid":"k1"', format('"kid":"%s"', kid)), '"sig":"[^"]*"', format('"sig":"%s"', sealcast.sign(
    sealcast.signing_string(e ->> 't', e ->> 'stream_id', e ->> 's', e ->> 'txn_id', (e ->> 'ts')::bigint, sealcast.payload_hash(e -> 'd')), kid)))
  from (values (envelope::json)) x (e) $$;
select is(pg_temp.apply(array[pg_temp.signed_by('e1', pg_temp.say(:guest, 'by Ed25519'))]), 'applied', 'a message that Ed25519 signed is one');

-- Forged: nothing of it is applied, the genuine ones beside it are.
create temp table forged as select
  replace(pg_temp.say(:guest, 'small'), 'small', 'large') as content,
  replace(pg_temp.say(:guest, 'mine'), :guest, :owner) as sender,
  'no envelope' as text,
  sealcast.seal('chat', 'shop 7', :guest, 'order 1', 1700000000000, '{"content":"of another table"}')::text as foreign_ids,
  regexp_replace(pg_temp.say(:guest, 'x'), '"ts":(\d+)', '"ts":\1.0') as retyped;
select is(pg_temp.apply(array[content, sender, text, foreign_ids, pg_temp.say(:vip, 'genuine'), null]), 'forged forged forged forged applied forged', 'forged entries are told') from forged;
select results_eq($$select entry, reason from sealcast.event_dead_letters where handler is null order by entry$$,
  $$values ('1-0', 'bad_signature'), ('2-0', 'bad_signature'), ('3-0', 'malformed'), ('4-0', 'signed, but no message'), ('6-0', 'malformed')$$, 'and kept as dead letters');
select is(pg_temp.apply(array[retyped]), 'forged', 'a genuine envelope that was written otherwise has been in other hands') from forged;
select is((select count(*) from public.tap_counter where sender_id = :owner), 0::bigint, 'nothing was done in another''s name');
select is(pg_temp.outcome('sealcast_admin', null, 'select sealcast.drop_event_dead_letters(forged => true)'), 'ok');
select is_empty('select from sealcast.event_dead_letters', 'they can be dropped');
insert into sealcast.event_dead_letters (group_name, partition, entry, reason, attempts) select 'default', 0, n, 'malformed', 0 from generate_series(1, 999) n;
select is(pg_temp.apply(array['no envelope', 'nor is this']), 'forged forged');
select results_eq('select count(*), bool_or(entry = ''2-0'') from sealcast.event_dead_letters', 'values (1000::bigint, false)', 'a thousand of a partition are kept');
delete from sealcast.event_dead_letters;
insert into sealcast.message_types (t) values ('gift');
select is(pg_temp.apply(array(select envelope from sealcast.admit(array[:room]::uuid[], '{gift}', array[:guest]::uuid[], array[gen_random_uuid()], array['{}']))),
          'other', 'another type is verified, and not applied');

-- Poison: the others of its batch are applied, its sender's wait, and it is given up in the end.
create temp table poisoned as select pg_temp.say(:guest, 'before') as a, pg_temp.say(:guest, 'poison') as p, pg_temp.say(:guest, 'after') as z, pg_temp.say(:vip, 'beside') as b;
select is(pg_temp.apply(array[a, p, z, b]), 'applied failed held applied', 'it fails, and holds what its sender said later') from poisoned;
select results_eq('select attempts, reason from sealcast.event_attempts', $$values (1, 'no such poison (22000)')$$, 'the attempt is counted');
select is(pg_temp.apply(array[a, p, z, b]), 'repeated dead applied repeated', 'after max_attempts it is dead, and the rest goes on') from poisoned;
select results_eq('select handler, sender_id, "offset", attempts, reason, replay from sealcast.event_dead_letters',
                  format($$values ('count', %L::uuid, 2::bigint, 2, 'no such poison (22000)', false)$$, :guest), 'a dead letter');
select is_empty('select from sealcast.event_attempts', 'that is counted no more');
select is((select count(*) from sealcast.event_effects f join sealcast.event_dead_letters d using (handler, sender_id, txn_id)), 0::bigint, 'and has no effect');
select is(pg_temp.apply(array[p]), 'dead', 'read again, it fails again') from poisoned;

-- What JSON can say and text cannot is read, and left to the handler.
select is(pg_temp.apply(array[pg_temp.say(:vip, 'x'), z]), 'applied failed', 'a zero character fails the handler that makes text of it')
from (select envelope as z from sealcast.admit(array[:room]::uuid[], '{chat}', array[:owner]::uuid[], array[gen_random_uuid()], array['{"content":"a\u0000"}'])) v;

-- A dead letter is tried again when somebody asks for it, from the history.
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select stream_id, 2, 1, ts, ts, message_id from sealcast.messages where d like '%poison%';
select is_empty($$select * from sealcast.event_dead_letters_to_replay('default', 10)$$, 'not by itself');
select is(sealcast.replay_event_dead_letters('count'), 1::bigint, 'one is marked');
select is((select envelope from sealcast.event_dead_letters_to_replay('default', 10)), p, 'and found') from poisoned;
select is((select outcome from sealcast.apply_events('default', 'count', null, null, array[p], '{2}', null)), 'dead', 'it fails') from poisoned;
select results_eq('select attempts, replay from sealcast.event_dead_letters', 'values (4, false)', 'and waits to be asked for again');
create or replace function public.tap_count(e sealcast.event) returns void language sql security definer set search_path = pg_catalog, pg_temp
  as $$ insert into public.tap_counter values (e.sender_id, e."offset", 1) $$;
select sealcast.replay_event_dead_letters() \g /dev/null
select is((select outcome from sealcast.apply_events('default', 'count', null, null, array[p], '{2}', null)), 'applied', 'once the handler is mended it is applied') from poisoned;
select is_empty('select from sealcast.event_dead_letters', 'and a dead letter no more');

-- What a timeout took with it is counted by the worker.
select is(sealcast.fail_event('default', 'count', 0, 1, x, 9, 'timeout'), null, 'not under an epoch that is over') from pg_temp.say(:guest, 'slow') x;
select is(sealcast.fail_event('default', 'count', 0, 2, x, 9, 'timeout') || sealcast.fail_event('default', 'count', 0, 2, x, 9, 'timeout'), 'faileddead') from pg_temp.say(:guest, 'slow') x;

-- A constraint that is deferred to the end of the transaction fails the event alone.
create table public.tap_parent (id text primary key);
create table public.tap_child (parent text references public.tap_parent deferrable initially deferred, at bigint);
create or replace function public.tap_count(e sealcast.event) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into public.tap_child values (e.d ->> 'content', e."offset");
  if e.d ->> 'content' <> 'orphan' then insert into public.tap_parent values (e.d ->> 'content') on conflict do nothing; end if;
end $$;
grant all on public.tap_parent, public.tap_child to tap_shop;
set constraints all deferred; -- as in a transaction of its own
select is(pg_temp.apply(array[pg_temp.say(:guest, 'p'), pg_temp.say(:vip, 'orphan'), pg_temp.say(:owner, 'q')]), 'applied failed applied', 'a deferred constraint');

-- Older than the effects that are kept: not applied on suspicion.
select results_eq($$select problem, d ->> 'content' from sealcast.check_effects('count') c join (select txn_id, d::json from sealcast.messages where d not like '%\\u0000%') m using (txn_id) order by 1, 2$$,
  $$values ('dead', 'slow'), ('failing', 'orphan'), ('missing', 'mine'), ('missing', 'slow'), ('missing', 'small'), ('missing', 'x')$$, 'what has no effect, and why');
select ok((select every("offset" is null) from sealcast.check_effects('count') where txn_id not in (select txn_id from sealcast.messages where d like '%poison%')), 'not relayed, so without an offset');
insert into sealcast.event_effects (handler, sender_id, txn_id, ts) select 'count', :guest, gen_random_uuid(), ts from sealcast.event_effects limit 1;
select is((select count(*) from sealcast.check_effects('count') where problem = 'stray'), 1::bigint, 'an effect of nothing');
update sealcast.event_effects set applied_at = now() - interval '8 days';
select ok(exists (select from sealcast.maintain() where object like '%event_effects'), 'effects are trimmed with the keys');
select is(pg_temp.apply(array[pg_temp.say(:guest, 'new')]), 'applied', 'what is newer is applied');
select is(pg_temp.apply(e), 'dead dead dead', 'what may have been applied is not') from sent;

-- A handler that joins a group ends the epochs of its workers, who would not know of it.
create temp table epochs as select partition, epoch from sealcast.event_leases where group_name = 'default';
select sealcast.register_handler('second', null, 'public.tap_count(sealcast.event)') \g /dev/null
select ok(every(l.epoch = e.epoch + 1), 'epochs end when a handler is registered') from sealcast.event_leases l join epochs e using (partition) where group_name = 'default';
select sealcast.unregister_handler('second') \g /dev/null

-- How far partitions are finished, and what is carried again when Redis has lost it.
select sealcast.finish_partitions('default', '{0,1,2,3}', array(select epoch from sealcast.event_leases where group_name = 'default' order by partition), '{5000,6000,7000,8000}', 0) \g /dev/null
select sealcast.finish_partitions('default', '{0,1}', '{1,1}', '{9000,9000}', 0) \g /dev/null
select sealcast.finish_partitions('default', '{3}', array(select epoch from sealcast.event_leases where group_name = 'default' and partition = 3), '{1}', 0) \g /dev/null
select sealcast.finish_partitions('default', '{3}', array(select epoch from sealcast.event_leases where group_name = 'default' and partition = 3), '{9000}', 1) \g /dev/null
select is(array(select finished_to from sealcast.event_leases where group_name = 'default' order by partition), '{5000,6000,7000,8000}', 'recorded by who leases it, never backwards, nor over a loss');
select is(sealcast.events_carried_to(), null, 'without the transport nothing is known');
delete from sealcast.relay_log;
insert into sealcast.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
select s, b, 1, b * 1000, '1:1:', '0', 0, 0, '{}', '{}', '{}' from generate_series(0, 3) s, generate_series(2, 9) b;
update sealcast.relay_leases set epoch = 5;
insert into sealcast.deliveries (transport, shard, batch, settled_at, seen_at) select 'redis_events', s, 9, now(), now() from generate_series(0, 3) s;
select ok(sealcast.events_carried_to() between extract(epoch from now() - interval '2 minutes') * 1000 and extract(epoch from now()) * 1000, 'all is carried, but for a moment');
update sealcast.deliveries set batch = 6 where transport = 'redis_events' and shard = 2;
select is(sealcast.events_carried_to(), 7000::bigint, 'carried up to what one shard owes');
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id) select :cave, 5, 3, logged_at, 1, 1 from sealcast.stream_runs limit 1;
insert into sealcast.delivery_lags (transport, stream_id, next_offset, reason) values ('redis_events', :cave, 40, 'slow');
select is(sealcast.events_carried_to(), 0::bigint, 'nothing, when what a stream owes is not known');
select sealcast.note_event_partitions(0, '{0,1}', '{50,60}', '{1,2}') \g /dev/null
select sealcast.note_event_partitions(0, '{0,1}', '{50,60}', '{0,9}') \g /dev/null
select sealcast.note_event_partitions(7, '{0}', '{90}', '{0}') \g /dev/null
select results_eq('select * from sealcast.event_partitions_state() order by 3', 'values (0::bigint, true, 0, 50::bigint, 1::bigint), (0, true, 1, 60, 9)', 'what Redis must still hold');
select results_eq('select since, complete from sealcast.rewind_events(0)', $$values ('epoch'::timestamptz + interval '5 s', true)$$, 'back to what the slowest had finished');
select is(array(select batch from sealcast.deliveries where transport = 'redis_events' order by shard), '{4,4,4,4}', 'in all shards');
select is(array(select epoch from sealcast.relay_leases order by shard), '{6,6,6,6}', 'whose leaders begin anew');
select results_eq('select * from sealcast.event_partitions_state()', 'values (1::bigint, false, null::int, null::bigint, null::bigint)', 'nothing is carried before they have');
select is((select count(*) from sealcast.delivery_lags), 0::bigint, 'and no stream lags');
select is((select since from sealcast.rewind_events(0)), null, 'once');
update sealcast.deliveries set seen_at = clock_timestamp() + interval '1 s' where transport = 'redis_events';
select is((select carrying from sealcast.event_partitions_state()), true, 'carried again');
update sealcast.event_leases set finished_to = 1500 where group_name = 'default' and partition = 1;
select results_eq('select since, complete from sealcast.rewind_events(1)', $$values ('epoch'::timestamptz + interval '1.5 s', false)$$, 'further than the log of batches reaches');

-- Unregistered.
select sealcast.unregister_handler('count') \g /dev/null
select is_empty('select sealcast.event_groups()', 'its group needs nothing any more');
select is(pg_temp.apply(e, epoch => 3), 'nothing', 'and it applies nothing') from sent;
select sealcast.unregister_handler('count', true) \g /dev/null
select is((select count(*) from sealcast.event_effects) + (select count(*) from sealcast.event_dead_letters), 0::bigint, 'forgotten');
select * from finish();
rollback;
