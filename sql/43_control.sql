-- What a user may ask for beside sending: moderation, and taking a stream's readers to another transport. From SQL these
-- are functions like others; the sidecar calls them for its sessions by call_as().

create function sealcast.require_owner(stream_id uuid) returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast.require_here(stream_id);
  if not sealcast.is_admin()
     and sealcast.role_in(stream_id, sealcast.current_sender()) is distinct from 'owner' then
    perform sealcast.refuse(403, 'role_required', 'only an owner of the stream may do this', 'owner',
                            'Ask an owner of the stream to do it.');
  end if;
end $$;

create function sealcast.migrate_transport(stream_id uuid, target text, overlap_ms integer default 5000) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  system_sender constant uuid := '00000000-0000-0000-0000-000000000000';
  sealed sealcast.verdict;
begin
  perform sealcast.require_owner(stream_id);
  if (overlap_ms between 0 and 60000) is not true then
    perform sealcast.refuse(400, 'invalid_request', format('overlap_ms is %s', coalesce(overlap_ms::text, 'null')), null,
                            'Use 0 to 60000.');
  elsif target is distinct from 'sse'
        and not exists (select from sealcast.deliveries d where d.transport = migrate_transport.target) then
    perform sealcast.refuse(400, 'invalid_request', format('no sidecar publishes to a transport %L', left(target, 64)), null,
                            'Use sse, or one of select distinct transport from sealcast.deliveries.');
  end if;
  select * into sealed from sealcast.admit(
    array[stream_id], array['transport_migrate'], array[system_sender], array[gen_random_uuid()],
    array[json_build_object('type', 'migrate', 'target', target, 'overlap_ms', overlap_ms)::text]);
  if sealed.status <> 200 then
    perform sealcast.refuse(sealed.status, sealed.code, sealed.message, sealed.details, sealed.hint, sealed.retry_after_ms);
  end if;
  return sealed.envelope::json;
end $$;
comment on function sealcast.migrate_transport(uuid, text, integer) is
  'Sends transport_migrate, upon which readers go over to the target, reading both for overlap_ms; for owners of the stream and sealcast_admin. Returns the sealed envelope';

-- The named function as `caller`, with arguments by name. Null: it returns nothing.
create function sealcast.call_as(caller uuid, function text, arguments json) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  parameters constant text[] := case
    when function in ('mute', 'ban') then '{stream_id,user_id,until,reason}'
    when function in ('unmute', 'unban') then '{stream_id,user_id}'
    when function = 'set_role' then '{stream_id,user_id,role}'
    when function = 'migrate_transport' then '{stream_id,target,overlap_ms}'
  end;
  a jsonb;
  stray text;
begin
  if parameters is null then
    perform sealcast.refuse(404, 'not_found', 'there is no such function');
  elsif json_typeof(arguments) <> 'object' then
    perform sealcast.refuse(400, 'invalid_request', 'the arguments are no object', null, 'Send an object of arguments by name.');
  end if;
  a := arguments::jsonb;
  select key into stray from json_object_keys(arguments) key
  group by key having key <> all (parameters) or count(*) > 1 order by key limit 1;
  if stray is not null then
    perform sealcast.refuse(400, 'invalid_request', format('%s is no argument of %s, or stands twice', left(stray, 64), function),
                            null, format('It takes %s.', array_to_string(parameters, ', ')));
  end if;
  perform set_config('request.jwt.claims', json_build_object('sub', caller, 'role', 'sealcast_user')::text, true);
  case function
    when 'mute', 'ban' then
      perform sealcast.restrict_user(function, (a ->> 'stream_id')::uuid, (a ->> 'user_id')::uuid,
                                     (a ->> 'until')::timestamptz, a ->> 'reason');
    when 'unmute', 'unban' then
      return to_json(sealcast.lift_restriction(right(function, -2), (a ->> 'stream_id')::uuid, (a ->> 'user_id')::uuid));
    when 'set_role' then
      perform sealcast.set_role((a ->> 'stream_id')::uuid, (a ->> 'user_id')::uuid, a ->> 'role');
    when 'migrate_transport' then
      return sealcast.migrate_transport((a ->> 'stream_id')::uuid, a ->> 'target',
                                        case when a ? 'overlap_ms' then (a ->> 'overlap_ms')::integer else 5000 end);
  end case;
  return null;
end $$;
comment on function sealcast.call_as(uuid, text, json) is
  'mute, ban, unmute, unban, set_role or migrate_transport for a session that the sidecar has verified; null when the function returns nothing';
