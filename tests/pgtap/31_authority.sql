-- Walks the table of authority: every pair of roles, restricted or not, including oneself, for every act, over SQL and
-- through call_as(). What is expected is written here by hand, one picture per act, and not taken from authority().
begin;
\ir scene.psql
select plan(72);
insert into sealcast.message_types (t, required_roles) values ('badge', '{owner,moderator,staff}');
insert into sealcast.message_types (t, role_rates) values ('quick', '{"fast": 100}');

-- One caller (id c…) and one target (id d…) per role and restriction.
create function pg_temp.id(letter text, r integer, s integer) returns uuid language sql immutable as $$
  select format('%s0000000-0000-4000-8000-0000000000%s%s', letter, r, s)::uuid $$;
create temp table roles (r integer, role text);
insert into roles values (0, null), (1, 'vip'), (2, 'moderator'), (3, 'owner');
create temp table states (s integer, state text, kind text, everywhere boolean, until timestamptz);
insert into states values (0, 'free', null, null, null), (1, 'muted', 'mute', false, null), (2, 'banned', 'ban', false, null),
  (3, 'muted everywhere', 'mute', true, null),
  (4, 'banned everywhere', 'ban', true, null), (5, 'free again', 'ban', true, now() - interval '1 s'),
  (6, 'banned for an hour', 'ban', false, now() + interval '1 h');
create temp table people as
  select pg_temp.id(letter, r, s) as id, letter, role, r, s, state, kind, everywhere, until from unnest('{c,d}'::text[]) letter, roles, states;
insert into sealcast.stream_roles (stream_id, user_id, role)
  select stream_id, id, role from people, unnest(array[:room, :cave]::uuid[]) stream_id where role is not null;
insert into sealcast.restrictions (user_id, stream_id, kind, until, issuer_rank)
  select id, case when not everywhere then stream_id end, kind, until, 'moderator'
  from people, unnest(array[:room, :cave]::uuid[]) stream_id where kind is not null and (not everywhere or stream_id = :cave);

-- Runs the statement for the caller, undoes it, and returns its result ('ok' when it is empty) or the code of the refusal.
create function pg_temp.tried(as_role text, sub uuid, statement text) returns text language plpgsql as $$
declare
  state text;
  detail text;
  answer text;
begin
  perform set_config('request.jwt.claims', case when sub is null then '' else json_build_object('sub', sub)::text end, true);
  perform set_config('role', as_role, true);
  execute statement into answer;
  raise exception using errcode = 'TDONE', message = 'undone';
exception when others then
  get stacked diagnostics state = returned_sqlstate, detail = pg_exception_detail;
  return case when state = 'TDONE' then coalesce(nullif(answer, ''), 'ok') when state like 'PT%' then split_part(detail, ':', 1) else state end;
end $$;

