-- seal_row() and idempotent_insert() on tables that are not the extension's.
create extension if not exists pgtap;
begin;
select plan(26);

create table pg_temp.notes(room uuid, author text, txn text, kind text, body json, sealed jsonb);
create trigger sealing before insert on pg_temp.notes
  for each row execute function sealcast.seal_row('body', 'note', 'room', 'author', 'txn');
prepare note(text, text, json) as
  insert into pg_temp.notes(room, author, txn, body) values ('11111111-1111-1111-1111-111111111111', $1, $2, $3);
select lives_ok($$execute note('u', 'x', '{"b": 1, "a": [1.0]}')$$);
select ok(sealcast.verify(body, '1 minute')) from pg_temp.notes;
select is(body ->> 't', 'note') from pg_temp.notes;
select is(body ->> 'stream_id', '11111111-1111-1111-1111-111111111111') from pg_temp.notes;
select is((body -> 'd')::text, '{"a":[1],"b":1}', 'the payload in canonical form') from pg_temp.notes;

select throws_ok($$execute note('u', 'x', '{"a":1,"a":2}')$$, '22P02');
select throws_ok($$execute note('u|v', 'x', '{}')$$, '22023');
select throws_ok($$execute note('u', null, '{}')$$, '23502', 'column "txn" of table "notes" is null, but sealcast.seal_row() needs it');
select throws_ok($$execute note('u', 'x', null)$$, '23502', 'column "body" of table "notes" is null, but sealcast.seal_row() needs it');

-- From one column into another, the type from a third.
create or replace trigger sealing before insert on pg_temp.notes
  for each row execute function sealcast.seal_row('sealed', ':kind', 'room', 'author', 'txn', 'body');
truncate pg_temp.notes;
insert into pg_temp.notes values ('11111111-1111-1111-1111-111111111111', 'u', 'x', 'gift', '{"b": 1}');
select ok(sealcast.verify(sealed)) from pg_temp.notes;
select is(sealed ->> 't', 'gift') from pg_temp.notes;
select is(body::text, '{"b": 1}', 'the payload stays as it was') from pg_temp.notes;

-- Triggers that were attached wrongly say so.
create function pg_temp.attach(clause text) returns void language plpgsql as $$
begin
  execute 'create or replace trigger sealing ' || clause;
  insert into pg_temp.notes values ('11111111-1111-1111-1111-111111111111', 'u', 'x', 'gift', '{}');
end $$;
prepare attach(text) as select pg_temp.attach($1);
select throws_ok($$execute attach('before insert on pg_temp.notes for each row execute function sealcast.seal_row()')$$, '39P01');
select throws_ok($$execute attach('after insert on pg_temp.notes for each row execute function sealcast.seal_row(body, note, room, author, txn)')$$, '39P01');
select throws_ok($$execute attach('before insert on pg_temp.notes for each row execute function sealcast.seal_row(nobody, note, room, author, txn)')$$,
                 '42703', 'table "notes" has no column "nobody", which trigger "sealing" names');
select throws_ok($$execute attach('before insert on pg_temp.notes for each row execute function sealcast.seal_row(author, note, room, author, txn)')$$,
                 '42804', 'column "author" of table "notes" is of type text, not json or jsonb');
select throws_ok($$execute attach('before insert on pg_temp.notes for each row execute function sealcast.idempotent_insert(author)')$$, '39P01');

-- Inserting once.
create table orders(author uuid, txn text, n int);
create trigger once before insert on orders for each row execute function sealcast.idempotent_insert('author', 'txn');
prepare place(text, int) as
  insert into orders values ('22222222-2222-2222-2222-222222222222', $1, $2) returning n;
select results_eq($$execute place('x', 1)$$, array[1]);
select is_empty($$execute place('x', 2)$$, 'a repeat inserts nothing');
select results_eq($$execute place('y', 3)$$, array[3]);
select results_eq($$insert into orders select gen_random_uuid(), 'x', 4 returning n$$, array[4], 'another sender');
insert into orders select '22222222-2222-2222-2222-222222222222', 'z', i from generate_series(5, 7) i;
select results_eq('select n from orders order by n', array[1, 3, 4, 5], 'one of three in one statement');
select throws_ok($$execute place(null, 8)$$, '23502', 'column "txn" of table "orders" is null, but sealcast.idempotent_insert() needs it');

-- A key goes with the insert that failed.
savepoint before_failure;
insert into orders values ('22222222-2222-2222-2222-222222222222', 'w', 9);
rollback to before_failure;
select results_eq($$execute place('w', 10)$$, array[10]);

-- Partitions share their table's keys.
create table parts(at int, author text, txn text) partition by range (at);
create table parts_1 partition of parts for values from (0) to (10);
create table parts_2 partition of parts for values from (10) to (20);
create trigger once before insert on parts for each row execute function sealcast.idempotent_insert('author', 'txn');
insert into parts values (1, 'u', 'x'), (11, 'u', 'x'), (12, 'u', 'y');
select results_eq('select at from parts order by at', array[1, 12]);

-- Whoever may use the trigger needs no right on the keys.
create role sealcast_test_owner;
create table pg_temp.theirs(author text, txn text);
create trigger once before insert on pg_temp.theirs for each row execute function sealcast.idempotent_insert('author', 'txn');
grant insert on pg_temp.theirs to sealcast_test_owner;
set local role sealcast_test_owner;
insert into pg_temp.theirs values ('u', 'x'), ('u', 'x');
reset role;
select is(count(*), 1::bigint) from pg_temp.theirs;

select * from finish();
rollback;
