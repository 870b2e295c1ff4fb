-- Requests of users other than sending: moderation, reports, and moving the readers of a stream to another transport.
-- Applications call the functions from SQL; the sidecar calls them for its sessions through call_as().

-- Refuses a closed stream. admit() cannot: it takes the messages that keep the state of a closed stream true.
create function sealcast_internal.require_open(stream_id uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from sealcast.streams s where s.stream_id = require_open.stream_id and s.closed_at <= clock_timestamp()) then
    perform sealcast_internal.refuse(403, 'stream_closed', 'this stream is closed', null, 'Name an open stream.');
  end if;
end $$;

create function sealcast.migrate_transport(stream_id uuid, target text, overlap_ms integer default 5000,
                                           spread_ms integer default null) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  system_sender constant uuid := '00000000-0000-0000-0000-000000000000';
  -- 2000 readers per second to sse, and otherwise 250: the default of ably.readers_per_second, the lowest of the transports.
  ms_per_reader constant double precision := case target when 'sse' then 0.5 else 4 end;
  longest_spread constant integer := 3600000;
  spread integer := spread_ms;
  sealed sealcast.verdict;
begin
  perform sealcast_internal.authorise_and_lock('control', stream_id);
  perform sealcast_internal.require_open(stream_id);
  if (overlap_ms between 0 and 60000) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', format('invalid overlap_ms: %s', coalesce(overlap_ms::text, 'null')), null,
                            'Use 0 to 60000 milliseconds.');
  elsif spread_ms not between 0 and longest_spread then
    perform sealcast_internal.refuse(400, 'invalid_request', format('invalid spread_ms: %s', spread_ms), null,
                            'Use 0 to 3600000 milliseconds, or null to spread the readers by their number.');
  elsif target is distinct from 'sse'
        and not exists (select from sealcast.deliveries d where d.transport = migrate_transport.target) then
    perform sealcast_internal.refuse(400, 'invalid_request', 'no sidecar publishes to this transport', left(target, 64),
                            'Use sse, or a transport of the table sealcast.deliveries.');
  end if;
  if spread is null then
    select least(ceil(v.viewers * ms_per_reader), longest_spread)::integer into spread from sealcast_internal.viewers_of(stream_id) v;
  end if;
  select * into sealed from sealcast.admit(
    array[stream_id], array['transport_migrate'], array[system_sender], array[gen_random_uuid()],
    array[json_build_object('type', 'migrate', 'target', target, 'overlap_ms', overlap_ms, 'spread_ms', spread)::text]);
  perform sealcast_internal.require_sealed(sealed);
  return sealed.envelope::json;
end $$;
comment on function sealcast.migrate_transport(uuid, text, integer, integer) is
  'Sends transport_migrate: within spread_ms, the readers move to the target, and each reads both transports for overlap_ms. spread_ms null: 250 readers move per second, to sse 2000. For owners of the stream and sealcast_admin. Returns the sealed envelope';

-- Calls the named function as `caller`, with arguments by name. Returns null when the function returns nothing.
create function sealcast_internal.call_as(caller uuid, function text, arguments json) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  -- A call that waits for somebody's open transaction must not hold up the calls behind it.
  set lock_timeout = '1s' as $$
