-- A stream's own rules: who may send, which types, which text, and how often. Owners and moderators set them and are
-- exempt. extension/admission/judge.cpp enforces senders and types, extension/admission/content.cpp the rules about
-- text; the gate enforces the rules that count messages.

create table sealcast.stream_rules (
  stream_id uuid primary key,
  slow_mode_s integer constraint slow_mode_from_1_to_600_seconds check (slow_mode_s between 1 and 600),
  members_only boolean not null default false,
  sender_roles text[] constraint sender_roles_are_1_to_16_names check (
    cardinality(sender_roles) between 1 and 16 and array_position(sender_roles, null) is null),
  types text[] constraint types_are_1_to_64_names check (
    cardinality(types) between 1 and 64 and array_position(types, null) is null),
  hold_first boolean not null default false,
  max_chars integer constraint max_chars_from_1_to_10000 check (max_chars between 1 and 10000),
  link_roles text[] constraint link_roles_are_at_most_16_names check (
    cardinality(link_roles) <= 16 and array_position(link_roles, null) is null),
  emote_only boolean not null default false,
  unique_s integer constraint unique_s_from_1_to_3600 check (unique_s between 1 and 3600),
  raid_copies integer constraint raid_copies_from_1_to_1000 check (raid_copies between 1 and 1000),
  raid_within_s integer constraint raid_within_s_from_1_to_3600 check (raid_within_s between 1 and 3600),
  rate jsonb constraint rate_is_an_object check (jsonb_typeof(rate) = 'object'),
  constraint raid_has_copies_and_time check ((raid_copies is null) = (raid_within_s is null)),
  constraint members_or_roles check (not members_only or sender_roles is null)
);
-- The gate reads these rows every few seconds.
create index on sealcast.stream_rules (stream_id)
  where slow_mode_s is not null or unique_s is not null or raid_copies is not null or rate is not null;
comment on table sealcast.stream_rules is 'The rules of streams that set_stream_rules() has set. A stream without a row has no rules';
comment on column sealcast.stream_rules.slow_mode_s is 'A user waits this many seconds between two messages; null: no slow mode';
comment on column sealcast.stream_rules.members_only is 'Only users who have a role in the stream may send';
comment on column sealcast.stream_rules.sender_roles is 'Only users with one of these roles may send; null: no such rule';
comment on column sealcast.stream_rules.types is 'Only messages of these types may be sent; null: all types';
comment on column sealcast.stream_rules.hold_first is 'The messages of a user who has none in the stream wait for a moderator';
comment on column sealcast.stream_rules.max_chars is 'The most characters (grapheme clusters) that the text of a message may have; null: no such rule';
comment on column sealcast.stream_rules.link_roles is 'Only users with one of these roles may send links; none may if it is empty; null: everyone may';
comment on column sealcast.stream_rules.emote_only is 'Messages of tier 2 may have no text but emoji and names of emotes';
comment on column sealcast.stream_rules.unique_s is 'A user does not repeat a text within this many seconds; null: no such rule';
comment on column sealcast.stream_rules.raid_copies is 'At most this many users send the same text within raid_within_s; null: no such rule';
comment on column sealcast.stream_rules.raid_within_s is 'The seconds within which raid_copies counts; null: no such rule';
comment on column sealcast.stream_rules.rate is 'Messages per second of one user, by type, where they are fewer than the rate of the type; null: no such rule';

-- The rules as clients see them. A stream without a row has these members, too.
create function sealcast_internal.rules_as_json(rules sealcast.stream_rules) returns json
  language sql immutable parallel safe
  return sealcast.canonicalize(json_build_object(
    'slow_mode_s', (rules).slow_mode_s,
    'senders', case when (rules).members_only then to_json('members'::text)
                    else coalesce(to_json((rules).sender_roles), to_json('everyone'::text)) end,
    'types', (rules).types,
    'hold_first', coalesce((rules).hold_first, false),
    'max_chars', (rules).max_chars,
    'links', case when cardinality((rules).link_roles) = 0 then to_json('none'::text)
                  else coalesce(to_json((rules).link_roles), to_json('everyone'::text)) end,
    'emote_only', coalesce((rules).emote_only, false),
    'unique_s', (rules).unique_s,
    'raid_copies', (rules).raid_copies,
    'raid_within_s', (rules).raid_within_s,
    'rate', (rules).rate))::json;

create function sealcast_internal.rules_in(stream_id uuid) returns sealcast.stream_rules
  language sql stable set search_path = pg_catalog, pg_temp
  return (select r from sealcast.stream_rules r where r.stream_id = rules_in.stream_id);

-- Without a check of the caller.
create function sealcast_internal.read_stream_rules(stream_id uuid) returns json
  language sql stable security definer set search_path = pg_catalog, pg_temp
  return sealcast_internal.rules_as_json(sealcast_internal.rules_in(stream_id));

create function sealcast.stream_rules_of(stream_id uuid) returns json
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform sealcast_internal.authorise_reading(stream_id);
  return sealcast_internal.read_stream_rules(stream_id);
