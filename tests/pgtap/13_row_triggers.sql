-- Tests seal_row() and idempotent_insert() on the user's own tables.
create extension if not exists pgtap;
begin;
select plan(94);

create table pg_temp.notes(room uuid, author text, txn text, kind text, body json, sealed jsonb);
create trigger sealing before insert on pg_temp.notes
  for each row execute function sealcast.seal_row('body', 'note', 'room', 'author', 'txn');
prepare note(text, text, json) as
  insert into pg_temp.notes(room, author, txn, body) values ('11111111-1111-1111-1111-111111111111', $1, $2, $3);
select lives_ok($$execute note('u', 'x', '{"b": 1, "a": [1.0]}')$$, 'seal_row() seals a column in place');
select ok(sealcast.verify(body, '1 minute'), 'the sealed column verifies') from pg_temp.notes;
select is(body ->> 't', 'row:note', 'the sealed type is the argument of the trigger') from pg_temp.notes;
select is(body ->> 'stream_id', '11111111-1111-1111-1111-111111111111', 'the sealed stream is that of the row') from pg_temp.notes;
select is((body -> 'd')::text, '{"a":[1],"b":1}', 'the sealed payload has the canonical form') from pg_temp.notes;

select throws_ok($$execute note('u', 'x', '{"a":1,"a":2}')$$, '22P02', null, 'a payload with a duplicate key is refused');
select throws_ok($$execute note('u|v', 'x', '{}')$$, '22023', null, 'a sender with | is refused');
select throws_ok($$execute note('u', null, '{}')$$, '23502', 'column "txn" of table "notes" is null, but sealcast.seal_row() needs it', 'a null txn is refused');
select throws_ok($$execute note('u', 'x', null)$$, '23502', 'column "body" of table "notes" is null, but sealcast.seal_row() needs it', 'a null payload is refused');

-- The payload, the sealed envelope and the type are in three columns.
create or replace trigger sealing before insert on pg_temp.notes
  for each row execute function sealcast.seal_row('sealed', ':kind', 'room', 'author', 'txn', 'body');
truncate pg_temp.notes;
insert into pg_temp.notes values ('11111111-1111-1111-1111-111111111111', 'u', 'x', 'gift', '{"b": 1}');
select ok(sealcast.verify(sealed), 'the envelope in another column verifies') from pg_temp.notes;
select is(sealed ->> 't', 'row:gift', 'the type comes from a column') from pg_temp.notes;
select is(body::text, '{"b": 1}', 'the payload column is unchanged') from pg_temp.notes;

-- Triggers that are attached wrongly.
create function pg_temp.attach(clause text) returns void language plpgsql as $$
begin
  execute 'create or replace trigger sealing ' || clause;
  insert into pg_temp.notes values ('11111111-1111-1111-1111-111111111111', 'u', 'x', 'gift', '{}');
end $$;
prepare attach(text) as select pg_temp.attach($1);
select throws_ok($$execute attach('before insert on pg_temp.notes for each row execute function sealcast.seal_row()')$$, '39P01', null, 'seal_row() without arguments is an error');
select throws_ok($$execute attach('after insert on pg_temp.notes for each row execute function sealcast.seal_row(body, note, room, author, txn)')$$, '39P01', null, 'seal_row() in an AFTER trigger is an error');
select throws_ok($$execute attach('before insert on pg_temp.notes for each row execute function sealcast.seal_row(nobody, note, room, author, txn)')$$,
                 '42703', 'column "nobody" in trigger "sealing" of table "notes" does not exist', 'seal_row() names a column that is missing');
select throws_ok($$execute attach('before insert on pg_temp.notes for each row execute function sealcast.seal_row(author, note, room, author, txn)')$$,
                 '42804', 'column "author" of table "notes" is of type text, not json or jsonb', 'seal_row() names a sealed column of a wrong type');
