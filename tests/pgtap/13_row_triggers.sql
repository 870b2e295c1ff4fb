-- Tests seal_row() and idempotent_insert() on the user's own tables.
create extension if not exists pgtap;
begin;
select plan(26);

create table pg_temp.notes(room uuid, author text, txn text, kind text, body json, sealed jsonb);
create trigger sealing before insert on pg_temp.notes
  for each row execute function sealcast.seal_row('body', 'note', 'room', 'author', 'txn');
prepare note(text, text, json) as
  insert into pg_temp.notes(room, author, txn, body) values ('11111111-1111-1111-1111-111111111111', $1, $2, $3);
select lives_ok($$execute note('u', 'x', '{"b": 1, "a": [1.0]}')$$, 'seal_row() seals a column in place');
select ok(sealcast.verify(body, '1 minute'), 'the sealed column verifies') from pg_temp.notes;
select is(body ->> 't', 'note', 'the sealed type is the argument of the trigger') from pg_temp.notes;
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
select is(sealed ->> 't', 'gift', 'the type comes from a column') from pg_temp.notes;
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
select results_eq($$execute place('y', 3)$$, array[3], 'another txn is inserted');
select results_eq($$insert into orders select gen_random_uuid(), 'x', 4 returning n$$, array[4], 'the same txn of another sender is inserted');
insert into orders select '22222222-2222-2222-2222-222222222222', 'z', i from generate_series(5, 7) i;
select results_eq('select n from orders order by n', array[1, 3, 4, 5], 'one of three equal keys in a statement is inserted');
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
create table pg_temp.theirs(author text, txn text);
create trigger once before insert on pg_temp.theirs for each row execute function sealcast.idempotent_insert('author', 'txn');
grant insert on pg_temp.theirs to sealcast_test_owner;
set local role sealcast_test_owner;
insert into pg_temp.theirs values ('u', 'x'), ('u', 'x');
reset role;
select is(count(*), 1::bigint, 'a role without rights on the keys can use the trigger') from pg_temp.theirs;

select * from finish();
rollback;
