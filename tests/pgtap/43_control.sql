-- Calls for a session that the sidecar has verified, and taking a stream's readers elsewhere.
begin;
\ir scene.psql
select plan(31);

insert into sealcast.deliveries (transport, shard, batch, settled_at, seen_at) values ('mqtt', 0, 0, now(), now());

-- migrate_transport().
create temp table attempts (who text, sub text, arguments text, expected text, why text);
insert into attempts values
  ('sealcast_user', :owner, format('%L, %L', :room, 'mqtt'), 'ok', 'an owner may'),
  ('sealcast_user', :moderator, format('%L, %L', :room, 'mqtt'), 'PT403 role_required', 'a moderator may not'),
  ('sealcast_user', :guest, format('%L, %L', :room, 'mqtt'), 'PT403 role_required', 'nor does a guest'),
  ('sealcast_user', null, format('%L, %L', :room, 'mqtt'), 'PT401 unauthenticated', 'nor nobody'),
  ('sealcast_admin', null, format('%L, %L', :room, 'sse'), 'ok', 'an admin may, and SSE is always there'),
  ('sealcast_admin', null, format('%L, %L, 0', :room, 'sse'), 'ok', 'without overlap'),
  ('sealcast_admin', null, format('%L, %L, 60001', :room, 'sse'), 'PT400 invalid_request', 'but not with one of hours'),
  ('sealcast_admin', null, format('%L, %L, -1', :room, 'sse'), 'PT400 invalid_request', 'nor less than none'),
  ('sealcast_admin', null, format('%L, %L, null', :room, 'sse'), 'PT400 invalid_request', 'nor an unknown one'),
  ('sealcast_admin', null, format('%L, %L', :room, 'pigeon'), 'PT400 invalid_request', 'nobody publishes there'),
  ('sealcast_admin', null, format('%L, null', :room), 'PT400 invalid_request', 'nor nowhere'),
  ('sealcast_admin', null, format('%L, %L', :nowhere, 'sse'), 'PT404 stream_not_found', 'there is no such stream'),
  ('sealcast_admin', null, format('%L, %L', :attic, 'sse'), 'PT403 stream_closed', 'a closed one has no readers to move');
select is(pg_temp.outcome(who, sub, format('select sealcast.migrate_transport(%s)', arguments)), expected, why) from attempts;
select is(sealcast.verify(result::json), true, 'it is sealed') from pg_temp.try(
  'sealcast_admin', null, format('select sealcast.migrate_transport(%L, %L, 300)', :room, 'mqtt'));
select is((select sender_id || ' ' || d from sealcast.messages where t = 'transport_migrate' order by message_id desc limit 1),
          :system || ' {"overlap_ms":300,"target":"mqtt","type":"migrate"}', 'by the system, with what readers need');

-- call_as(), here under a superuser: the caller gets nothing of the session's rights.
create temp table calls (caller uuid, function text, arguments text, expected text, why text);
insert into calls values
  (:owner, 'mute', json_build_object('stream_id', :room, 'user_id', :guest, 'until', '2999-01-01T00:00:00Z', 'reason', 'spam'), 'ok', 'an owner mutes'),
  (:guest, 'unmute', json_build_object('stream_id', :room, 'user_id', :guest), 'PT403 role_required', 'it is the caller''s right that counts'),
  (:owner, 'unmute', json_build_object('stream_id', :room, 'user_id', :guest), 'ok', 'and lifts it'),
  (:moderator, 'ban', json_build_object('stream_id', :room, 'user_id', :guest, 'until', null), 'ok', 'a moderator bans'),
  (:owner, 'set_role', json_build_object('stream_id', :room, 'user_id', :guest, 'role', 'vip'), 'ok', 'an owner gives a role'),
  (:owner, 'migrate_transport', json_build_object('stream_id', :room, 'target', 'sse'), 'ok', 'and moves the readers'),
  (:owner, 'mute', json_build_object('stream_id', 'room', 'user_id', :guest), '22P02', 'what is no UUID is the input''s fault'),
  (:owner, 'mute', json_build_object('stream_id', :room, 'user_id', :guest, 'untill', null), 'PT400 invalid_request', 'a misspelt argument is not overlooked'),
  (:owner, 'mute', format('{"stream_id": %s, "stream_id": %s}', to_json(:room::text), to_json(:cave::text)), 'PT400 invalid_request', 'nor one that stands twice'),
  (:owner, 'mute', '[]', 'PT400 invalid_request', 'arguments have names'),
  (:owner, 'maintain', '{}', 'PT404 not_found', 'no other function is called');
select is(pg_temp.outcome('none', null, format('select sealcast.call_as(%L, %L, %L)', caller, function, arguments)), expected, why) from calls;
select is((select string_agg(concat_ws(' ', kind, user_id, created_by), '; ') from sealcast.restrictions),
          concat_ws(' ', 'ban', :guest, :moderator), 'what was done stands under who asked');
select is((select role from sealcast.stream_roles where stream_id = :room and user_id = :guest), 'vip', 'the role too');
select is(result, 'true', 'what the function answers is passed on') from pg_temp.try(
  'none', null, format('select sealcast.call_as(%L, %L, %L)', :owner, 'unban', json_build_object('stream_id', :room, 'user_id', :guest)));
select is(result, null, 'or nothing') from pg_temp.try(
  'none', null, format('select sealcast.call_as(%L, %L, %L)', :owner, 'mute', json_build_object('stream_id', :room, 'user_id', :guest)));
select set_config('request.jwt.claims', '', true);
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast.call_as(%L, %L, %L)', :owner, 'mute', '{}')), '42501',
          'an application cannot speak for others');
select * from finish();
rollback;
