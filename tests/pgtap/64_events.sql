-- Tests events: which functions may be handlers, that each event is applied once, what happens to failed and forged
-- events, who may apply events, and that an event is reported as applied only when it was.
begin;
\ir scene.psql
select plan(136);

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
create function public.tap_stable(e sealcast.event) returns void language sql stable security definer as 'select';
create function public.tap_immutable(e sealcast.event) returns void language sql immutable security definer as 'select';

-- Registering handlers.
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.register_handler(''x'', ''chat'', %L)', f)), '42P13', f || ' cannot be a handler')
from unnest(array['public.tap_plain(sealcast.event)', 'public.tap_wrong(sealcast.event)', 'public.tap_secret(sealcast.event)', 'sealcast.maintain()',
  'public.tap_stable(sealcast.event)', 'public.tap_immutable(sealcast.event)']) f;
select is(pg_temp.outcome('sealcast_user', :guest, $$select sealcast.register_handler('x', 'chat', 'public.tap_count(sealcast.event)')$$), '42501', 'a user may not register a handler');
select is(pg_temp.outcome('sealcast_admin', null, $$select sealcast.register_handler('count', 'chat', 'public.tap_count(sealcast.event)', max_attempts => 2)$$), 'ok', 'an admin may register a handler');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.register_handler(%L, ''chat'', ''public.tap_count(sealcast.event)'', %s)', n, b)), '23514', 'register_handler() refuses arguments out of bounds: ' || b)
from (values ('UP', '1'), ('x', '0'), ('x', '1, 0'), ('x', $$1, 1, '1 h'$$), ('x', $$1, 1, '1 s', 'a b'$$)) v (n, b);
select results_eq($$select * from sealcast_internal.handlers_of('default')$$, $$values ('count', 'chat', 100, 5000::bigint)$$, 'handlers_of() returns the handlers of the group');
select results_eq($$select sealcast_internal.event_groups()$$, array['default'], 'event_groups() returns the groups with handlers');

-- Leases of partitions, shared by the workers that are alive.
insert into sealcast_internal.event_leases (group_name, partition, epoch) select 'default', generate_series(0, 3), 0;
select is((select count(*) filter (where mine) from sealcast_internal.claim_partitions('default', 'a', 3000, 4)), 4::bigint, 'a single worker gets all partitions');
select is((select count(*) filter (where mine) from sealcast_internal.claim_partitions('default', 'b', 3000, 4)), 0::bigint, 'a second worker gets no partition that is held');
select results_eq($$select partition, epoch, mine from sealcast_internal.claim_partitions('default', 'a', 3000, 4)$$,
                  $$values (0, 1::bigint, true), (1, 1, true), (2, 1, false), (3, 1, false)$$, 'the first worker gives up the partitions beyond its share');
select results_eq($$select partition, epoch, mine from sealcast_internal.claim_partitions('default', 'b', 3000, 4)$$,
                  $$values (0, 1::bigint, false), (1, 1, false), (2, 2, true), (3, 2, true)$$, 'the second worker gets the free partitions, with new epochs');
select is((select count(*) filter (where mine) from sealcast_internal.claim_partitions('other', 'b', 3000, 4)), 4::bigint, 'another group has leases of its own');
select ok(every(epoch > 1e12), 'the first epoch of a partition is the time in milliseconds') from sealcast_internal.event_leases where group_name = 'other';
select sealcast_internal.release_partitions('default', 'b') \g /dev/null
update sealcast_internal.event_leases set lease_until = now() - interval '1 s' where group_name = 'default' and partition = 0;
select results_eq($$select partition, epoch, mine from sealcast_internal.claim_partitions('default', 'c', 3000, 4)$$,
                  $$values (0, 2::bigint, true), (1, 1, false), (2, 3, true), (3, 2, false)$$, 'a third worker gets released and expired partitions, up to its share');