select throws_ok($$execute attach('before insert on pg_temp.notes for each row execute function sealcast.idempotent_insert(author)')$$, '39P01', null, 'idempotent_insert() with one argument is an error');

-- Each key is inserted once.
create table orders(author uuid, txn text, n int);
create trigger once before insert on orders for each row execute function sealcast.idempotent_insert('author', 'txn');
prepare place(text, int) as
  insert into orders values ('22222222-2222-2222-2222-222222222222', $1, $2) returning n;
select results_eq($$execute place('x', 1)$$, array[1], 'a new key is inserted');
select is_empty($$execute place('x', 2)$$, 'a repeat inserts nothing');
select results_eq($$execute place('y', 3)$$, array[3], 'another txn of the same sender is inserted');
select results_eq($$insert into orders select gen_random_uuid(), 'x', 4 returning n$$, array[4], 'the same txn of another sender is inserted');
insert into orders select '22222222-2222-2222-2222-222222222222', 'z', i from generate_series(5, 7) i;
select results_eq('select n from orders order by n', array[1, 3, 4, 5], 'of three rows with the same key in a statement, one is inserted');
select throws_ok($$execute place(null, 8)$$, '23502', 'column "txn" of table "orders" is null, but sealcast.idempotent_insert() needs it', 'a null txn is refused');

-- The key of an insert that was rolled back is free.
savepoint before_failure;
insert into orders values ('22222222-2222-2222-2222-222222222222', 'w', 9);
rollback to before_failure;
select results_eq($$execute place('w', 10)$$, array[10], 'a key is free after its insert was rolled back');

-- All partitions of a table share its keys.
create table parts(at int, author text, txn text) partition by range (at);
create table parts_1 partition of parts for values from (0) to (10);
create table parts_2 partition of parts for values from (10) to (20);
create trigger once before insert on parts for each row execute function sealcast.idempotent_insert('author', 'txn');
insert into parts values (1, 'u', 'x'), (11, 'u', 'x'), (12, 'u', 'y');
select results_eq('select at from parts order by at', array[1, 12], 'a key is inserted once over all partitions');

-- The user of the trigger needs no right on the keys.
create role sealcast_test_owner;
create table theirs(author text, txn text);
create trigger once before insert on theirs for each row execute function sealcast.idempotent_insert('author', 'txn');
grant insert on theirs to sealcast_test_owner;
set local role sealcast_test_owner;
insert into theirs values ('u', 'x'), ('u', 'x');
reset role;
select is(count(*), 1::bigint, 'a role without rights on the keys can use the trigger') from theirs;

-- A row that moves to another partition keeps its place in the table, its key and its envelope.
create table moving(status text, author text, txn text, body json) partition by list (status);
create table moving_new partition of moving for values in ('new');
create table moving_done partition of moving for values in ('done');
create trigger a_once before insert on moving for each row execute function sealcast.idempotent_insert('author', 'txn');
create trigger b_seal before insert on moving for each row execute function sealcast.seal_row('body', 'note', 'author', 'author', 'txn');
insert into moving select 'new', 'u', i::text, '{}' from generate_series(1, 5) i;
create temp table sealed_before as select txn, body::text from moving;
update moving set status = 'done' where txn in ('1', '2');
select is((select array_agg(txn order by txn) from moving_done), '{1,2}', 'an update moves rows to another partition');
merge into moving m using (values ('3')) v(txn) on m.txn = v.txn when matched then update set status = 'done';
select is((select count(*) from moving_done), 3::bigint, 'MERGE moves a row to another partition');
with gone as (delete from moving where txn = '4' returning *) insert into moving select 'done', author, txn, body from gone;
select is((select count(*) from moving_done), 4::bigint, 'DELETE with INSERT in one statement moves a row to another partition');
select set_eq('select txn, body::text from moving', 'select * from sealed_before', 'moved rows are sealed once');
insert into moving select 'new', 'u', i::text, '{}' from generate_series(1, 5) i;
select is((select count(*) from moving), 5::bigint, 'a repeat of a row that moved to another partition inserts nothing');
select throws_ok($$update moving set status = 'new', txn = '9' where txn = '2'$$, '22023', null, 'a row that moves with another txn keeps no envelope of the old one');

