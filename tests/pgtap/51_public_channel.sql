-- Tests the public channel: which messages of a sampled stream are on it (the same for drain, tail and history), and
-- the rates at which streams are sampled.
begin;
\ir scene.psql
select plan(63);

delete from sealcast_internal.relay_log;
delete from sealcast_internal.outbox;
delete from sealcast.sampling;
update sealcast_internal.relay_leases set holder = 'a', epoch = 1, lease_until = now() + interval '1 h';
create function pg_temp.queue(stream_id uuid, t text, senders uuid[], committed_by xid8, d text default '{}') returns void language plpgsql as $$
begin
  perform pg_temp.admit(stream_id, t, s, d) from unnest(senders) s;
  update sealcast_internal.outbox set xid = committed_by where xid = pg_current_xact_id();
end $$;
create temp table drained (shard int, batch bigint, stream_id uuid, "offset" bigint, prev bigint, envelope text, public_prev bigint, redacted text, retained boolean);
create function pg_temp.drain(max_rows integer default 1000) returns bigint language sql as $$
  with d as (insert into drained select * from sealcast_internal.drain('a', '{0,1,2,3}', '{1,1,1,1}', max_rows) returning stream_id)
  select count(stream_id) from d $$;
-- Sets the position of all shards, as if the last drain had seen just this snapshot.
create function pg_temp.stand_at(seen pg_snapshot) returns void language sql as $$
  update sealcast_internal.relay_log r set seen = stand_at.seen, seen_xid = '0', seen_id = 0, target = null, target_xid = null, target_id = null, after_id = 0
  where r.batch = (select max(n.batch) from sealcast_internal.relay_log n where n.shard = r.shard) $$;
-- Whether each row names the row before it on the public channel; the first row names `before`.
create function pg_temp.chained(before bigint) returns boolean language sql as $$
  select bool_and(public_prev = coalesce(prior, before))
  from (select public_prev, lag("offset") over (order by "offset") as prior from drained
        where stream_id = 'a0000000-0000-4000-8000-000000000001' and public_prev is not null) c $$;