select is(pg_temp.outcome('none', null, $$select sealcast_internal.claim_partitions('default', '', 3000, 4)$$), '22023', 'an empty holder is an error');
\set lease '''default'', ''count'', 0, 2'

-- Messages as a worker reads them from Redis: envelope, offset and entry id.
create function pg_temp.say(sender uuid, content text) returns text language sql as $$
  select envelope from sealcast.admit(array['a0000000-0000-4000-8000-000000000001'::uuid], array['chat'], array[sender], array[gen_random_uuid()],
                                      array[json_build_object('content', content)::text]) $$;
create function pg_temp.apply(envelopes text[], handler text default 'count', epoch bigint default 2, first bigint default 1) returns text language sql as $$
  select coalesce(string_agg(outcome, ' ' order by item), 'nothing')
  from sealcast_internal.apply_events('default', handler, 0, epoch, envelopes, array(select first + i - 1 from generate_series(1, cardinality(envelopes)) i),
                             array(select i || '-0' from generate_series(1, cardinality(envelopes)) i)) $$;
-- Retries as a worker does. Returns the outcomes.
create function pg_temp.retry(page integer default 10) returns text language sql as $$
  select coalesce(string_agg(a.outcome, ' ' order by p.handler, p.sender_id, a.item), '')
  from (select r.handler, r.sender_id, array_agg(r.envelope order by n) as envelopes, array_agg(r."offset" order by n) as offsets
        from sealcast_internal.events_to_retry('default', page) with ordinality r (handler, sender_id, "offset", envelope, n) group by 1, 2) p
  cross join lateral sealcast_internal.apply_events('default', p.handler, 0, 2, p.envelopes, p.offsets, null) a $$;
create temp table sent as select array[pg_temp.say(:guest, 'one'), pg_temp.say(:vip, 'two'), pg_temp.say(:guest, 'three')] as e;
select is(pg_temp.apply(e, epoch => 1), 'nothing', 'a former holder of the lease applies nothing') from sent;
select is(pg_temp.apply(e, 'nobody'), 'nothing', 'an unknown handler applies nothing') from sent;
select is(pg_temp.apply(e), 'applied applied applied', 'a batch is applied') from sent;
select results_eq('select "offset" from public.tap_order order by place', 'select generate_series(1::bigint, 3)', 'the events of a batch are applied in order');
select is((select string_agg(distinct as_role, ' ') from public.tap_counter), 'tap_shop', 'a handler runs with the rights of the owner of its function');
select is(pg_temp.apply(e), 'repeated repeated repeated', 'a repeated event is not applied again') from sent;

-- A handler that takes many events.
savepoint many;
create table public.tap_calls (place bigint generated always as identity, offsets bigint[], as_role text default current_user);
grant all on public.tap_calls to tap_shop;
create function public.tap_many(events sealcast.event[]) returns void language plpgsql security definer
  set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from unnest(events) e where e.d ->> 'content' = 'poison') then raise exception 'poison' using errcode = '22000'; end if;
  insert into public.tap_calls (offsets) select array_agg((e.event)."offset" order by e.n) from (select unnest(events), generate_subscripts(events, 1)) e (event, n);
end $$;
alter function public.tap_many owner to tap_shop;
select is(pg_temp.outcome('sealcast_admin', null, $$select sealcast.register_handler('many', 'chat', 'public.tap_many(sealcast.event[])')$$), 'ok', 'a function of an array of events may be a handler');
select is(pg_temp.apply(e, 'many', 3), 'applied applied applied', 'a batch is applied by a handler of an array') from sent;
select results_eq('select offsets, as_role from public.tap_calls', $$values (array[1, 2, 3]::bigint[], 'tap_shop')$$, 'a handler of an array gets the events of a batch in one call, in order, with the rights of its owner');
select is(pg_temp.apply(array[e[1], pg_temp.say(:owner, 'poison'), pg_temp.say(:vip, 'four'), pg_temp.say(:moderator, 'five')], 'many', 3),
          'repeated failed applied applied', 'an event that fails a handler of an array is found, and the others are applied') from sent;
select results_eq('select offsets from public.tap_calls order by place offset 1', $$values (array[3]::bigint[]), (array[4])$$, 'after a failure, a handler of an array gets one event in each call');
rollback to many;
select is(pg_temp.apply(array[e[1], x, x, e[2]]), 'repeated applied repeated repeated', 'a repeated event within a batch is applied once')
from sent, pg_temp.say(:guest, 'four') x;
select is((select count(*) from public.tap_counter), 4::bigint, 'each event has one effect');
select is((select count(*) from sealcast.event_effects where handler = 'count'), 4::bigint, 'each event has one row in event_effects');

-- An event that was signed with an Ed25519 key, after a rotation of the signing key.
create function pg_temp.signed_by(kid text, envelope text) returns text language sql as $$
  select regexp_replace(replace(envelope, '"kid":"k1"', format('"kid":"%s"', kid)), '"sig":"[^"]*"', format('"sig":"%s"', sealcast.sign(
    sealcast.signing_string(e ->> 't', e ->> 'stream_id', e ->> 's', e ->> 'txn_id', (e ->> 'ts')::bigint, sealcast.payload_hash(e -> 'd')), kid)))
  from (values (envelope::json)) x (e) $$;
create temp table resigned as select pg_temp.signed_by('e1', pg_temp.say(:guest, 'by Ed25519')) as e;
select is(pg_temp.apply(array[e]), 'forged', 'a genuine signature over a message that was stored with another one is forged') from resigned;
update sealcast.messages m set kid = 'e1', sig = decode(e::json ->> 'sig', 'hex') from resigned
where m.sender_id = :guest and m.txn_id = (e::json ->> 'txn_id')::uuid;
select is(pg_temp.apply(array[e]), 'applied', 'an event that was signed with Ed25519 is applied') from resigned;

-- A genuine envelope has an effect only while it is a stored message.
create function pg_temp.sealed(stream uuid, sender uuid, txn uuid, ts bigint, content text) returns text language sql as $$
  select sealcast.seal('chat', stream::text, sender::text, txn::text, ts, json_build_object('content', content))::text $$;
delete from sealcast.event_dead_letters;
create temp table unsent as select
  pg_temp.sealed(:room, :owner, gen_random_uuid(), (extract(epoch from now()) * 1000)::bigint, 'never sent') as never,
  pg_temp.sealed(:room, :owner, gen_random_uuid(), 1600000000000, 'never sent, and old') as old,
  pg_temp.sealed(m.stream_id, m.sender_id, m.txn_id, m.ts, 'another payload') as payload,
  pg_temp.sealed(:cave, m.sender_id, m.txn_id, m.ts, 'one') as stream,
  pg_temp.sealed(m.stream_id, :owner, m.txn_id, m.ts, 'one') as sender
from sealcast.messages m where m.d::json ->> 'content' = 'one';
select is(pg_temp.apply(array[never, payload, stream, pg_temp.say(:owner, 'sent'), sender, old]), 'forged forged forged applied forged gone',
          'only the stored message of a batch of genuine envelopes is applied') from unsent;
select results_eq('select entry, reason from sealcast.event_dead_letters order by entry',
  $$select n || '-0', 'signed, but not a stored message' from unnest(array[1, 2, 3, 5]) n$$, 'genuine envelopes that are no message become dead letters');
select is((select count(*) from public.tap_counter where sender_id = :owner), 1::bigint, 'genuine envelopes that are no message have no effect');
delete from sealcast.event_dead_letters; delete from public.tap_counter where sender_id = :owner;
create temp table erased as select pg_temp.say(:guest, 'erased') as e, pg_temp.say(:guest, 'kept') as k;
delete from sealcast.messages where d::json ->> 'content' = 'erased';
select is(pg_temp.apply(array[e, k]), 'gone applied', 'the event of an erased message is skipped') from erased;
select is_empty('select from sealcast.event_dead_letters', 'an erased message leaves no dead letter');
-- After keep_txn_ids, the offset shows the place of the message.
create temp table untracked as select pg_temp.say(:vip, 'key trimmed') as e;
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select stream_id, 100, 3, ts, ts, message_id - 1 from sealcast.messages where d::json ->> 'content' = 'key trimmed';
delete from sealcast.txn_keys k using untracked where k.txn_id = (e::json ->> 'txn_id')::uuid;
select is(pg_temp.apply(array[e], first => 100), 'forged', 'without a key, an event at the offset of another message is forged') from untracked;
select is(pg_temp.apply(array[e], first => 101), 'applied', 'without a key, the message is found by its offset') from untracked;
delete from sealcast.stream_runs; delete from sealcast.event_dead_letters;

-- Forged events are not applied. The genuine events of their batch are.
create temp table forged as select
  replace(pg_temp.say(:guest, 'small'), 'small', 'large') as content,
  replace(pg_temp.say(:guest, 'mine'), :guest, :owner) as sender,
  'no envelope' as text,
  sealcast.seal('chat', 'shop 7', :guest, 'order 1', 1700000000000, '{"content":"of another table"}')::text as foreign_ids,
  regexp_replace(pg_temp.say(:guest, 'x'), '"ts":(\d+)', '"ts":\1.0') as retyped;
select is(pg_temp.apply(array[content, sender, text, foreign_ids, pg_temp.say(:vip, 'genuine'), null]), 'forged forged forged forged applied forged', 'forged entries are found, and the genuine event is applied') from forged;
select results_eq($$select entry, reason from sealcast.event_dead_letters where handler is null order by entry$$,
  $$values ('1-0', 'bad_signature'), ('2-0', 'bad_signature'), ('3-0', 'malformed'), ('4-0', 'signed, but not a message'), ('6-0', 'malformed')$$, 'forged entries become dead letters with the problem');
select is(pg_temp.apply(array[retyped]), 'forged', 'a genuine envelope with another spelling of ts is forged') from forged;
select is((select count(*) from public.tap_counter where sender_id = :owner), 0::bigint, 'no event is applied under a forged sender');
select is(pg_temp.outcome('sealcast_admin', null, 'select sealcast.drop_event_dead_letters(forged => true)'), 'ok', 'sealcast_admin may drop forged entries');
select is_empty('select from sealcast.event_dead_letters', 'forged entries that were dropped are deleted');
insert into sealcast.event_dead_letters (group_name, partition, entry, reason, attempts) select 'default', 0, n, 'malformed', 0 from generate_series(1, 999) n;
select is(pg_temp.apply(array['no envelope', 'nor is this']), 'forged forged', 'two more forged entries are found');
select results_eq('select count(*), bool_or(entry = ''2-0'') from sealcast.event_dead_letters', 'values (1000::bigint, false)', 'at most a thousand forged entries of a partition are kept');
delete from sealcast.event_dead_letters;
insert into sealcast.message_types (t) values ('gift');
select is(pg_temp.apply(array(select envelope from sealcast.admit(array[:room]::uuid[], '{gift}', array[:guest]::uuid[], array[gen_random_uuid()], array['{}']))),
          'other', 'a genuine message of another type is not applied');

-- An event that always fails. The other events of its batch are applied, later events of its sender wait, and it
-- becomes a dead letter.
create temp table poisoned as select pg_temp.say(:guest, 'before') as a, pg_temp.say(:guest, 'poison') as p, pg_temp.say(:guest, 'after') as z, pg_temp.say(:vip, 'beside') as b;
select is(pg_temp.apply(array[a, p, z, b]), 'applied failed held applied', 'a failed event holds the later events of its sender') from poisoned;
select results_eq('select attempts, reason from sealcast.event_attempts where attempts > 0', $$values (1, 'no such poison (22000)')$$, 'the failed attempt is counted');
select is(pg_temp.apply(array[a, p, z, b]), 'repeated held held repeated', 'read again, both wait: they are in event_attempts') from poisoned;
select is(pg_temp.apply(array[pg_temp.say(:guest, 'later'), pg_temp.say(:vip, 'other')], first => 10), 'held applied', 'a later batch holds the events of a sender with a waiting event');
select results_eq('select "offset", attempts, due_at is not null from sealcast.event_attempts order by "offset"', 'values (2::bigint, 1, true), (3, 0, false), (10, 0, false)', 'only the first event of a sender is due');
select is(pg_temp.retry(), '', 'an event is not retried before its pause has ended');
select is((select array_agg(problem) from sealcast.check_effects('count') where sender_id = :guest and txn_id in (select txn_id from sealcast.event_attempts)), '{failing,failing,failing}', 'check_effects() counts waiting events as failing');
update sealcast.event_attempts set due_at = now() where due_at is not null;
select is(pg_temp.retry(), 'dead', 'after max_attempts the event is dead');
select is(pg_temp.retry(), 'applied applied', 'then the events behind it are applied together');
select results_eq('select handler, sender_id, "offset", attempts, reason, replay from sealcast.event_dead_letters',
                  format($$values ('count', %L::uuid, 2::bigint, 2, 'no such poison (22000)', false)$$, :guest), 'the dead letter has the attempts and the reason');
select is_empty('select from sealcast.event_attempts', 'the attempts of a dead letter are deleted');
select is((select count(*) from sealcast.event_effects f join sealcast.event_dead_letters d using (handler, sender_id, txn_id)), 0::bigint, 'a dead letter has no effect');
select is(pg_temp.apply(array[p], first => 2), 'dead', 'a dead letter that is read again is still dead') from poisoned;
select is_empty('select from sealcast.event_attempts', 'and does not wait');

-- A dead letter is retried from the history when an admin asks for it.
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
select stream_id, 2, 1, ts, ts, message_id from sealcast.messages where d like '%poison%';
select is_empty($$select * from sealcast_internal.event_dead_letters_to_replay('default', 10)$$, 'a dead letter is not replayed by itself');
select is(sealcast.replay_event_dead_letters('count'), 1::bigint, 'a dead letter can be marked for replay');
select is((select envelope from sealcast_internal.event_dead_letters_to_replay('default', 10)), p, 'a marked dead letter is returned with its message') from poisoned;
select is((select outcome from sealcast_internal.apply_events('default', 'count', 0, 2, array[p], '{2}', null)), 'dead', 'a replay can fail again') from poisoned;
select results_eq('select attempts, replay from sealcast.event_dead_letters', 'values (4, false)', 'after a failed replay, the dead letter has no mark');
create or replace function public.tap_count(e sealcast.event) returns void language sql security definer set search_path = pg_catalog, pg_temp
  as $$ insert into public.tap_counter values (e.sender_id, e."offset", 1) $$;
select sealcast.replay_event_dead_letters() \g /dev/null
select is((select outcome from sealcast_internal.apply_events('default', 'count', 0, 2, array[p], '{2}', null)), 'applied', 'after the handler is fixed, the replay is applied') from poisoned;
select is_empty('select from sealcast.event_dead_letters', 'an applied dead letter is deleted');

-- The worker counts a failure that aborted the statement, such as a timeout.
select is(sealcast_internal.fail_event('default', 'count', 0, 1, x, 9, 'timeout'), null, 'a failure under an old epoch is not counted') from pg_temp.say(:guest, 'slow') x;
select is(sealcast_internal.fail_event('default', 'count', 0, 2, x, 9, 'timeout') || sealcast_internal.fail_event('default', 'count', 0, 2, x, 9, 'timeout'), 'faileddead', 'a failure that aborted the statement is counted up to max_attempts') from pg_temp.say(:guest, 'slow') x;

-- A queue per sender: an event that fails for ever delays only its sender, and the events behind it keep their order.
truncate sealcast.event_attempts, public.tap_order;
create or replace function public.tap_count(e sealcast.event) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if e.d ->> 'content' = 'outage' then raise exception 'the dependency is down'; end if;
  insert into public.tap_order ("offset") values (e."offset");
end $$;
select is(pg_temp.outcome('sealcast_admin', null, $$select sealcast.register_handler('count', 'chat', 'public.tap_count(sealcast.event)')$$), 'ok', 'the default gives an event up by its age');
select is((select concat_ws(' ', max_attempts, give_up_after) from sealcast.event_handlers where name = 'count'), '01:00:00', 'which is one hour');
update sealcast_internal.event_leases set epoch = 2 where partition = 0;
create temp table outage as select pg_temp.say(:guest, 'outage') as e, array(select pg_temp.say(:guest, 'behind ' || n) from generate_series(1, 250) n) as behind;
select is(pg_temp.apply(array[e], first => 100), 'failed', 'an event fails') from outage;
select is((select string_agg(distinct x, ' ') from outage, string_to_table(pg_temp.apply(behind, first => 101), ' ') x), 'held', 'any number of events of its sender wait in Postgres');
select is((select count(*) from sealcast_internal.waiting_events('default') w where w = 251), 1::bigint, 'waiting_events() counts them');
create function pg_temp.tries(n integer) returns text language plpgsql as $$
declare outcome text;
begin
  for i in 1..n loop
    update sealcast.event_attempts set due_at = now() where due_at is not null;
    outcome := pg_temp.retry();
  end loop;
  return outcome;
end $$;
select is(pg_temp.tries(30), 'failed', 'within the hour, no number of attempts gives it up');
select ok(due_at - failed_at = '30 s', 'the pause grows to 30 s') from sealcast.event_attempts where due_at is not null;
savepoint hour;
update sealcast.event_attempts set waits_since = now() - interval '61 min';
select is(pg_temp.tries(1), 'dead', 'after the hour it is given up');
rollback to hour;
select sealcast.register_handler('count', 'chat', 'public.tap_count(sealcast.event)', batch_size => 200) \g /dev/null
update sealcast_internal.event_leases set epoch = 2 where partition = 0;
create or replace function public.tap_count(e sealcast.event) returns void language sql security definer set search_path = pg_catalog, pg_temp
  as $$ insert into public.tap_order ("offset") values (e."offset") $$;
select is(pg_temp.tries(1), 'applied', 'when the dependency is back, the failed event is applied alone');
select is((select count(*) from string_to_table(pg_temp.retry(), ' ') x where x = 'applied'), 200::bigint, 'then the next ones in batches');
select is(pg_temp.apply(array[pg_temp.say(:guest, 'last')], first => 400), 'held', 'while some wait, a new event waits behind them');
select is((select count(*) from string_to_table(pg_temp.retry(), ' ') x where x = 'applied'), 51::bigint, 'the rest');
select is(pg_temp.apply(array[pg_temp.say(:guest, 'not held')], first => 401), 'applied', 'when none waits, a new event is applied at once');
select results_eq('select "offset" from public.tap_order order by place', 'select generate_series(100::bigint, 350) union all select 400 union all select 401', 'all were applied in order');
select is(pg_temp.apply(array[pg_temp.say(:guest, 'not held')], first => 402), 'applied', 'and the sender goes on');
select is_empty('select from sealcast.event_attempts', 'no event waits any more');

-- Events whose message is redacted before it is applied.
create table public.tap_seen (d text, envelope text);
grant all on public.tap_seen to tap_shop;
create function public.tap_see(e sealcast.event) returns void language sql security definer set search_path = pg_catalog, pg_temp as
  $$ insert into public.tap_seen values ((e).d::text, (e).envelope::text) $$;
alter function public.tap_see owner to tap_shop;
grant execute on function public.tap_see(sealcast.event) to sealcast_service;
select sealcast.register_handler('see', 'chat', 'public.tap_see(sealcast.event)') \g /dev/null
update sealcast_internal.event_leases set epoch = 2 where group_name = 'default';
select pg_temp.say(:owner, 'secret') as whole \gset
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.redact_message(%L, txn_id => %L, sender_id => %L)', :room, :'whole'::json ->> 'txn_id', :owner)), 'ok', 'a message is redacted before its event is applied');
select sealcast.envelope(m) as redacted from sealcast.messages m where m.txn_id = (:'whole'::json ->> 'txn_id')::uuid \gset
select is(pg_temp.apply(array[:'whole'], 'see'), 'applied', 'its event is applied');
select is((select (d, envelope)::text from public.tap_seen), (null::text, :'redacted')::text, 'the handler gets the redacted envelope, and no content');
select is(pg_temp.apply(array[:'redacted'], 'see'), 'repeated', 'the redacted envelope is the same event');
select is(pg_temp.apply(array[replace(:'redacted', '"t":"chat"', '"t":"chut"')], 'see'), 'forged', 'a changed one is forged');
select is(pg_temp.apply(array[:'redacted']), 'applied', 'another handler applies it by the redacted envelope');
select sealcast.unregister_handler('see', forget => true) \g /dev/null
update sealcast_internal.event_leases set epoch = 2 where group_name = 'default';

-- Waiting events whose message is gone, or cannot be verified.
insert into sealcast.event_attempts (handler, sender_id, txn_id, attempts, reason, stream_id, "offset", due_at) values
  ('count', :vip, gen_random_uuid(), 0, 'x', :room, 1000, now());
create temp table unverified as select pg_temp.say(:owner, 'unverified') as e;
insert into sealcast.event_attempts (handler, sender_id, txn_id, attempts, reason, stream_id, "offset", due_at)
select 'count', sender_id, txn_id, 1, 'x', stream_id, 1001, now() from sealcast.messages where d like '%unverified%';
update sealcast.messages set sig = decode(repeat('00', 32), 'hex') where d like '%unverified%';
select is(pg_temp.retry(), '', 'an event whose message is gone or cannot be verified is not applied');
select results_eq('select sender_id, reason from sealcast.event_dead_letters where handler = ''count'' and "offset" > 999', format('values (%L::uuid, ''the stored message cannot be verified: bad_signature'')', :owner), 'the second one becomes a dead letter');
select is_empty('select from sealcast.event_attempts', 'neither waits');
delete from sealcast.event_dead_letters where "offset" > 999;
delete from sealcast.messages where d like any (array['%unverified%', '%behind%', '%held%', '%outage%', '%last%']);
select sealcast.register_handler('count', 'chat', 'public.tap_count(sealcast.event)', max_attempts => 2) \g /dev/null
update sealcast_internal.event_leases set epoch = 2 where partition = 0;

-- A deferred constraint fails its own event only.
create table public.tap_parent (id text primary key);
create table public.tap_child (parent text references public.tap_parent deferrable initially deferred, at bigint);
create or replace function public.tap_count(e sealcast.event) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into public.tap_child values (e.d ->> 'content', e."offset");
  if e.d ->> 'content' <> 'orphan' then insert into public.tap_parent values (e.d ->> 'content') on conflict do nothing; end if;
end $$;
grant all on public.tap_parent, public.tap_child to tap_shop;
set constraints all deferred; -- as in a transaction of its own
select is(pg_temp.apply(array[pg_temp.say(:guest, 'p'), pg_temp.say(:vip, 'orphan'), pg_temp.say(:owner, 'q')]), 'applied failed applied', 'a deferred constraint fails its own event only');

-- An event that is older than the kept effects is not applied, because it may have been applied before.
select results_eq($$select problem, d ->> 'content' from sealcast.check_effects('count') c join (select txn_id, d::json from sealcast.messages) m using (txn_id) order by 1, 2$$,
  $$values ('dead', 'slow'), ('failing', 'orphan'), ('missing', 'mine'), ('missing', 'slow'), ('missing', 'small'), ('missing', 'x')$$, 'check_effects() finds the messages without an effect, and the reason');
select ok((select every("offset" is null) from sealcast.check_effects('count') where txn_id not in (select txn_id from sealcast.messages where d like '%poison%')), 'a message that is not relayed has no offset in the result');
insert into sealcast.event_effects (handler, sender_id, txn_id, ts) select 'count', :guest, gen_random_uuid(), ts from sealcast.event_effects limit 1;
select is((select count(*) from sealcast.check_effects('count') where problem = 'stray'), 1::bigint, 'check_effects() finds an effect without a message');
update sealcast.event_effects set applied_at = now() - interval '8 days';
set constraints all deferred;
select ok(exists (select from pg_temp.maintain() where object like '%event_effects'), 'maintain() trims effects together with keys');
select is(pg_temp.apply(array[pg_temp.say(:guest, 'new')]), 'applied', 'a newer event is applied');
select is(pg_temp.apply(e), 'dead dead dead', 'an event that is older than the kept effects becomes a dead letter') from sent;
delete from sealcast.event_dead_letters where not uncertain;
select is(sealcast.replay_event_dead_letters(), 0::bigint, 'a replay leaves out dead letters that may have been applied');
select is(sealcast.replay_event_dead_letters(uncertain => true), 3::bigint, 'with uncertain, a replay applies dead letters that may have been applied');
update sealcast.event_dead_letters set replay = false;

-- A handler that was changed so that it cannot run: its events become dead letters, and wait for the repair.
create temp table halted as select pg_temp.say(:guest, 'halted') as e;
alter function public.tap_count(sealcast.event) security invoker;
select is(pg_temp.apply(array[e]), 'dead', 'an event of a handler that cannot run becomes a dead letter') from halted;
select is(pg_temp.apply(array[e]), 'dead', 'a dead letter of a handler that cannot run stays one when its event is read again') from halted;
select results_eq('select attempts, reason, uncertain from sealcast.event_dead_letters where not uncertain',
                  $$values (0, 'the handler cannot run: it is not SECURITY DEFINER, so it would run with the rights of the worker', false)$$,
                  'the dead letter names the reason');
select is(sealcast_internal.fail_event('default', 'count', 0, 2, x, 9, 'timeout'), 'failed', 'a failure of a handler that cannot run is counted') from pg_temp.say(:guest, 'slow again') x;
alter function public.tap_count(sealcast.event) security definer;
select is(sealcast.replay_event_dead_letters('count'), 1::bigint, 'after the repair of its handler, a dead letter can be marked for replay');
set constraints all deferred;
select is((select concat_ws(' ', outcome, reason) from sealcast_internal.apply_events('default', 'count', 0, 2, array[e], '{90}', null)), 'applied', 'after the repair of its handler, a replay applies the event') from halted;

-- A new handler of a group ends the epochs of its workers, because they do not know the handler.
create temp table epochs as select partition, epoch from sealcast_internal.event_leases where group_name = 'default';
select sealcast.register_handler('second', null, 'public.tap_count(sealcast.event)') \g /dev/null
select ok(every(l.epoch = e.epoch + 1), 'registering a handler ends all epochs of its group') from sealcast_internal.event_leases l join epochs e using (partition) where group_name = 'default';
select sealcast.unregister_handler('second') \g /dev/null

-- How far partitions are finished, and which events are published again when Redis has lost the partitions.
select sealcast_internal.finish_partitions('default', '{0,1,2,3}', array(select epoch from sealcast_internal.event_leases where group_name = 'default' order by partition), '{5000,6000,7000,8000}', 0) \g /dev/null
select sealcast_internal.finish_partitions('default', '{0,1}', '{1,1}', '{9000,9000}', 0) \g /dev/null
select sealcast_internal.finish_partitions('default', '{3}', array(select epoch from sealcast_internal.event_leases where group_name = 'default' and partition = 3), '{1}', 0) \g /dev/null
select sealcast_internal.finish_partitions('default', '{3}', array(select epoch from sealcast_internal.event_leases where group_name = 'default' and partition = 3), '{9000}', 1) \g /dev/null
select is(array(select finished_to from sealcast_internal.event_leases where group_name = 'default' order by partition), '{5000,6000,7000,8000}', 'finished_to is recorded by the holder only, never goes back, and is not recorded after a loss');
select is(sealcast_internal.events_carried_to(), null, 'without redis_events, events_carried_to() is null');
delete from sealcast_internal.relay_log;
insert into sealcast_internal.relay_log (shard, batch, epoch, logged_at, seen, seen_xid, seen_id, after_id, stream_ids, first_offsets, last_offsets)
select s, b, 1, b * 1000, '1:1:', '0', 0, 0, '{}', '{}', '{}' from generate_series(0, 3) s, generate_series(2, 9) b;
update sealcast_internal.relay_leases set epoch = 5;
insert into sealcast.deliveries (transport, shard, batch, settled_at, seen_at) select 'redis_events', s, 9, now(), now() from generate_series(0, 3) s;
select ok(sealcast_internal.events_carried_to() between extract(epoch from now() - interval '2 minutes') * 1000 and extract(epoch from now()) * 1000, 'when all batches are published, events_carried_to() is about a minute ago');
update sealcast.deliveries set batch = 6 where transport = 'redis_events' and shard = 2;
select is(sealcast_internal.events_carried_to(), 7000::bigint, 'events_carried_to() is the first batch that one shard has yet to publish');
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id) select :cave, 5, 3, logged_at, 1, 1 from sealcast.stream_runs limit 1;
insert into sealcast.delivery_lags (transport, stream_id, next_offset, reason) values ('redis_events', :cave, 40, 'slow');
select is(sealcast_internal.events_carried_to(), 0::bigint, 'when the next offset of a stream that lags is not logged, events_carried_to() is 0');
select sealcast_internal.note_event_partitions(0, '{0,1}', '{50,60}', '{1,2}') \g /dev/null
select sealcast_internal.note_event_partitions(0, '{0,1}', '{50,60}', '{0,9}') \g /dev/null
select sealcast_internal.note_event_partitions(7, '{0}', '{90}', '{0}') \g /dev/null
select results_eq('select * from sealcast_internal.event_partitions_state() order by 3', 'values (0::bigint, true, 0, 50::bigint, 1::bigint, 4), (0, true, 1, 60, 9, 4)', 'event_partitions_state() returns the newest entry of each partition');
select results_eq('select since, complete from sealcast_internal.rewind_events(0)', $$values ('epoch'::timestamptz + interval '5 s', true)$$, 'rewind_events() goes back to the time that the slowest partition had finished');
select is(array(select batch from sealcast.deliveries where transport = 'redis_events' order by shard), '{4,4,4,4}', 'rewind_events() sets back the cursors of all shards');
select is(array(select epoch from sealcast_internal.relay_leases order by shard), '{6,6,6,6}', 'rewind_events() ends the epochs of all shards');
select results_eq('select * from sealcast_internal.event_partitions_state()', 'values (1::bigint, false, null::int, null::bigint, null::bigint, 4)', 'after rewind_events(), `carrying` is false and no partition is recorded');
select is((select count(*) from sealcast.delivery_lags), 0::bigint, 'after rewind_events(), no stream lags');
select is((select since from sealcast_internal.rewind_events(0)), null, 'rewind_events() for the same loss does nothing');
update sealcast.deliveries set seen_at = clock_timestamp() + interval '1 s' where transport = 'redis_events';
select is((select carrying from sealcast_internal.event_partitions_state()), true, '`carrying` is true again when all shards have begun anew');
update sealcast_internal.event_leases set finished_to = 1500 where group_name = 'default' and partition = 1;
select results_eq('select since, complete from sealcast_internal.rewind_events(1)', $$values ('epoch'::timestamptz + interval '1.5 s', false)$$, 'rewind_events() is incomplete when the log of batches does not reach back');

-- Unregistering handlers.
select sealcast.unregister_handler('count') \g /dev/null
select is_empty('select sealcast_internal.event_groups()', 'a group without handlers is not listed');
select is(pg_temp.apply(e, epoch => 3), 'nothing', 'a handler that is not registered applies nothing') from sent;
select sealcast.unregister_handler('count', true) \g /dev/null
select is((select count(*) from sealcast.event_effects) + (select count(*) from sealcast.event_dead_letters), 0::bigint, 'with forget, the effects and dead letters are deleted');
select * from finish();
rollback;