declare
  parameters constant text[] := case
    when function in ('mute', 'ban') then '{stream_id,user_id,until,reason,note,purge}'
    when function = 'redact_message' then '{stream_id,offset,txn_id,sender_id,reason}'
    when function = 'redact_messages' then '{stream_id,user_id,since,reason}'
    when function in ('unmute', 'unban') then '{stream_id,user_id}'
    when function = 'set_role' then '{stream_id,user_id,role}'
    when function = 'add_blocked_term' then '{stream_id,term,kind,whole_word,action}'
    when function = 'remove_blocked_term' then '{term_id}'
    when function = 'blocked_terms_of' then '{stream_id}'
    when function = 'term_hits_of' then '{stream_id,before,limit,before_hit}'
    when function = 'migrate_transport' then '{stream_id,target,overlap_ms,spread_ms}'
    when function = 'set_stream_rules' then '{stream_id,rules}'
    when function = 'pin_message' then '{stream_id,offset,note}'
    when function = 'unpin_message' then '{stream_id}'
    when function = 'report_message' then '{stream_id,offset,reason,category}'
    when function = 'resolve_report' then '{stream_id,offset,outcome,reason}'
    when function = 'approve_message' then '{held_id}'
    when function = 'deny_message' then '{held_id,reason}'
    when function = 'held_messages_of' then '{stream_id,limit,after}'
    when function = 'reported_messages' then '{stream_id,limit,after,resolved}'
    when function = 'moderation_log_of' then '{stream_id,user_id,before,limit}'
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
                                     (a ->> 'until')::timestamptz, a ->> 'reason', a ->> 'note', (a ->> 'purge')::interval);
    when 'redact_message' then
      return to_json(sealcast_internal.redact((a ->> 'stream_id')::uuid, (a ->> 'offset')::bigint, (a ->> 'sender_id')::uuid,
                                              (a ->> 'txn_id')::uuid, a ->> 'reason'));
    when 'redact_messages' then
      return to_json(sealcast.redact_messages((a ->> 'stream_id')::uuid, (a ->> 'user_id')::uuid,
                                              (a ->> 'since')::timestamptz, a ->> 'reason'));
    when 'unmute', 'unban' then
      return to_json(sealcast_internal.lift_restriction(right(function, -2), (a ->> 'stream_id')::uuid, (a ->> 'user_id')::uuid));
    when 'set_role' then
      perform sealcast.set_role((a ->> 'stream_id')::uuid, (a ->> 'user_id')::uuid, a ->> 'role');
    when 'add_blocked_term' then
      return to_json(sealcast.add_blocked_term((a ->> 'stream_id')::uuid, a ->> 'term', coalesce(a ->> 'kind', 'literal'),
                                               (a ->> 'whole_word')::boolean, coalesce(a ->> 'action', 'refuse')));
    when 'remove_blocked_term' then
      return to_json(sealcast.remove_blocked_term((a ->> 'term_id')::uuid));
    when 'blocked_terms_of' then
      return coalesce((select json_agg(b) from sealcast.blocked_terms_of((a ->> 'stream_id')::uuid) b), '[]');
    when 'term_hits_of' then
      return coalesce((select json_agg(h) from sealcast.term_hits_of(
        (a ->> 'stream_id')::uuid, (a ->> 'before')::timestamptz, coalesce((a ->> 'limit')::integer, 100),
        (a ->> 'before_hit')::uuid) h), '[]');
    when 'migrate_transport' then
      return sealcast.migrate_transport((a ->> 'stream_id')::uuid, a ->> 'target',
                                        case when a ? 'overlap_ms' then (a ->> 'overlap_ms')::integer else 5000 end,
                                        (a ->> 'spread_ms')::integer);
    when 'set_stream_rules' then
      return sealcast.set_stream_rules((a ->> 'stream_id')::uuid, (arguments -> 'rules'));
    when 'pin_message' then
      return sealcast.pin_message((a ->> 'stream_id')::uuid, (a ->> 'offset')::bigint, a ->> 'note');
    when 'unpin_message' then
      return sealcast.unpin_message((a ->> 'stream_id')::uuid);
    when 'report_message' then
      return to_json(sealcast.report_message((a ->> 'stream_id')::uuid, (a ->> 'offset')::bigint, a ->> 'reason', a ->> 'category'));
    when 'resolve_report' then
      return to_json(sealcast.resolve_report((a ->> 'stream_id')::uuid, (a ->> 'offset')::bigint, a ->> 'outcome', a ->> 'reason'));
    when 'approve_message' then
      return sealcast.approve_message((a ->> 'held_id')::uuid);
    when 'deny_message' then
      return to_json(sealcast.deny_message((a ->> 'held_id')::uuid, a ->> 'reason'));
    when 'held_messages_of' then
      return (select json_build_object('held', coalesce(json_agg(h), '[]'))
              from sealcast.held_messages_of((a ->> 'stream_id')::uuid, coalesce((a ->> 'limit')::integer, 50), (a ->> 'after')::uuid) h);
    when 'reported_messages' then
      return (select json_build_object('reports', coalesce(json_agg(r), '[]'))
              from sealcast.reported_messages((a ->> 'stream_id')::uuid, coalesce((a ->> 'limit')::integer, 50), (a ->> 'after')::bigint,
                                              coalesce((a ->> 'resolved')::boolean, false)) r);
    when 'moderation_log_of' then
      return (select json_build_object('entries', coalesce(json_agg(to_jsonb(l) - 'login'), '[]'))
              from sealcast.moderation_log_of((a ->> 'stream_id')::uuid, (a ->> 'user_id')::uuid, (a ->> 'before')::uuid,
                                              coalesce((a ->> 'limit')::integer, 50)) l);
  end case;
  return null;
end $$;
comment on function sealcast_internal.call_as(uuid, text, json) is
  'Calls a function of moderation, of rules, of blocked terms, of held messages, of reports or migrate_transport for a session that the sidecar has verified. Returns null when the function returns nothing';
