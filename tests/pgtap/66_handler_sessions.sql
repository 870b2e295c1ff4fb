-- Tests that no setting of a handler goes over to later code, and that no code of its owner runs with other rights.
begin;
\ir scene.psql
select plan(18);

create role tap_shop;
grant usage on schema sealcast to tap_shop;
create schema tap_shop authorization tap_shop;
grant usage on schema tap_shop to public;
create table tap_shop.ran (what text, as_role text default current_user);
create table tap_shop.ledger (content text);
alter table tap_shop.ran owner to tap_shop;
alter table tap_shop.ledger owner to tap_shop;
grant insert, select on tap_shop.ran to public;
-- An operator that functions with a changed search_path would call.
create function tap_shop.grab(text, text) returns boolean language plpgsql as $$
begin
  insert into tap_shop.ran (what) values ('operator');
  return $1 operator(pg_catalog.=) $2;
end $$;
create operator tap_shop.= (leftarg = text, rightarg = text, function = tap_shop.grab);
create function tap_shop.check_ledger() returns trigger language plpgsql as $$
begin
  insert into tap_shop.ran (what) values ('trigger');
  perform pg_catalog.set_config('search_path', 'tap_shop, pg_catalog', false);
  if new.content operator(pg_catalog.=) 'defers' then
    set constraints all deferred;
    insert into tap_shop.later values (new.content);
  end if;
  return null;
end $$;
create constraint trigger check_ledger after insert on tap_shop.ledger deferrable initially deferred
  for each row execute function tap_shop.check_ledger();
create table tap_shop.later (content text);
alter table tap_shop.later owner to tap_shop;
create function tap_shop.check_later() returns trigger language plpgsql as $$
begin
  insert into tap_shop.ran (what) values ('later trigger');
  return null;
end $$;
create constraint trigger check_later after insert on tap_shop.later deferrable initially deferred
  for each row execute function tap_shop.check_later();
create function tap_shop.leave(e sealcast.event) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into tap_shop.ledger values (e.d ->> 'content');
  if e.d ->> 'content' = 'fails' then raise exception 'it fails'; end if;
  perform set_config('search_path', 'tap_shop, pg_catalog', false);
  perform set_config('app.customer', 'somebody', false), set_config('app.mode', 'hidden', true);
  perform set_config('statement_timeout', '1234567', false), set_config('row_security', 'off', false);
end $$;
alter function tap_shop.leave owner to tap_shop;
select sealcast.register_handler('leave', null, 'tap_shop.leave(sealcast.event)') \g /dev/null
insert into sealcast_internal.event_leases (group_name, partition, epoch) values ('default', 0, 1);

create function pg_temp.apply(variadic contents text[]) returns text language sql as $$
  with sent as (
    select a.envelope, a.n from unnest(contents) with ordinality c (content, n)
    cross join lateral (select v.envelope, c.n from sealcast.admit(array['a0000000-0000-4000-8000-000000000001'::uuid], array['chat'],
      array[gen_random_uuid()], array[gen_random_uuid()], array[json_build_object('content', c.content)::text]) v) a)
  select string_agg(a.outcome, ' ' order by a.item) from sealcast_internal.apply_events('default', 'leave', 0, 1,
    array(select s.envelope from sent s order by s.n), array(select s.n from sent s order by s.n), array(select s.n || '-0' from sent s order by s.n)) a $$;
create temp table before as select name, setting from pg_settings;

select is(pg_temp.apply('a', 'b'), 'applied applied', 'a handler that changes settings of the session is applied');
select is_empty('select name, setting from pg_settings except select name, setting from before', 'the settings are those of before');
select is(array[current_setting('app.customer', true), current_setting('app.mode', true)], '{"",""}', 'and the handler''s own settings are empty');
select is_empty($$select as_role from tap_shop.ran where what = 'operator'$$, 'the functions that apply events do not use its search_path');
select is(array(select distinct as_role::text from tap_shop.ran where what = 'trigger'), '{tap_shop}', 'its deferred trigger runs with the rights of the handler''s owner');

-- One event fails, so the batch is applied one event at a time.
set constraints all deferred;
select is(pg_temp.apply('c', 'fails', 'd'), 'applied failed applied', 'the events beside a failed one are applied');
select is_empty('select name, setting from pg_settings except select name, setting from before', 'then too, the settings are those of before');
select is_empty($$select as_role from tap_shop.ran where what = 'operator'$$, 'then too, its search_path is not used');
select is(array(select distinct as_role::text from tap_shop.ran where what = 'trigger'), '{tap_shop}', 'then too, its trigger has the rights of the owner');
select is((select count(*) from tap_shop.ran where what = 'trigger'), 4::bigint, 'no trigger waits for the end of the transaction');

set constraints all deferred;
select is(pg_temp.apply('defers', 'e'), 'failed applied', 'an event whose deferred trigger defers another trigger to the commit fails');
select is_empty($$select as_role from tap_shop.ran where what = 'later trigger'$$, 'a trigger that another one would defer to the commit does not run');

-- The owner changes the function while the events of a batch are applied one by one.
create function tap_shop.change(e sealcast.event) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into tap_shop.ran (what) values ('changed');
  if e.d ->> 'content' = 'fails' then raise exception 'it fails'; end if;
  alter function tap_shop.change(sealcast.event) security invoker;
end $$;
alter function tap_shop.change owner to tap_shop;
select sealcast.register_handler('leave', null, 'tap_shop.change(sealcast.event)') \g /dev/null
update sealcast_internal.event_leases set epoch = 1;
select is(pg_temp.apply('fails', 'f', 'g'), 'failed applied applied', 'a handler that makes itself SECURITY INVOKER is applied to the rest of the batch');
select is(array(select distinct as_role::text from tap_shop.ran where what = 'changed'), '{tap_shop}', 'it still runs with the rights of its owner');

-- A name that fits another function better.
create function tap_shop.many(variadic events sealcast.event[]) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin insert into tap_shop.ran (what) values ('many'); end $$;
create function tap_shop.many(anyarray) returns void language plpgsql as $$ begin insert into tap_shop.ran (what) values ('another'); end $$;
alter function tap_shop.many(sealcast.event[]) owner to tap_shop;
alter function tap_shop.many(anyarray) owner to tap_shop;
select sealcast.register_handler('leave', null, 'tap_shop.many(sealcast.event[])') \g /dev/null
update sealcast_internal.event_leases set epoch = 1;
select is(pg_temp.apply('h', 'i'), 'applied applied', 'a variadic handler gets its events');
select results_eq($$select what, as_role::text from tap_shop.ran where what in ('many', 'another')$$, $$values ('many', 'tap_shop')$$, 'the registered function runs, and no other function of this name');

-- The function of the handler is dropped after apply_events() has checked it.
select throws_ok($$select sealcast_internal.call_handler(null, '{}')$$, '55000', 'the function of the handler was dropped while its events were applied', 'without a function, events are not applied');
select throws_ok($$select sealcast_internal.check_deferred(null)$$, '55000', 'the function of the handler was dropped while its events were applied', 'without a function, deferred triggers do not run as another user');
select * from finish();
rollback;
