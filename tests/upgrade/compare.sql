-- Prints one line per row of inhabit.sql that an upgrade has lost or changed, and per function that does not continue from
-- these rows.
\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
set sealcast.gate = off;

-- Counts lost rows. Compares the columns that the table has in both versions.
create function kept.lost(relation regclass) returns bigint language plpgsql as $$
declare
  columns constant text := (
    select string_agg(format('%I', a.attname), ', ' order by a.attname)
    from pg_attribute a join pg_attribute k on k.attname = a.attname and k.attrelid = format('kept.%I', relation)::regclass
    where a.attrelid = relation and a.attnum > 0 and not a.attisdropped);
  lost bigint;
begin
  execute format('select count(*) from (select to_jsonb(k) from (select %1$s from kept.%2$I) k
                                        except all select to_jsonb(r) from (select %1$s from %2$s) r) missing', columns, relation) into lost;
  return lost;
end $$;
select format('%s rows of %s', kept.lost(original), original)
from (select to_regclass(relname) as original from pg_class where relnamespace = 'kept'::regnamespace and relname like 'sealcast%.%') k
where original is not null and kept.lost(original) > 0;
select format('sequence %s.%s was at %s and is now at %s', schemaname, sequencename, k.last_value, s.last_value)
from kept.sequences k join pg_sequences s using (schemaname, sequencename) where s.last_value is distinct from k.last_value;
select 'the audit finds: ' || a::text from (table kept.audit except select * from sealcast_economy.audit()) a;

-- The system continues: a repeat returns the original, although its sender is muted since; the relay gives the next offsets;
-- and no event is applied twice.
select format('a repeat of message %s does not return the original', s.n) from kept.send(1, 7) a join kept.sent s using (n)
where not a.replayed or a.envelope <> s.envelope;
select format('message %s does not verify: %s', n, sealcast.verify_detail(envelope::json)) from kept.sent where not sealcast.verify(envelope::json);
select sealcast_internal.claim_shards('kept', 600000) \g /dev/null
select format('the next offsets are %s', offsets) from (select array_agg("offset" order by "offset")::text as offsets from kept.drain(100)) d
where offsets is distinct from '{4,5,6,7}';
select format('the outcomes of events are %s', outcomes) from (select string_agg(o, ' ') as outcomes from kept.apply('xp', 1, 7) o) a
where outcomes is distinct from 'repeated repeated repeated applied applied applied applied';
select kept.apply('aggregates', 1, 7) \g /dev/null
select kept.apply('gifts', 1, 7) \g /dev/null
select 'the audit finds: ' || a::text from sealcast_economy.audit() a;
insert into public.notes values ('a', '1', '{}');
select 'idempotent_insert() has inserted a row twice' from public.notes having count(*) <> 1;
