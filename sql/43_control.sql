-- Requests of users other than sending: moderation, and moving the readers of a stream to another transport.
-- Applications call the functions from SQL; the sidecar calls them for its sessions through call_as().

create function sealcast.migrate_transport(stream_id uuid, target text, overlap_ms integer default 5000) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  system_sender constant uuid := '00000000-0000-0000-0000-000000000000';
  sealed sealcast.verdict;
begin
  perform sealcast_internal.authorise_and_lock('control', stream_id);
  if (overlap_ms between 0 and 60000) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', format('invalid overlap_ms: %s', coalesce(overlap_ms::text, 'null')), null,
                            'Use 0 to 60000 milliseconds.');
  elsif target is distinct from 'sse'
        and not exists (select from sealcast.deliveries d where d.transport = migrate_transport.target) then
    perform sealcast_internal.refuse(400, 'invalid_request', 'no sidecar publishes to this transport', left(target, 64),
                            'Use sse, or a transport of the table sealcast.deliveries.');
  end if;
  select * into sealed from sealcast.admit(
    array[stream_id], array['transport_migrate'], array[system_sender], array[gen_random_uuid()],
    array[json_build_object('type', 'migrate', 'target', target, 'overlap_ms', overlap_ms)::text]);
  perform sealcast_internal.require_sealed(sealed);
  return sealed.envelope::json;
end $$;
comment on function sealcast.migrate_transport(uuid, text, integer) is
  'Sends transport_migrate: the readers move to the target and read both transports for overlap_ms. For owners of the stream and sealcast_admin. Returns the sealed envelope';

-- Calls the named function as `caller`, with arguments by name. Returns null when the function returns nothing.
create function sealcast_internal.call_as(caller uuid, function text, arguments json) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  -- A call that waits for somebody's open transaction must not hold up the calls behind it.
  set lock_timeout = '1s' as $$
declare
  parameters constant text[] := case
    when function in ('mute', 'ban') then '{stream_id,user_id,until,reason,note}'
    when function in ('unmute', 'unban') then '{stream_id,user_id}'
    when function = 'set_role' then '{stream_id,user_id,role}'
    when function = 'migrate_transport' then '{stream_id,target,overlap_ms}'
  end;
  a jsonb;
  stray text;
begin
  if parameters is null then
    perform sealcast_internal.refuse(404, 'not_found', 'this function does not exist');
  elsif json_typeof(arguments) <> 'object' then
    perform sealcast_internal.refuse(400, 'invalid_request', 'the arguments are not a JSON object', null, 'Send an object with one member per argument.');
  end if;
  a := arguments::jsonb;
  select key into stray from json_object_keys(arguments) key
  group by key having key <> all (parameters) or count(*) > 1 order by key limit 1;
  if stray is not null then
    perform sealcast_internal.refuse(400, 'invalid_request', format('unknown or duplicate argument of %s', function),
                            left(stray, 64), format('%s takes: %s.', function, array_to_string(parameters, ', ')));
  end if;
  perform set_config('request.jwt.claims', json_build_object('sub', caller, 'role', 'sealcast_user')::text, true);
  case function
    when 'mute', 'ban' then
      perform sealcast_internal.restrict_user(function, (a ->> 'stream_id')::uuid, (a ->> 'user_id')::uuid,
                                     (a ->> 'until')::timestamptz, a ->> 'reason', a ->> 'note');
    when 'unmute', 'unban' then
      return to_json(sealcast_internal.lift_restriction(right(function, -2), (a ->> 'stream_id')::uuid, (a ->> 'user_id')::uuid));
    when 'set_role' then
      perform sealcast.set_role((a ->> 'stream_id')::uuid, (a ->> 'user_id')::uuid, a ->> 'role');
    when 'migrate_transport' then
      return sealcast.migrate_transport((a ->> 'stream_id')::uuid, a ->> 'target',
                                        case when a ? 'overlap_ms' then (a ->> 'overlap_ms')::integer else 5000 end);
  end case;
  return null;
end $$;
comment on function sealcast_internal.call_as(uuid, text, json) is
  'Calls mute, ban, unmute, unban, set_role or migrate_transport for a session that the sidecar has verified. Returns null when the function returns nothing';