end $$;
comment on function sealcast.stream_rules_of(uuid) is
  'Returns all rules of the stream as a JSON object. For whoever may read the stream';

-- Returns the strings of a JSON array of 1 to max_items different strings; null for any other value.
create function sealcast_internal.names_in(list jsonb, max_items integer) returns text[]
  language sql immutable parallel safe
  return case when jsonb_typeof(list) = 'array' then
    (select array_agg(distinct e.name #>> '{}') from jsonb_array_elements(list) e (name)
     having count(*) between 1 and max_items and count(distinct e.name) = count(*)
            and bool_and(jsonb_typeof(e.name) = 'string'))
  end;

-- Returns whether the value is an array of 1 to 16 different names that roles can have.
create function sealcast_internal.are_roles(list jsonb) returns boolean
  language sql immutable parallel safe
  return coalesce((select bool_and(role ~ '^[a-z][a-z0-9_]{0,31}$') from unnest(sealcast_internal.names_in(list, 16)) role), false);

-- Returns the member `rule` of `changes`, which must be null or a whole number from 1 to `most`.
create function sealcast_internal.number_in(changes jsonb, rule text, most integer, hint text) returns integer
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  value constant numeric := case when jsonb_typeof(changes -> rule) = 'number' then (changes ->> rule)::numeric end;
begin
  if changes -> rule <> 'null' and (value between 1 and most and value = trunc(value)) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', format('%s is not a whole number of 1 to %s', rule, most), null, hint);
  end if;
  return value;
end $$;

-- Raises unless the value is null, or an object of types that users can send, and of whole numbers from 1 to the rate of
-- the type.
create function sealcast_internal.check_rates(rates jsonb) returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  bad record;
begin
  if rates = 'null' then
    return;
  end if;
  if jsonb_typeof(rates) <> 'object' or rates = '{}' then
    perform sealcast_internal.refuse(400, 'invalid_request', 'rate is not an object of message types and numbers', null,
      'Send an object such as {"chat": 2}, or null to end the rule.');
  end if;
  select r.t, y.rate into bad
  from (select e.key as t, case when jsonb_typeof(e.value) = 'number' then (e.value #>> '{}')::numeric end as number
        from jsonb_each(rates) e) r
  left join sealcast.message_types y on y.t = r.t and not y.system_only
  where (r.number between 1 and y.rate and r.number = trunc(r.number)) is not true
  order by r.t limit 1;
  if found then
    perform sealcast_internal.refuse(400, 'invalid_request',
      case when bad.rate is null then 'rate names a message type that users cannot send'
           else format('a rate is not a whole number of 1 to %s', bad.rate) end,
      left(bad.t, 64), 'Send names of sealcast.message_types that are not system_only, each with a rate that is not above its own.');
  end if;
end $$;

-- Returns `rules` with the members of `changes`. Raises for a member that is not valid.
create function sealcast_internal.changed_rules(rules sealcast.stream_rules, changes json) returns sealcast.stream_rules
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  known constant text[] := '{emote_only,hold_first,links,max_chars,raid_copies,raid_within_s,rate,senders,slow_mode_s,types,unique_s}';
  stray text;
  asked jsonb;
  kind record;
  unknown text;
begin
  if changes is null or json_typeof(changes) <> 'object' then
    perform sealcast_internal.refuse(400, 'invalid_request', 'rules is not a JSON object', null,
        'Send an object with the rules to change.');
  end if;
  select key into stray from json_object_keys(changes) key
  group by key having key <> all (known) or count(*) > 1 order by key limit 1;
  if stray is not null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'unknown or duplicate rule', left(stray, 64),
                                     format('The rules are: %s.', array_to_string(known, ', ')));
  end if;
  asked := changes::jsonb;
  for kind in select * from (values
    ('slow_mode_s', 600, 'Send the seconds between two messages of a user, or null to end the slow mode.'),
    ('max_chars', 10000, 'Send the most characters that the text of a message may have, or null to end the rule.'),
    ('unique_s', 3600, 'Send the seconds within which a user does not repeat a text, or null to end the rule.'),
    ('raid_copies', 1000, 'Send the most users who may send the same text within raid_within_s, or null to end the rule.'),
    ('raid_within_s', 3600, 'Send the seconds within which copies of a text count, or null for 30.')) k (rule, most, hint)
  where asked ? rule loop
    rules := jsonb_populate_record(rules, jsonb_build_object(kind.rule,
      sealcast_internal.number_in(asked, kind.rule, kind.most, kind.hint)));
  end loop;
  if asked ->> 'raid_within_s' is not null and rules.raid_copies is null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'raid_within_s has no raid_copies', null, 'Send raid_copies, too.');
  end if;
  rules.raid_within_s := case when rules.raid_copies is not null then coalesce(rules.raid_within_s, 30) end;
  if asked ? 'rate' then
    perform sealcast_internal.check_rates(asked -> 'rate');
    rules.rate := nullif(asked -> 'rate', 'null');
  end if;
  for kind in select * from (values
    ('emote_only', 'Send true to allow only emoji and names of emotes, or false to end the rule.'),
    ('hold_first', 'Send true to hold the first messages of users, or false.')) k (rule, hint)
  where asked ? rule loop
    if asked -> kind.rule not in ('null', 'true', 'false') then
      perform sealcast_internal.refuse(400, 'invalid_request', format('%s is neither true nor false', kind.rule), null, kind.hint);
    end if;
    rules := jsonb_populate_record(rules, jsonb_build_object(kind.rule, asked -> kind.rule = 'true'));
  end loop;
  if asked ? 'links' then
    if asked -> 'links' not in ('null', '"everyone"', '"none"') and not sealcast_internal.are_roles(asked -> 'links') then
      perform sealcast_internal.refuse(400, 'invalid_request', 'links is neither "everyone" nor "none" nor a list of roles', null,
        'Send "everyone", "none", or an array of 1 to 16 different names of roles.');
    end if;
    rules.link_roles := case when asked -> 'links' = '"none"' then '{}' else sealcast_internal.names_in(asked -> 'links', 16) end;
  end if;
  if asked ? 'senders' then
    rules.members_only := asked -> 'senders' = '"members"';
    rules.sender_roles := sealcast_internal.names_in(asked -> 'senders', 16);
    if asked -> 'senders' not in ('null', '"everyone"', '"members"')
       and not sealcast_internal.are_roles(asked -> 'senders') then
      perform sealcast_internal.refuse(400, 'invalid_request', 'senders is neither "everyone" nor "members" nor a list of roles', null,
        'Send "everyone", "members" for users with any role, or an array of 1 to 16 different names of roles.');
    end if;
  end if;
  if asked ? 'types' then
    rules.types := sealcast_internal.names_in(asked -> 'types', 64);
    if asked -> 'types' <> 'null' and rules.types is null then
      perform sealcast_internal.refuse(400, 'invalid_request', 'types is not a list of message types', null,
        'Send an array of 1 to 64 different names of message types, or null to allow all types.');
    end if;
    select name into unknown from unnest(rules.types) name
    where not exists (select from sealcast.message_types y where y.t = name and not y.system_only) limit 1;
    if unknown is not null then
      perform sealcast_internal.refuse(400, 'invalid_request', 'types names a message type that users cannot send', left(unknown, 64),
                                       'Send names of sealcast.message_types that are not system_only.');
    end if;
  end if;
  return rules;
