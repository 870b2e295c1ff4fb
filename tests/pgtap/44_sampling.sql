-- Tests who is sampled and which tier a message has, by the vectors that also test the sidecar and the client.
begin;
\ir scene.psql
\set vectors `cat tests/vectors/sampling.json`
select plan(13);

create temp table bucket as
  select * from json_to_recordset(:'vectors'::json -> 'buckets') b (user_id uuid, stream_id uuid, bucket integer);
select cmp_ok(count(*), '>=', 40::bigint, 'the file of the vectors of sampled() has enough buckets') from bucket;
select is(count(*), 0::bigint, 'each user is sampled at a rate above their bucket') from bucket
where not sealcast.sampled(user_id, stream_id, bucket + 1);
select is(count(*), 0::bigint, 'no user is sampled at a rate equal to their bucket') from bucket where sealcast.sampled(user_id, stream_id, bucket);
select is(sealcast.sampled(:guest, :room, null), null, 'sampled() of a null rate is null');
select is((select concat(provolatile, proparallel) from pg_proc where oid = 'sealcast.sampled'::regproc), 'is',
          'sampled() is immutable, so it may be indexed');

create temp table tiers as
  select row_number() over () as n, v.* from json_to_recordset(:'vectors'::json -> 'tiers') v (type json, s uuid, d jsonb, tier integer);
insert into sealcast.message_types (t, tier, tier0_amount, admit_hook, server_fields)
  select 'vector.' || n, (type ->> 'tier')::smallint, (type ->> 'tier0_amount')::bigint,
         case when type ->> 'tier0_amount' is not null then 'pg_temp.pay' end,
         case when (type ->> 'states_role')::boolean then '{user_role}'::text[] else '{}' end from tiers;
select cmp_ok(count(*), '>=', 20::bigint, 'the file of the vectors of tier() has enough tiers') from tiers;
select is(string_agg(format('%s %s: %s', type, d, sealcast.tier('vector.' || n, s, d)), e'\n'), null, 'each message has the tier of its vector')
from tiers where sealcast.tier('vector.' || n, s, d) <> tier;
select is(sealcast.tier('no.such', :guest, '{}'), 2, 'a message of an unknown type has tier 2');

-- The sender writes d.amount, so a hook must check it.
select is(pg_temp.outcome('sealcast_admin', null, $$insert into sealcast.message_types (t, tier0_amount) values ('tip', 1000)$$), '23514', 'a type without a hook may have no tier0_amount');
select is(pg_temp.outcome('sealcast_admin', null, $$update sealcast.message_types set tier0_amount = 1000 where t = 'chat'$$), '23514', 'a type without a hook gets no tier0_amount');
select throws_ok($$update sealcast.message_types set admit_hook = null where t like 'vector.%' and tier0_amount is not null$$, '23514', null, 'a type with a tier0_amount keeps its hook');
select is(pg_temp.outcome('sealcast_admin', null, $$insert into sealcast.message_types (t, tier0_amount, system_only) values ('prize', 1000, true) returning t$$), 'ok', 'a type that only the system sends needs no hook');
select is(array_agg(t order by t), '{announcement,message_redacted,messages_purged,pinned,sampling_update,stream_rules,transport_migrate,transport_warmup,viewer_count_update}', 'exactly these built-in types are of tier 0')
from sealcast.message_types where tier = 0 and t not like 'vector.%';
select * from finish();
rollback;