create table moved(status text, author text, txn text) partition by list (status);
create table moved_new partition of moved for values in ('new');
create table moved_done partition of moved for values in ('done');
create trigger once before insert on moved for each row execute function sealcast.idempotent_insert('author', 'txn');
insert into moved values ('new', 'u', '1'), ('new', 'u', '2');
select throws_ok($$update moved set status = 'done', txn = '1' where txn = '2'$$, '23505', null, 'a row that moves to a used key is refused, not lost');
update moved set status = 'done', txn = '3' where txn = '2';
insert into moved values ('new', 'u', '2'), ('new', 'u', '3');
select is((select array_agg(txn order by txn) from moved), '{1,3}', 'a row that moves to a new key uses its old key and its new key');
update moved set txn = '4' where txn = '1';
insert into moved values ('new', 'u', '4');
select is((select array_agg(txn order by txn) from moved), '{3,4}', 'an update of the key uses the new key');
delete from moved where txn = '4';
insert into moved values ('new', 'u', '4');
select is((select array_agg(txn order by txn) from moved), '{3}', 'the key of a deleted row stays used');

-- A partition without the trigger, or with disabled internal triggers, does not report which rows leave it. A repeat before
-- the change must not decide what follows it.
create table lone(k int, author text, txn text) partition by list (k);
create table lone_1 partition of lone for values in (1);
create table lone_2 partition of lone for values in (2);
create trigger once before insert on lone_2 for each row execute function sealcast.idempotent_insert('author', 'txn');
insert into lone values (2, 'u', '1');
update lone set k = 1;
select throws_ok('update lone set k = 2', '23505', null, 'a row that returns to the only partition with the trigger is refused, not lost');
select is((select array_agg(k) from lone), '{1}', 'the row is where it was');
create table unheard(k int, author text, txn text) partition by list (k);
create table unheard_1 partition of unheard for values in (1);
create table unheard_2 partition of unheard for values in (2);
create trigger once before insert on unheard for each row execute function sealcast.idempotent_insert('author', 'txn');
insert into unheard values (1, 'u', '1'), (1, 'u', '1');
alter table unheard_1 disable trigger all;
select throws_ok('update unheard set k = 2', '23505', null, 'a row that leaves a partition whose triggers are disabled is refused, not lost');

-- A key is spent only with its row.
create table spent(id int primary key, author text, txn text);
create trigger a_once before insert on spent for each row execute function sealcast.idempotent_insert('author', 'txn');
insert into spent values (1, 'u', 'first');
insert into spent values (1, 'u', 'x') on conflict do nothing;
insert into spent values (2, 'u', 'x');
select is((select count(*) from spent where txn = 'x'), 1::bigint, 'ON CONFLICT DO NOTHING that inserts no row leaves the key free');
create function pg_temp.drop_row() returns trigger language plpgsql as 'begin return case when new.id > 100 then null else new end; end';
create trigger z_drop before insert on spent for each row execute function pg_temp.drop_row();
insert into spent select 100 + i, 'u', 'y' || i from generate_series(0, 3) i;
insert into spent select i, 'u', 'y' || i from generate_series(10, 11) i;
insert into spent select 10 + i, 'u', 'y' || (i - 2) from generate_series(2, 5) i;
select is((select array_agg(txn order by txn) from spent where txn like 'y_'), '{y0,y1,y2,y3}', 'a later trigger that drops the row leaves the key free');
select is((select count(*) from spent where txn like 'y%'), 6::bigint, 'each row with a new key is inserted once after a trigger dropped others');
savepoint s;
insert into spent values (101, 'u', 'back');
savepoint t;
insert into spent values (20, 'u', 'back');
rollback to t;
insert into spent values (21, 'u', 'back');
insert into spent values (22, 'u', 'back');
select is((select array_agg(id) from spent where txn = 'back'), '{21}', 'a returned key that a rolled back row had taken is free again');
insert into spent values (1, 'u', 'z') on conflict (id) do update set txn = excluded.txn;
insert into spent values (23, 'u', 'z');
select is((select array_agg(id) from spent where txn = 'z'), '{1}', 'ON CONFLICT DO UPDATE spends the key that it stores');