end $$;

create function sealcast.set_stream_rules(stream_id uuid, rules json) returns json
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  system_sender constant uuid := '00000000-0000-0000-0000-000000000000';
  before sealcast.stream_rules;
  now_in_force sealcast.stream_rules;
  sealed sealcast.verdict;
begin
  if stream_id is null then
    perform sealcast_internal.refuse(400, 'invalid_request', 'stream_id is null', null, 'Pass the stream that the rules are for.');
  end if;
  perform sealcast_internal.authorise_and_lock('set_rules', stream_id);
  before := sealcast_internal.rules_in(stream_id);
  before.stream_id := set_stream_rules.stream_id;
  before.members_only := coalesce(before.members_only, false);
  before.hold_first := coalesce(before.hold_first, false);
  before.emote_only := coalesce(before.emote_only, false);
  now_in_force := sealcast_internal.changed_rules(before, rules);
  if now_in_force is not distinct from before then
    return null;
  end if;
  delete from sealcast.stream_rules r where r.stream_id = set_stream_rules.stream_id;
  if sealcast_internal.rules_as_json(now_in_force)::text <> sealcast_internal.rules_as_json(null)::text then
    insert into sealcast.stream_rules select now_in_force.*;
  end if;
  perform sealcast_internal.log_act('set_stream_rules', stream_id, null, null, sealcast_internal.rules_as_json(before)::jsonb,
                                    sealcast_internal.rules_as_json(now_in_force)::jsonb);
  select * into sealed from sealcast.admit(
    array[stream_id], array['stream_rules'], array[system_sender], array[gen_random_uuid()],
    array[sealcast_internal.rules_as_json(now_in_force)::text]);
  perform sealcast_internal.require_sealed(sealed);
  return sealed.envelope::json;
end $$;
comment on function sealcast.set_stream_rules(uuid, json) is
  'Changes rules of the stream: the members of the object rules. Rules that are not named stay. Sends the system message stream_rules with all rules and returns its envelope; null when nothing changes. For owners and moderators, who are exempt from the rules';

-- For the gate of the sidecar.
create function sealcast_internal.gate_rules(out stream_id uuid, out slow_mode_s integer, out unique_s integer,
                                             out raid_copies integer, out raid_within_s integer, out rate jsonb)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select r.stream_id, r.slow_mode_s, r.unique_s, r.raid_copies, r.raid_within_s, r.rate
  from sealcast.stream_rules r join sealcast.streams s using (stream_id)
  where (r.slow_mode_s is not null or r.unique_s is not null or r.raid_copies is not null or r.rate is not null)
    and (s.closed_at is null or s.closed_at > now());
end;
comment on function sealcast_internal.gate_rules() is 'Returns the open streams that have rules that the gate enforces';