-- The acts on another user. `picture`: the callers' roles (none, member, moderator, owner) from left to right, and in each
-- group of four whether the target may be none, member, moderator, owner.
create temp table acts (act text, picture text, sql text, call text, arguments text);
insert into acts values
  ('mute',            '---- ---- ++-- ++++', 'sealcast.mute(%1$L, %2$L)',                    'mute',     '{}'),
  ('ban',             '---- ---- ++-- ++++', 'sealcast.ban(%1$L, %2$L, null, ''x'', ''y'')', 'ban',      '{"reason":"x","note":"y"}'),
  ('unmute',          '---- ---- ++-- ++++', 'sealcast.unmute(%1$L, %2$L)',                  'unmute',   '{}'),
  ('unban',           '---- ---- ++-- ++++', 'sealcast.unban(%1$L, %2$L)',                   'unban',    '{}'),
  ('grant vip',       '---- ---- ++-- ++++', 'sealcast.set_role(%1$L, %2$L, ''vip'')',       'set_role', '{"role":"vip"}'),
  ('take the role',   '---- ---- ++-- ++++', 'sealcast.set_role(%1$L, %2$L, null)',          'set_role', '{"role":null}'),
  ('grant staff',     '---- ---- ---- ++++', 'sealcast.set_role(%1$L, %2$L, ''staff'')',     'set_role', '{"role":"staff"}'),
  ('grant fast',      '---- ---- ---- ++++', 'sealcast.set_role(%1$L, %2$L, ''fast'')',      'set_role', '{"role":"fast"}'),
  ('grant moderator', '---- ---- ---- ++++', 'sealcast.set_role(%1$L, %2$L, ''moderator'')', 'set_role', '{"role":"moderator"}'),
  ('grant owner',     '---- ---- ---- ++++', 'sealcast.set_role(%1$L, %2$L, ''owner'')',     'set_role', '{"role":"owner"}'),
  ('set the payee',   '---- ---- ---- ++++', 'sealcast.set_payee(%1$L, %2$L)',               null,       null),
  -- The reported message of a target has the offset 1rs, and that of a caller 2rs.
  -- The message of a target that waits has the held_id 1rs, and that of a caller 2rs.
  ('deny a message', '---- ---- ++-- ++++', 'sealcast.deny_message((''f0000000-0000-4000-8000-'' || lpad((case left(%2$L, 1) when ''c'' then 200 when ''d'' then 100 else 300 end + right(%2$L, 2)::bigint)::text, 12, ''0''))::uuid)', null, null),
  ('close reports',   '---- ---- ++-- ++++', 'sealcast.resolve_report(%1$L, case left(%2$L, 1) when ''c'' then 200 when ''d'' then 100 else 300 end + right(%2$L, 2)::bigint, ''acted'')', null, null);
insert into sealcast.held_messages (held_id, stream_id, sender_id, txn_id, t, d, sent_hash, held_by, held_at, expires_at)
  select ('f0000000-0000-4000-8000-' || lpad((case letter when 'c' then 200 else 100 end + right(id::text, 2)::bigint)::text, 12, '0'))::uuid, :cave::uuid, id, gen_random_uuid(), 'chat', '{}', ''::bytea, 'rule', now(), now() + interval '1 hour' from people
  union all select 'f0000000-0000-4000-8000-000000000304', :cave::uuid, :guest::uuid, gen_random_uuid(), 'chat', '{}', ''::bytea, 'rule', now(), now() + interval '1 hour';
insert into sealcast.report_cases (stream_id, "offset", sender_id, envelope)
  select :cave::uuid, case letter when 'c' then 200 else 100 end + right(id::text, 2)::bigint, id, '{}' from people
  union all select :cave, 304, :guest, '{}';
create temp table outcomes as
  select a.act, path, c.role as caller_role, c.state as caller_state, t.role as target_role, t.state as target_state, t.id = c.id as oneself,
    case when c.id = t.id or substr(replace(a.picture, ' ', ''), 4 * c.r + t.r + 1, 1) = '-' then 'role_required'
         when c.state like 'banned%' then 'user_banned' else 'ok' end as expected,
    regexp_replace(pg_temp.tried(case path when 'sql' then 'sealcast_user' else 'none' end, case path when 'sql' then c.id end,
      'select ' || case path when 'sql' then format(a.sql, :cave, t.id)
        else format('sealcast_internal.call_as(%L, %L, %L)', c.id, a.call,
                    jsonb_build_object('stream_id', :cave, 'user_id', t.id) || a.arguments::jsonb) end), '^(true|false)$', 'ok') as outcome
  from acts a, people c, people t, unnest('{sql,call}'::text[]) path
  where c.letter = 'c' and (t.letter = 'd' and t.s in (0, 4) or t.id = c.id) and (path = 'sql' or a.call is not null);