-- Keys are values.
create function pg_temp.keyed(type text, first text, setting_1 text, second text, setting_2 text) returns bigint language plpgsql as $$
declare
  n bigint;
begin
  execute format('create table keyed (author %s, txn text)', type);
  create trigger once before insert on keyed for each row execute function sealcast.idempotent_insert('author', 'txn');
  execute setting_1;
  execute format('insert into keyed values (%L, 1)', first);
  execute setting_2;
  execute format('insert into keyed values (%L, 1)', second);
  select count(*) into n from keyed;
  drop table keyed;
  return n;
end $$;
create type pg_temp.pair as (a numeric, b timestamptz);
create domain pg_temp.money_text as numeric;
create type pg_temp.mood as enum ('good', 'bad');
select is(pg_temp.keyed(type, a, 'set local ' || s, b, 'set local ' || r), n::bigint, format('as %s, %s under %s and %s under %s are %s', type, a, s, b, r, case n when 1 then 'one key' else 'two keys' end))
from (values ('bytea', '\x00ff', 'bytea_output = hex', '\x00ff', 'bytea_output = escape', 1),
  ('timestamptz', '2026-01-01 12:00+00', 'timezone = UTC', '2026-01-01 14:00+02', 'timezone = "Asia/Tokyo"', 1),
  ('date', '2026-04-03', 'datestyle = "SQL, DMY"', '2026-03-04', 'datestyle = "SQL, MDY"', 2),
  ('date', '2026-04-03', 'datestyle = "SQL, DMY"', '2026-04-03', 'datestyle = ISO', 1),
  ('float8', '0.1', 'extra_float_digits = -15', '0.10000001', 'extra_float_digits = -15', 2),
  ('float8', '0.3', 'extra_float_digits = 1', '0.3', 'extra_float_digits = -15', 1),
  ('float8', '0', 'extra_float_digits = 1', '-0', 'extra_float_digits = 1', 1),
  ('numeric', '1.0', 'timezone = UTC', '1.00', 'timezone = UTC', 1),
  ('pg_temp.money_text', '1.0', 'timezone = UTC', '1.00', 'timezone = UTC', 1),
  ('numeric[]', '{1.0,NULL}', 'timezone = UTC', '{1.00,NULL}', 'timezone = UTC', 1),
  ('text[]', '{a,b}', 'timezone = UTC', '{ab,""}', 'timezone = UTC', 2),
  ('numrange', '[1.0,2)', 'timezone = UTC', '[1.00,2.0)', 'timezone = UTC', 1),
  ('nummultirange', '{[1.0,2)}', 'timezone = UTC', '{[1.00,2.0)}', 'timezone = UTC', 1),
  ('tstzrange', '[2026-01-01 12:00+00,)', 'timezone = UTC', '[2026-01-01 14:00+02,)', 'timezone = "Asia/Tokyo"', 1),
  ('pg_temp.pair', '(1.0,"2026-01-01 12:00+00")', 'timezone = UTC', '(1.00,"2026-01-01 14:00+02")', 'timezone = "Asia/Tokyo"', 1),
  ('pg_temp.mood', 'good', 'timezone = UTC', 'bad', 'timezone = UTC', 2),
  ('interval', '1 month', 'intervalstyle = postgres', '30 days', 'intervalstyle = iso_8601', 1),
  ('interval', '1 month', 'intervalstyle = postgres', '31 days', 'intervalstyle = iso_8601', 2),
  ('char(5)', 'a', 'timezone = UTC', 'a  ', 'timezone = UTC', 1),
  ('money', '1', 'lc_monetary = "C"', '1', 'lc_monetary = "C"', 1),
  ('regclass', 'pg_catalog.pg_class', 'search_path = public', 'pg_catalog.pg_class', 'search_path = public, pg_catalog', 1),
  ('jsonb', '{"a":1.0,"b":[2]}', 'timezone = UTC', '{"b":[2.0],"a":1}', 'timezone = UTC', 1),
  ('jsonb', '[1]', 'timezone = UTC', '1', 'timezone = UTC', 2),
  ('inet', '10.0.0.1', 'timezone = UTC', '10.0.0.1/32', 'timezone = UTC', 1),
  ('uuid', 'A0000000-0000-0000-0000-000000000001', 'timezone = UTC', 'a0000000-0000-0000-0000-000000000001', 'timezone = UTC', 1)
) v(type, a, s, b, r, n);
set local search_path = public, pg_catalog; reset timezone; reset datestyle;