create temp table crowd as
  select n, ('c0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as user_id from generate_series(1, 300) n;

-- A calm stream.
select pg_temp.queue(:room, 'chat', (select array_agg(user_id order by n) from crowd where n <= 3), '11') \g /dev/null
select is(pg_temp.drain(), 3::bigint, 'a calm stream is drained');
select ok(bool_and(public_prev = prev), 'all messages of a calm stream are public') from drained where stream_id is not null;
select is((public_before, public_bits), (null::bigint, null::bytea), 'a calm stream has no bits in the log') from sealcast.stream_runs where stream_id = :room;

-- A storm.
insert into sealcast.sampling values (:room, 20, false, clock_timestamp());
select pg_temp.stand_at('12:12:') \g /dev/null
select pg_temp.queue(:room, 'chat', (select array_agg(user_id order by n) from crowd), '12') \g /dev/null
select pg_temp.queue(:room, 'chat', array[:vip]::uuid[], '13') \g /dev/null
select pg_temp.queue(:room, 'announcement', array[:owner]::uuid[], '14') \g /dev/null
select pg_temp.queue(:room, 'sampling_update', array[:system]::uuid[], '15') \g /dev/null
select pg_temp.queue(:cave, 'chat', array[:vip]::uuid[], '16') \g /dev/null
select is(pg_temp.drain(100), 100::bigint, 'a drain returns max_rows frames at most');
select is(pg_temp.drain(), 204::bigint, 'the next drain returns the rest');
select is(count(*) filter (where public_prev is not null), 3 + (select count(*) from crowd where sealcast.sampled(user_id, :room, 20)) + 3,
          'the messages of sampled users and of tiers 0 and 1 are public') from drained where stream_id = :room;
select is(count(*), 0::bigint, 'each message is public as sampled() and tier() define')
from drained d cross join lateral (select d.envelope::jsonb as e) e
where d.stream_id = :room and "offset" > 3
  and (public_prev is not null) <> (sealcast.sampled((e ->> 's')::uuid, :room, 20) or sealcast.tier(e ->> 't', (e ->> 's')::uuid, e -> 'd') < 2);
select ok(count(*) between 30 and 90, 'about a fifth of the messages are public at a rate of 20 percent') from drained where stream_id = :room and public_prev is not null and "offset" between 4 and 303;
select ok(bool_and(prev = "offset" - 1), 'the vip channel has all messages') from drained where stream_id = :room;
select ok(pg_temp.chained(0), 'each public frame names the one before it, across runs and batches');
select ok(bool_and(public_prev = prev), 'all messages of another stream are public') from drained where stream_id = :cave;

-- The rate is 0; then the stream is calm again.
create function pg_temp.pay(uuid, uuid, text, uuid, json) returns sealcast.refusal language sql as 'select null::sealcast.refusal';
insert into sealcast.message_types (t, tier0_amount, admit_hook) values ('gift', 1000, 'pg_temp.pay');
update sealcast.sampling set rate = 0;
select pg_temp.stand_at('17:17:') \g /dev/null
select pg_temp.queue(:room, 'gift', (select array_agg(user_id) from crowd where n <= 5), '17', '{"amount":999}') \g /dev/null
select is(pg_temp.drain(), 5::bigint, 'a batch without public messages is drained');
select pg_temp.stand_at('18:18:') \g /dev/null
select pg_temp.queue(:room, 'gift', (select array_agg(user_id) from crowd where n = 6), '18', '{"amount":1000}') \g /dev/null
select is(pg_temp.drain(), 1::bigint, 'a batch with a large gift is drained');
delete from sealcast.sampling;
select pg_temp.stand_at('19:19:') \g /dev/null
select pg_temp.queue(:room, 'chat', (select array_agg(user_id) from crowd where n <= 2), '19') \g /dev/null
select is(pg_temp.drain(), 2::bigint, 'a batch after the storm is drained');
select is(array_agg(public_prev order by "offset"), array[null, null, null, null, null, 306, 312, 313]::bigint[], 'public_prev skips the messages that are not public')
from drained where stream_id = :room and "offset" > 306;
select ok(pg_temp.chained(0), 'each public frame names the one before it, through all batches');

-- tail(), history() and stream_log show the same public channel.
select set_eq($$select * from sealcast_internal.tail('{0,1,2,3}', '{0,0,0,0}', 1000) where stream_id is not null$$,
              $$select * from drained where stream_id is not null$$, 'tail() returns the same rows as drain()');
select set_eq(format($$select "offset", prev, envelope, public_prev from sealcast_internal.read_history(%L, 0, null, 1000, false)$$, :room),
              format($$select "offset", prev, envelope, public_prev from drained where stream_id = %L$$, :room), 'history() returns the same rows as drain()');
create function pg_temp.pages(up boolean, page integer) returns bigint[] language plpgsql as $$
declare
  got bigint[] := '{}';
  piece bigint[];
begin
  loop
    select array_agg(h."offset" order by h."offset") into piece
    from sealcast_internal.read_history('a0000000-0000-4000-8000-000000000001', case when up then coalesce(got[cardinality(got)], 0) end,
                          case when not up then coalesce(got[1], 1000) end, page, true) h;
    exit when piece is null;
    assert up or cardinality(piece) <= page;
    got := case when up then got || piece else piece || got end;
    exit when cardinality(piece) < page;
  end loop;
  return got;
end $$;
select is(pg_temp.pages(up, page), (select array_agg("offset" order by "offset") from drained where stream_id = :room and public_prev is not null),
          format('pages of %s, %s, hold all public messages', page, case when up then 'up' else 'down' end))
from unnest(array[true, false]) up, unnest(array[1, 2, 7, 50, 1000]) page;
select is(array_agg("offset"), array[306, 312]::bigint[], 'a page between two offsets has the public messages between them')
from sealcast.history(:room, 305, 313, 10, 'public');
select set_eq(format('select "offset" from sealcast.stream_log where stream_id = %L and public', :room),
              format('select "offset" from drained where stream_id = %L and public_prev is not null', :room), 'stream_log shows which messages are public');

-- The rates.
create function pg_temp.sample(stream_ids uuid[], rates integer[], epoch bigint default 1) returns integer language sql as $$
  select told from sealcast_internal.sample_streams('{0,1,2,3}', array_fill(epoch, array[4]), stream_ids, rates) $$;
create function pg_temp.told() returns text language sql as $$
  select string_agg(m.d, ' ' order by m.message_id) from sealcast.messages m where m.t = 'sampling_update' and m.d <> '{}' $$;
select is(pg_temp.sample(array[:room]::uuid[], '{20}', 2), 0, 'a former leader changes no rate');
select is(pg_temp.sample(array[:room]::uuid[], '{20}'), 1, 'a new rate is announced');
select is((pg_temp.sample(array[:room]::uuid[], '{20}'), pg_temp.sample(array[:room]::uuid[], '{10}')), (0, 1), 'an unchanged rate is not announced, a changed one is');
delete from sealcast.retained_messages where t = 'sampling_update';
update sealcast.sampling set announced_at = clock_timestamp() - interval '9 min';
select is(pg_temp.sample(array[:room]::uuid[], '{10}'), 0, 'a new rate may not be in the state of its stream yet');
update sealcast.sampling set announced_at = clock_timestamp() - interval '10 min';
select is(pg_temp.sample(array[:room]::uuid[], '{10}'), 1, 'a rate that late joiners do not get any more is announced again');
insert into sealcast.retained_messages select m.stream_id, m.t, '', 1, 0, m.ts, m.message_id from sealcast.messages m
  where m.t = 'sampling_update' and m.stream_id = :room order by m.message_id desc limit 1 on conflict on constraint retained_messages_pkey do update
  set ts = excluded.ts, message_id = excluded.message_id;
update sealcast.sampling set announced_at = clock_timestamp() - interval '1 h';
select is(pg_temp.sample(array[:room]::uuid[], '{10}'), 0, 'a rate that is in the state is not announced again');
select is(pg_temp.sample('{}', '{}'), 1, 'a stream that is not named returns to 100 percent');
select is_empty('select from sealcast.sampling', 'a stream at 100 percent has no row');
select is(pg_temp.told(), '{"active":true,"rate":20} {"active":true,"rate":10} {"active":true,"rate":10} {"active":false,"rate":100}', 'each announcement has the new rate');
select is(pg_temp.sample(array[:attic, :nowhere]::uuid[], '{20,20}'), 0, 'nothing is announced for a closed stream, or one that does not exist');
select is_empty('select from sealcast.sampling', 'a closed stream, or one that does not exist, is not sampled');

insert into sealcast.sampling values (:attic, 20, false, clock_timestamp());
select is(pg_temp.sample(array[:attic]::uuid[], '{20}'), 1, 'the sampling of a stream that was closed ends, and late joiners learn it');
select is((select d from sealcast.messages where stream_id = :attic and t = 'sampling_update'), '{"active":false,"rate":100}', 'the last rate of a closed stream is 100 percent');

insert into sealcast.sampling values (:attic, 20, true, clock_timestamp());
select is(pg_temp.sample('{}', '{}'), 1, 'a forced rate ends with the stream, too');
select is_empty('select from sealcast.sampling', 'a closed stream has no rate');

-- set_sampling()
select is(pg_temp.outcome('sealcast_user', :guest, format('select sealcast.set_sampling(%L, 5)', :room)), 'PT403 role_required', 'a guest may not set the rate');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_sampling(%L, 101)', :room)), 'PT400 invalid_request', 'a rate above 100 is refused');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_sampling(%L, 5)', :room)), 'ok', 'an owner may set the rate');
select is(pg_temp.sample('{}', '{}'), 0, 'the leader does not announce a forced rate again');
select results_eq('select rate, forced from sealcast.sampling', $$values (5::smallint, true)$$, 'the leader does not change a forced rate');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_sampling(%L, null)', :room)), 'ok', 'an owner may lift a forced rate');
select is(pg_temp.sample('{}', '{}'), 1, 'after lifting, the velocity decides and the rate is announced');
select is_empty('select from sealcast.sampling', 'after lifting, the calm stream has no row');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast.set_sampling(%L, %s)', stream_id, rate)), outcome,
          format('set_sampling(…, %s) on %s', rate, what))
from (values (:attic::uuid, '5', 'PT403 stream_closed', 'a closed stream'), (:attic, '100', 'PT403 stream_closed', 'a closed stream'),
             (:nowhere, '5', 'PT404 stream_not_found', 'a stream that does not exist'),
             (:nowhere, 'null', 'PT404 stream_not_found', 'a stream that does not exist')) v (stream_id, rate, outcome, what);
select is_empty(format('select from sealcast.sampling where stream_id = %L', :attic), 'a refused rate is not kept');
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.set_sampling(%L, 100)', :room)), 'ok', 'an owner may force a stream to 100 percent');
update sealcast.sampling set announced_at = clock_timestamp() - interval '1 h';
select is((pg_temp.sample(array[:room]::uuid[], '{20}'), (select s.rate from sealcast.sampling s where s.stream_id = :room)), (0, 100::smallint),
          'a forced rate of 100 percent stays, and is not announced again');
select sealcast.set_sampling(:room, null) \g /dev/null
select is_empty(format('select from sealcast.sampling where stream_id = %L', :room), 'after lifting a forced rate of 100 percent, the stream has no row');
select * from finish();
rollback;