select is((select string_agg(concat_ws(' ', path, coalesce(caller_role, 'none'), caller_state, 'on', coalesce(target_role, 'none'), target_state,
                                       case when oneself then 'oneself' end, 'expected', expected, 'got', outcome), e'\n')
           from outcomes o where o.act = a.act and outcome <> expected), null, format('the act "%s" has the expected outcome for every pair of roles and restrictions', act)) from acts a;
select is(count(*), (28 * 9 * 23)::bigint, 'every act was tried for every pair of a caller and a target') from outcomes;
select is(array(select distinct expected from outcomes order by 1), '{ok,role_required,user_banned}', 'among the expected outcomes are success and both refusals');

-- The acts without a target. `picture`: the callers' roles none, member, moderator, owner.
create temp table alone (act text, picture text, sql text, call text, arguments text);
insert into alone values
  ('migrate',           '---+', 'sealcast.migrate_transport(%1$L, ''sse'') is null', 'migrate_transport', '{"target":"sse"}'),
  ('set rules',         '--++', 'sealcast.set_stream_rules(%1$L, ''{"slow_mode_s":9}'') is null', 'set_stream_rules', '{"rules":{"slow_mode_s":9}}'),
  ('unpin',             '--++', 'sealcast.unpin_message(%1$L) is null', 'unpin_message', '{}'),
  ('set sampling',      '---+', 'sealcast.set_sampling(%1$L, 50)', null, null),
  ('set delivery mode', '---+', 'sealcast.set_delivery_mode(%1$L, ''hot'')', null, null),
  ('read restrictions', '--++', 'count(*) >= 0 from sealcast.restrictions_of(%1$L)', null, null),
  ('read reports',      '--++', 'count(*) >= 0 from sealcast.reported_messages(%1$L)', 'reported_messages', '{}'),
  ('read held messages', '--++', 'count(*) >= 0 from sealcast.held_messages_of(%1$L)', 'held_messages_of', '{}'),
  ('read the log',      '--++', 'count(*) >= 0 from sealcast.moderation_log_of(%1$L)', 'moderation_log_of', '{}'),
  ('read the log everywhere', '----', 'count(*) >= 0 from sealcast.moderation_log_of(null)', 'moderation_log_of', '{"stream_id":null}'),
  ('mute everywhere',   '----', 'sealcast.mute(null, ''d0000000-0000-4000-8000-000000000000'')', 'mute',
   '{"stream_id":null,"user_id":"d0000000-0000-4000-8000-000000000000"}'),
  ('unban everywhere',  '----', 'sealcast.unban(null, ''d0000000-0000-4000-8000-000000000000'')', 'unban',
   '{"stream_id":null,"user_id":"d0000000-0000-4000-8000-000000000000"}'),
  ('block a term',      '--++', 'sealcast.add_blocked_term(%1$L, ''darn'') is null', 'add_blocked_term', '{"term":"darn"}'),
  ('read terms',        '--++', 'count(*) >= 0 from sealcast.blocked_terms_of(%1$L)', 'blocked_terms_of', '{}'),
  ('read hits',         '--++', 'count(*) >= 0 from sealcast.term_hits_of(%1$L)', 'term_hits_of', '{}'),
  ('block everywhere',  '----', 'sealcast.add_blocked_term(null, ''darn'')', 'add_blocked_term', '{"stream_id":null,"term":"darn"}'),
  ('read terms everywhere', '----', 'count(*) >= 0 from sealcast.blocked_terms_of(null)', 'blocked_terms_of', '{"stream_id":null}'),
  ('read everywhere',   '----', 'count(*) >= 0 from sealcast.restrictions_of(null)', null, null);