-- Wrong triggers are refused when they are created, and when the table changes.
create collation pg_temp.loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
create table refused(author text, txn text, loose text collate pg_temp.loose, place point, doc json);
select throws_ok(format('create trigger once before insert on refused for each row execute function sealcast.idempotent_insert(%L, ''txn'')', c), state, null, 'the column ' || c || ' may not be a key')
from (values ('nobody', '42703'), ('loose', '42804'), ('place', '42804'), ('doc', '42804')) v(c, state);
create trigger once before insert on refused for each row execute function sealcast.idempotent_insert('author', 'txn');
select throws_ok('alter table refused rename author to writer', '42703', null, 'a key column is not renamed under the trigger');
select throws_ok('alter table refused alter author type point using null', '42804', null, 'a key column does not get a type that cannot be a key');
select throws_ok($$create trigger twice before insert on refused for each row execute function sealcast.idempotent_insert('txn', 'author')$$, '42710', null, 'a table has one set of key columns');
insert into refused values ('1', '1');
alter table refused alter author type numeric using author::numeric;
insert into refused values (1.0, '1');
select is((select count(*) from refused), 1::bigint, 'after a change of the type the keys are learned again');

-- TRUNCATE frees the keys; the rows that are there when the trigger is created have their keys.
truncate refused;
insert into refused values (1, '1'), (1, '1');
select is((select count(*) from refused), 1::bigint, 'the keys of a truncated table are free');
truncate moved_done;
insert into moved values ('done', 'u', '3'), ('done', 'u', '2');
select is((select array_agg(txn) from moved), '{3}', 'the keys of a truncated partition are free, the keys of deleted rows are not');
create table learned(author text, txn text);
insert into learned values ('u', '1'), ('u', null);
create trigger once before insert on learned for each row execute function sealcast.idempotent_insert('author', 'txn');
insert into learned values ('u', '1'), ('u', '2');
select is((select count(*) from learned), 3::bigint, 'the keys of older rows are learned');
drop trigger once on learned;
select is((select count(*) from pg_trigger where tgrelid = 'learned'::regclass), 0::bigint, 'the internal triggers go with the trigger');

-- A table that becomes a partition brings its keys; a partition that leaves keeps those of its rows.
create table newcomer(status text, author text, txn text);
create trigger own before insert on newcomer for each row execute function sealcast.idempotent_insert('author', 'txn');
insert into newcomer values ('more', 'u', 'n1'), ('more', 'u', 'n2');
delete from newcomer where txn = 'n1';
alter table moved attach partition newcomer for values in ('more');
insert into moved values ('new', 'u', 'n1'), ('new', 'u', 'n2'), ('more', 'u', 'n3');
select is((select array_agg(txn order by txn) from moved where author = 'u' and txn like 'n%'), '{n2,n3}', 'keys of an attached table count for the whole table');
alter table moved detach partition newcomer;
insert into newcomer values ('more', 'u', 'n2'), ('more', 'u', 'n4');
select is((select array_agg(txn order by txn) from newcomer), '{n2,n3,n4}', 'a detached table keeps the keys of its rows');

