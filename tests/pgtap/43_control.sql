-- Tests call_as() for sessions that the sidecar has verified, and migrate_transport().
begin;
\ir scene.psql
select plan(36);

insert into sealcast.deliveries (transport, shard, batch, settled_at, seen_at) values ('mqtt', 0, 0, now(), now());

-- migrate_transport()
create temp table attempts (who text, sub text, arguments text, expected text, why text);
insert into attempts values
  ('sealcast_user', :owner, format('%L, %L', :room, 'mqtt'), 'ok', 'an owner may migrate the readers'),
  ('sealcast_user', :moderator, format('%L, %L', :room, 'mqtt'), 'PT403 role_required', 'a moderator may not migrate the readers'),
  ('sealcast_user', :guest, format('%L, %L', :room, 'mqtt'), 'PT403 role_required', 'a guest may not migrate the readers'),
  ('sealcast_user', null, format('%L, %L', :room, 'mqtt'), 'PT401 unauthenticated', 'a caller without a session may not migrate the readers'),
  ('sealcast_admin', null, format('%L, %L', :room, 'sse'), 'ok', 'an admin may migrate the readers to sse without a delivery'),
  ('sealcast_admin', null, format('%L, %L, 0', :room, 'sse'), 'ok', 'an overlap of 0 is accepted'),
  ('sealcast_admin', null, format('%L, %L, 60001', :room, 'sse'), 'PT400 invalid_request', 'an overlap above 60000 ms is refused'),
  ('sealcast_admin', null, format('%L, %L, -1', :room, 'sse'), 'PT400 invalid_request', 'a negative overlap is refused'),
  ('sealcast_admin', null, format('%L, %L, null', :room, 'sse'), 'PT400 invalid_request', 'a null overlap is refused'),
  ('sealcast_admin', null, format('%L, %L, spread_ms => 3600000', :room, 'sse'), 'ok', 'a spread of an hour is accepted'),
  ('sealcast_admin', null, format('%L, %L, spread_ms => 3600001', :room, 'sse'), 'PT400 invalid_request', 'a spread above an hour is refused'),
  ('sealcast_admin', null, format('%L, %L, spread_ms => -1', :room, 'sse'), 'PT400 invalid_request', 'a negative spread is refused'),
  ('sealcast_admin', null, format('%L, %L', :room, 'pigeon'), 'PT400 invalid_request', 'a transport without a sidecar is refused'),
  ('sealcast_admin', null, format('%L, null', :room), 'PT400 invalid_request', 'a null transport is refused'),
  ('sealcast_admin', null, format('%L, %L', :nowhere, 'sse'), 'PT404 stream_not_found', 'a stream that does not exist is refused'),
  ('sealcast_admin', null, format('%L, %L', :attic, 'sse'), 'PT403 stream_closed', 'a closed stream is refused');
select is(pg_temp.outcome(who, sub, format('select sealcast.migrate_transport(%s)', arguments)), expected, why) from attempts;
select is(sealcast.verify(result::json), true, 'migrate_transport() returns a sealed envelope') from pg_temp.try(
  'sealcast_admin', null, format('select sealcast.migrate_transport(%L, %L, 300)', :room, 'mqtt'));
select is((select sender_id || ' ' || d from sealcast.messages where t = 'transport_migrate' order by message_id desc limit 1),
          :system || ' {"overlap_ms":300,"spread_ms":0,"target":"mqtt","type":"migrate"}', 'the message is from the system and has target, overlap and spread');
insert into sealcast.viewer_counts values (:room, 2000, 8000, true, now())
  on conflict (stream_id) do update set webrtc = excluded.webrtc, hls = excluded.hls;
select is(result, '40000', '10,000 viewers move within 40 s: 250 per second') from pg_temp.try(
  'sealcast_admin', null, format('select sealcast.migrate_transport(%L, %L) #>> %L', :room, 'mqtt', '{d,spread_ms}'));

-- call_as() under a superuser: the call must have the rights of the caller, not those of the session.
create temp table calls (caller uuid, function text, arguments text, expected text, why text);
insert into calls values
  (:owner, 'mute', json_build_object('stream_id', :room, 'user_id', :guest, 'until', '2999-01-01T00:00:00Z', 'reason', 'spam'), 'ok', 'an owner may mute'),
  (:guest, 'unmute', json_build_object('stream_id', :room, 'user_id', :guest), 'PT403 role_required', 'the rights of the caller decide, not those of the session'),
  (:owner, 'unmute', json_build_object('stream_id', :room, 'user_id', :guest), 'ok', 'an owner may lift a mute'),
  (:moderator, 'ban', json_build_object('stream_id', :room, 'user_id', :guest, 'until', null), 'ok', 'a moderator may ban'),
  (:owner, 'set_role', json_build_object('stream_id', :room, 'user_id', :guest, 'role', 'vip'), 'ok', 'an owner may grant a role'),
  (:owner, 'migrate_transport', json_build_object('stream_id', :room, 'target', 'sse'), 'ok', 'an owner may migrate the readers'),
  (:owner, 'mute', json_build_object('stream_id', 'room', 'user_id', :guest), '22P02', 'an id that is not a UUID is an error of the input'),
  (:owner, 'mute', json_build_object('stream_id', :room, 'user_id', :guest, 'untill', null), 'PT400 invalid_request', 'an unknown argument is refused'),
  (:owner, 'mute', format('{"stream_id": %s, "stream_id": %s}', to_json(:room::text), to_json(:cave::text)), 'PT400 invalid_request', 'a duplicate argument is refused'),
  (:owner, 'mute', '[]', 'PT400 invalid_request', 'arguments that are not an object are refused'),
  (:owner, 'maintain', '{}', 'PT404 not_found', 'a function that is not in the list is refused');
select is(pg_temp.outcome('none', null, format('select sealcast_internal.call_as(%L, %L, %L)', caller, function, arguments)), expected, why) from calls;
select is((select string_agg(concat_ws(' ', kind, user_id, created_by), '; ') from sealcast.restrictions where lifted_at is null),
          concat_ws(' ', 'ban', :guest, :moderator), 'a restriction names the caller as its creator');
select is((select role from sealcast.stream_roles where stream_id = :room and user_id = :guest), 'vip', 'set_role through call_as() grants the role');
select is(result, 'true', 'call_as() returns the result of the function') from pg_temp.try(
  'none', null, format('select sealcast_internal.call_as(%L, %L, %L)', :owner, 'unban', json_build_object('stream_id', :room, 'user_id', :guest)));
select is(result, '7', 'an owner may choose the spread through call_as()') from pg_temp.try(
  'none', null, format('select sealcast_internal.call_as(%L, %L, %L) #>> %L', :owner, 'migrate_transport', json_build_object('stream_id', :room, 'target', 'sse', 'spread_ms', 7), '{d,spread_ms}'));
select is(result, null, 'call_as() returns null for a function without a result') from pg_temp.try(
  'none', null, format('select sealcast_internal.call_as(%L, %L, %L)', :owner, 'mute', json_build_object('stream_id', :room, 'user_id', :guest)));
select set_config('request.jwt.claims', '', true);
select is(pg_temp.outcome('sealcast_user', :owner, format('select sealcast_internal.call_as(%L, %L, %L)', :owner, 'mute', '{}')), '42501',
          'sealcast_user may not use call_as()');
select * from finish();
rollback;
