-- Tests the claims of the caller: all functions read the same text in the same way, and text that is not valid claims
-- names no user and no admin.
begin;
\ir scene.psql
select plan(28);
create role tap_gateway; grant sealcast_admin, sealcast_user to tap_gateway;

-- What the functions answer to tap_gateway, a member of sealcast_admin. claims: whether claims() returns an object.
create temp table asked (n serial, claims text, admin boolean, caller boolean, has_claims boolean, why text);
insert into asked (claims, admin, caller, has_claims, why) values
  (null,                                                    true,  false, false, 'no claims'),
  ('',                                                      true,  false, false, 'an empty setting, as after SET LOCAL'),
  ('{}',                                                    true,  false, true,  'an empty object'),
  ('{"sub":"$"}',                                           true,  true,  true,  'a sub'),
  ('{"sub":"$","role":"sealcast_admin"}',                   true,  true,  true,  'the role sealcast_admin'),
  ('{"sub":"$","role":"sealcast_user"}',                    false, true,  true,  'the role sealcast_user'),
  ('{"sub":"$","role":"sealcast_us\u0065r"}',               false, true,  true,  'the role sealcast_user with an escape'),
  ('{"sub":"$","role":"sealcast_user","n":1e-200000}',      false, false, false, 'a number that jsonb cannot hold'),
  ('{"sub":"$","n":1e-200000}',                             false, false, false, 'such a number without a role'),
  ('{"sub":"$","n":1e-400}',                                false, false, false, 'a number that a double cannot hold'),
  ('{"sub":"$","n":1e400}',                                 false, false, false, 'a number that is too large'),
  ('{"sub":"$","n":1700000000.123456789}',                  true,  true,  true,  'a number with many digits'),
  ('{"sub":"$","role":"sealcast_user","role":"x"}',         false, false, false, 'two roles'),
  ('{"sub":"$","sub":"b0000000-0000-4000-8000-000000000001"}', false, false, false, 'two subs'),
  ('{"sub":"$","x":"\u0000"}',                              false, false, false, 'U+0000 in a value'),
  ('{"sub":"$","\u0000":1}',                                false, false, false, 'U+0000 in a name'),
  ('{"sub":"$","x":"\\u0000 \\\\u0000"}',                   true,  true,  true,  'text that only looks like U+0000'),
  ('{"sub":"$","role":["sealcast_user"]}',                  false, false, false, 'a role that is no string'),
  ('{"sub":"$","exp":"soon"}',                              false, false, false, 'an end of the session that is no number'),
  ('{"sub":"$","exp":1}',                                   false, true,  true,  'a session that has expired'),
  ('{"sub":"$","exp":32503680000}',                         true,  true,  true,  'a session that has not expired'),
  ('[{"sub":"$"}]',                                         false, false, false, 'an array'),
  ('null',                                                  false, false, false, 'null'),
  ('{"sub":"$"',                                            false, false, false, 'an object that does not end'),
  (' ',                                                     false, false, false, 'a space'),
  (repeat('[', 100000),                                     false, false, false, 'deep nesting');
create function pg_temp.answers(claims text, out admin boolean, out caller boolean, out has_claims boolean) language plpgsql as $$
begin
  perform set_config('request.jwt.claims', replace(claims, '$', 'b0000000-0000-4000-8000-000000000004'), true);
  perform set_config('role', 'tap_gateway', true);
  caller := sealcast.caller_id() is not null;
  has_claims := sealcast.claims() is not null;
  begin
    perform sealcast.unmute(null, 'b0000000-0000-4000-8000-000000000003');
    admin := true;
  exception when sqlstate 'PT403' then
    admin := false;
  end;
  perform set_config('role', 'none', true);
end $$;
select is(row(a.*)::text, row(q.admin, q.caller, q.has_claims)::text,
          format('given %s, a member of sealcast_admin is %s and %s, %s valid claims', q.why, case when q.caller then 'a user' else 'no user' end,
                 case when q.admin then 'an admin' else 'no admin' end, case when q.has_claims then 'with' else 'without' end)) from asked q, lateral pg_temp.answers(q.claims) a order by q.n;
select is((select string_agg(concat(why, ': ', o), ', ') from asked, lateral pg_temp.outcome('sealcast_user', replace(claims, '$', :guest),
                                                   format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid())', :room)) o
           where left(claims, 1) = '{' and o <> case when not caller then 'PT401 unauthenticated' when claims ~ '"exp":1}' then 'PT401 token_expired' else 'ok' end),
          null, 'exactly the callers whose claims are valid and name a user may send');
select is(result, '{"n": 0.001, "sub": "x"}', 'claims() returns the claims')
from pg_temp.try('sealcast_user', '{"sub":"x","n":1e-3}', 'select sealcast.claims()');
select * from finish();
rollback;