select is((select string_agg(concat_ws(' ', path, c.role, c.state, 'got', outcome), e'\n')
           from people c, unnest('{sql,call}'::text[]) path, lateral (
             select regexp_replace(pg_temp.tried(case path when 'sql' then 'sealcast_user' else 'none' end, case path when 'sql' then c.id end,
               'select ' || case path when 'sql' then format(a.sql, stream_id)
                 else format('sealcast_internal.call_as(%L, %L, %L)', c.id, a.call, jsonb_build_object('stream_id', stream_id) || a.arguments::jsonb) end),
               '^(true|false|\{.*|\[.*|"[-0-9a-f]{36}")$', 'ok')) x (outcome)
           where c.letter = 'c' and (path = 'sql' or a.call is not null)
             and outcome <> case when substr(a.picture, c.r + 1, 1) = '-' then 'role_required'
                                 when c.state like 'banned%' then 'user_banned' else 'ok' end),
          null, format('the act "%s" in the %s stream has the expected outcome for every role and restriction', act, name))
from alone a, (values (:room::uuid, 'public'), (:cave::uuid, 'private')) v (stream_id, name)
where name = 'private' or act not like '%everywhere';

-- Sending, reading the messages and the vip channel, and seeing the roles of others.
select pg_temp.admit(s, 'chat', :vip, '{}') from unnest(array[:room, :cave]::uuid[]) s \g /dev/null
insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id) select stream_id, 1, 1, ts, ts, message_id from sealcast.messages;
create temp table sight as
  select c.*, stream_id = :cave as private,
    pg_temp.tried('none', null, format('select case status when 200 then ''ok'' else code end from sealcast.admit(array[%L::uuid], ''{chat}'', array[%L::uuid], array[gen_random_uuid()], ''{"{}"}'')', stream_id, c.id)) as admitted,
    pg_temp.tried('sealcast_user', c.id, format('select sealcast.send_message(%L, ''chat'', ''{}'', gen_random_uuid()) is null', stream_id)) as sent,
    pg_temp.tried('sealcast_user', c.id, format('select sealcast.report_message(%L, 1)', stream_id)) as reported,
    pg_temp.tried('sealcast_user', c.id, format('select sealcast.caller_can_read(%L)', stream_id)) as can_read,
    pg_temp.tried('sealcast_user', c.id, format('select count(*) from sealcast.streams where stream_id = %L', stream_id)) as sees,
    (a).readable, (a).vip, (a).ban,
    pg_temp.tried('sealcast_user', c.id, format('select count(*) > 1 from sealcast.stream_roles where stream_id = %L', stream_id)) as sees_roles
  from people c, unnest(array[:room, :cave]::uuid[]) stream_id, lateral sealcast_internal.stream_access(stream_id, c.id) a where c.letter = 'c';
select is((select string_agg(concat_ws(' ', role, state, private, admitted, sent), e'\n') from sight
           where admitted <> case when state like 'muted%' then 'user_muted' when state like 'banned%' then 'user_banned'
                                  when private and role is null then 'role_required' else 'ok' end
             or replace(sent, 'false', 'ok') <> admitted), null, 'admit() and send_message() have the expected outcome for every role and restriction');
select is((select string_agg(concat_ws(' ', role, state, private, reported), e'\n') from sight
           where reported <> case when state like 'banned%' then 'user_banned' when private and role is null then 'role_required' else 'true' end),
          null, 'report_message() has the expected outcome for every role and restriction');
select is((select string_agg(concat_ws(' ', i.role, state, private, admitted), e'\n') from sight i,
           lateral sealcast_internal.standing(case when private then :cave::uuid else :room end, id) s
           where sealcast_internal.allows(case when private then 'send_private' else 'send' end, s.role, s.restriction) <> (admitted = 'ok')),
          null, 'the table of authority allows the acts send and send_private to exactly the users whom admit() admits');
select is((select string_agg(concat_ws(' ', role, state, private, can_read, sees, readable), e'\n')
           from sight, lateral (select not private or role is not null and state not like 'banned%') x (expected)
           where (can_read::boolean, sees::integer::boolean, readable) is distinct from (expected, expected, expected)),
          null, 'reading a stream has the expected outcome for every role and restriction');