-- A foreign partition is neither read when the trigger is created nor when the database is dumped.
create foreign data wrapper tap_wrapper;
create server tap_server foreign data wrapper tap_wrapper;
create table far(k int, author text, txn text) partition by list (k);
create foreign table far_1 partition of far for values in (1) server tap_server;
create table far_2 partition of far for values in (2);
create trigger once before insert on far for each row execute function sealcast.idempotent_insert('author', 'txn');
insert into far values (2, 'u', '1'), (2, 'u', '2');
delete from far_2 where txn = '1';
select is((select array_agg(key) from sealcast_internal.keys_without_row() where table_id = 'far'::regclass), array[sealcast_internal.row_key('u'::text, '1'::text)], 'a dump has the keys without rows');

-- Postgres empties these tables without a trigger: a temporary one at the end of a transaction, an unlogged one after a crash.
create unlogged table unlogged(author text, txn text);
create temp table temporary(author text, txn text) on commit delete rows;
create table logged(author text, txn text);
create trigger once before insert on logged for each row execute function sealcast.idempotent_insert('author', 'txn');
select throws_like(format('create trigger once before insert on %s for each row execute function sealcast.idempotent_insert(''author'', ''txn'')', name), '%is temporary or unlogged%', name || ' table: refused')
  from unnest('{unlogged,temporary}'::text[]) name;
select throws_like('alter table logged set unlogged', '%is temporary or unlogged%', 'a table with the trigger stays logged');
alter table unlogged set logged;
select lives_ok($$create trigger once before insert on unlogged for each row execute function sealcast.idempotent_insert('author', 'txn')$$, 'an unlogged table can become logged');

-- In the replica role, rows come with their keys.
create table replica(author text, txn text);
create trigger once before insert on replica for each row execute function sealcast.idempotent_insert('author', 'txn');
set local session_replication_role = replica;
insert into replica values ('u', '1');
set local session_replication_role = origin;
alter table replica disable trigger all;
insert into replica values ('u', '2');
alter table replica enable trigger all;
insert into replica values ('u', '1'), ('u', '2'), ('u', '3');
select is((select count(*) from replica), 3::bigint, 'keys are recorded in the replica role and learned after DISABLE TRIGGER ALL');

-- Seals: a sealed row stays as it is, and is no message.
create table seals(author text, txn text, body json);
create trigger seal before insert on seals for each row execute function sealcast.seal_row('body', 'note', 'author', 'author', 'txn');
insert into seals values ('u', '1', '{"a":1}');
insert into seals select * from seals;
select is((select count(distinct body::text) from seals), 1::bigint, 'a sealed row is not sealed again');
select throws_ok($$insert into seals select author, '2', body from seals limit 1$$, '22023', null, 'the envelope of another row is refused');
select throws_ok($$insert into seals select author, txn, replace(body::text, '"kid":"', '"kid":"gone')::json from seals limit 1$$, '22023', null, 'an envelope without its key is refused');
select throws_ok($$insert into seals select author, txn, replace(body::text, '"a":1', '"a":2')::json from seals limit 1$$, '22023', null, 'an envelope with a changed payload is refused');
insert into seals values ('11111111-1111-1111-1111-111111111111', '11111111-1111-1111-1111-111111111112', '{}');
select is((select problem from seals, sealcast_internal.open_envelope(body::text, 1) where author like '1%'), 'signed, but not a message', 'an envelope of a row is no message');

select * from finish();
rollback;