select is((select string_agg(concat_ws(' ', role, state, private, vip, ban), e'\n') from sight
           where (vip, ban) is distinct from (role is not null and state not like 'banned%', case when state = 'banned for an hour' then nullif(ban, '') when state like 'banned%' then '' end)
             or state = 'banned for an hour' and ban is null),
          null, 'reading the vip channel has the expected outcome for every role and restriction, and a banned user gets the end of the ban');
select is((select string_agg(concat_ws(' ', role, state, private, sees_roles), e'\n') from sight
           where sees_roles::boolean <> (coalesce(role in ('owner', 'moderator'), false) and state not like 'banned%')), null,
          'owners and moderators who are not banned see the roles of others');

select is(pg_temp.tried('sealcast_user', :owner, format('select sealcast.caller_can_read(%L)', :nowhere)), 'false', 'a stream that does not exist may not be read');

-- sealcast_admin, without claims and with claims of its own.
select is((select string_agg(concat_ws(' ', a.act, t.role, t.state, sub, outcome), e'\n')
           from acts a, people t, (values (null::uuid), ('e0000000-0000-4000-8000-000000000001')) v (sub), lateral (
             select replace(replace(pg_temp.tried('sealcast_admin', sub, 'select ' || format(a.sql, :cave, t.id)), 'true', 'ok'), 'false', 'ok')) x (outcome)
           where t.letter = 'd' and outcome <> 'ok'), null, 'sealcast_admin may do everything');
select is((select string_agg(concat_ws(' ', a.act, outcome), e'\n')
           from acts a, lateral (select pg_temp.tried('sealcast_admin', :guest, 'select ' || format(a.sql, :cave, :guest))) x (outcome)
           where outcome <> 'role_required'), null, 'an admin with a session may not act on the user of that session');

-- Restrictions carry the rank of their issuer.
\set target '''d0000000-0000-4000-8000-000000000000'''
create temp table ranks (n integer, rank text, who text, sub uuid);
insert into ranks values (1, 'moderator', 'sealcast_user', pg_temp.id('c', 2, 0)), (2, 'owner', 'sealcast_user', pg_temp.id('c', 3, 0)),
  (3, 'admin', 'sealcast_admin', null);
-- Bans the target as `first`, runs the statement as `second`, and returns its outcome and what is in force then. Undoes both.
create function pg_temp.after(first ranks, second ranks, statement text) returns text language plpgsql as $$
declare
  outcome text;
begin
  perform pg_temp.try((first).who, (first).sub::text, 'select sealcast.ban(''a0000000-0000-4000-8000-000000000002'', ''d0000000-0000-4000-8000-000000000000'')');
  outcome := pg_temp.outcome((second).who, (second).sub::text, statement);
  raise exception using errcode = 'TDONE', message = outcome || (
    select coalesce(string_agg(format(', %s %s', issuer_rank, coalesce(extract(year from until)::text, 'forever')), '' order by issuer_rank), ', none')
    from sealcast.restrictions where user_id = 'd0000000-0000-4000-8000-000000000000' and lifted_at is null);
exception when sqlstate 'TDONE' then
  return sqlerrm;
end $$;
select is(pg_temp.after(a, b, format('select sealcast.unban(%L, %L)', :cave, :target)),
          case when b.n >= a.n then 'ok, none' else format('PT403 role_required, %s forever', a.rank) end,
          format('a caller of rank %s lifts a ban of rank %s as far as the ranks allow', b.rank, a.rank))
from ranks a, ranks b order by a.n, b.n;
select is(pg_temp.after(a, b, format('select sealcast.ban(%L, %L, ''2999-06-01Z'')', :cave, :target)),
          case when b.n >= a.n then format('ok, %s 2999', b.rank) else format('ok, %s 2999, %s forever', b.rank, a.rank) end,
          format('a caller of rank %s shortens a ban of rank %s as far as the ranks allow', b.rank, a.rank))
from ranks a, ranks b order by a.n, b.n;
select * from finish();
rollback;
