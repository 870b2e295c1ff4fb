-- Reports: readers report messages to the moderators of a stream, who close the reports. 31_authority.sql decides who may
-- do it.

-- One row per reported message. The envelope is a copy, so it outlives the message.
create table sealcast.report_cases (
  stream_id uuid not null,
  "offset" bigint not null,
  sender_id uuid not null,
  envelope text not null,
  reporters integer not null default 1,
  first_reported_at timestamptz not null default clock_timestamp(),
  last_reported_at timestamptz not null default clock_timestamp(),
  outcome text constraint outcome_is_dismissed_or_acted check (outcome in ('dismissed', 'acted')),
  resolved_at timestamptz,
  resolved_by uuid,
  primary key (stream_id, "offset")
);
-- For the queue of moderators.
create index on sealcast.report_cases (stream_id, (outcome is null), reporters desc, first_reported_at, "offset");
comment on table sealcast.report_cases is
  'The reported messages of streams, each with its envelope as it was at the first report. outcome null: the reports wait for a moderator';
comment on column sealcast.report_cases.reporters is 'How many users have reported the message; at most 1000 are counted';
comment on column sealcast.report_cases.resolved_by is 'The user who closed the reports; null: sealcast_admin without a session';

-- Who has reported a message. Only sealcast_admin reads it: a moderator could take revenge on a reporter.
create table sealcast.reports (
  stream_id uuid not null,
  "offset" bigint not null,
  reporter_id uuid not null,
  category text constraint category_is_a_lower_case_name_of_32 check (category ~ '^[a-z][a-z0-9_]{0,31}$'),
  reason text constraint reason_of_500_characters check (length(reason) <= 500),
  reported_at timestamptz not null default clock_timestamp(),
  primary key (stream_id, "offset", reporter_id)
);
-- For the rate of a reporter.
create index on sealcast.reports (reporter_id, reported_at);
comment on table sealcast.reports is 'The reports of users, one per user and message';

-- Refuses more than 20 reports per user within one hour. Reports that one user sends at the same time do not count each
-- other.
create function sealcast_internal.require_report_rate(reporter_id uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant integer := 20;
  period constant interval := '1 hour';
  oldest timestamptz;
begin
  select r.reported_at into oldest from sealcast.reports r
  where r.reporter_id = require_report_rate.reporter_id and r.reported_at > clock_timestamp() - period
  order by r.reported_at desc offset most - 1 limit 1;
  if found then
    perform sealcast_internal.refuse(429, 'rate_limited', 'too many reports within one hour', format('at most %s reports per hour', most),
                            'Wait, then report the message again.',
                            greatest(1, ceil(extract(epoch from oldest + period - clock_timestamp()) * 1000)::bigint));
  end if;
end $$;

create function sealcast.report_message(stream_id uuid, "offset" bigint, reason text default null, category text default null)
  returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  most_reporters constant integer := 1000;
  reporter constant uuid := sealcast_internal.current_sender();
  reported text;
  sender uuid;
  reporters integer;
begin
  perform sealcast_internal.authorise_reading(stream_id);
  if ("offset" between 1 and 9007199254740991) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', format('offset is %s', coalesce("offset"::text, 'null')), null,
                            'Pass the offset of a message: 1 to 2^53 - 1.');
  elsif category !~ '^[a-z][a-z0-9_]{0,31}$' then
    perform sealcast_internal.refuse(400, 'invalid_request', 'the category is invalid', left(category, 64),
                            'Use a name that matches [a-z][a-z0-9_]{0,31}.');
  end if;
  perform sealcast_internal.require_short('reason', reason);
  select h.envelope into reported from sealcast_internal.read_history(stream_id, "offset" - 1, "offset" + 1, 1, false) h;
  if reported is null then
    perform sealcast_internal.refuse(404, 'message_not_found', format('stream %s has no message with the offset %s', stream_id, "offset"), null,
                            'Check the offset. A message that retention or an operator has deleted cannot be reported.');
  end if;
  sender := (reported::json ->> 's')::uuid;
  perform sealcast_internal.authorise('report', stream_id, sender);

  if exists (select from sealcast.reports r
             where r.stream_id = stream_id and r."offset" = "offset" and r.reporter_id = reporter) then
    return false;
  elsif (select c.reporters from sealcast.report_cases c where c.stream_id = stream_id and c."offset" = "offset") >= most_reporters then
    return true;  -- one more would not change the place in the queue
  end if;
  perform sealcast_internal.require_report_rate(reporter);
  perform sealcast_internal.require_stream(stream_id);
  insert into sealcast.reports (stream_id, "offset", reporter_id, category, reason)
    values (stream_id, "offset", reporter, category, nullif(reason, ''))
    on conflict do nothing;
  if not found then
    return false;
  end if;
  insert into sealcast.report_cases as c (stream_id, "offset", sender_id, envelope) values (stream_id, "offset", sender, reported)
    on conflict on constraint report_cases_pkey
    do update set reporters = c.reporters + 1, last_reported_at = clock_timestamp()
    returning c.reporters into reporters;
  perform sealcast_internal.queue_webhook('report_message', stream_id, json_build_object(
    'stream_id', stream_id, 'offset', "offset", 'sender_id', sender, 'category', category, 'reason', nullif(reason, ''),
    'reporters', reporters));
  return true;
end $$;
comment on function sealcast.report_message(uuid, bigint, text, text) is
  'Reports a message to the moderators of the stream. For every user who may read the stream and is not banned. The message is copied as it is now. Returns false when the user has reported it before; that changes nothing';

create function sealcast.reported_messages(stream_id uuid, "limit" integer default 50, after bigint default null, resolved boolean default false,
                                           out "offset" bigint, out reporters integer, out categories jsonb, out reasons text[],
                                           out first_reported_at timestamptz, out last_reported_at timestamptz, out envelope json,
                                           out outcome text, out resolved_at timestamptz, out resolved_by uuid)
  returns setof record
  language plpgsql stable rows 50 security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform sealcast_internal.require_page_limit(reported_messages."limit");
  perform sealcast_internal.authorise('read_reports', reported_messages.stream_id);
  return query
  with here as (
    select c.* from sealcast.report_cases c
    where c.stream_id = reported_messages.stream_id
      and (c.outcome is null) = not reported_messages.resolved
  ), page as (
    select h.*, sum(octet_length(h.envelope)) over (order by h.reporters desc, h.first_reported_at, h."offset") - octet_length(h.envelope) as bytes_before
    from (select h.* from here h
          left join sealcast.report_cases l on l.stream_id = h.stream_id and l."offset" = reported_messages.after
          where reported_messages.after is null
             or (-h.reporters, h.first_reported_at, h."offset") > (-l.reporters, l.first_reported_at, l."offset")
          order by h.reporters desc, h.first_reported_at, h."offset" limit reported_messages."limit") h
  )
  select p."offset", p.reporters,
         (select jsonb_object_agg(k.category, k.count) from (
            select coalesce(r.category, 'none') as category, count(*) as count from sealcast.reports r
            where r.stream_id = p.stream_id and r."offset" = p."offset" group by 1) k),
         array(select r.reason from sealcast.reports r
               where r.stream_id = p.stream_id and r."offset" = p."offset" and r.reason is not null
               order by r.reported_at desc limit 10),
         p.first_reported_at, p.last_reported_at, p.envelope::json, p.outcome, p.resolved_at, p.resolved_by
  from page p where p.bytes_before < 1048576
  order by p.reporters desc, p.first_reported_at, p."offset";
end $$;
comment on function sealcast.reported_messages(uuid, integer, bigint, boolean) is
  'Returns the reported messages of a stream that wait for a moderator, those with the most reporters first, then the oldest; resolved: those that are closed. after: the offset of the last message of the page before. A page ends early with the message that brings it to 1 MiB. For moderators; it does not show who reported';

create function sealcast.resolve_report(stream_id uuid, "offset" bigint, outcome text, reason text default null) returns boolean
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  sender uuid;
  reported sealcast.report_cases;
begin
  sender := (select c.sender_id from sealcast.report_cases c where c.stream_id = stream_id and c."offset" = "offset");
  perform sealcast_internal.authorise_and_lock('resolve_report', stream_id, sender);
  if (outcome in ('dismissed', 'acted')) is not true then
    perform sealcast_internal.refuse(400, 'invalid_request', 'the outcome is invalid', left(outcome, 64), 'Use dismissed or acted.');
  end if;
  perform sealcast_internal.require_short('reason', reason);
  select c.* into reported from sealcast.report_cases c where c.stream_id = stream_id and c."offset" = "offset" for update;
  if not found then
    perform sealcast_internal.refuse(404, 'message_not_found', format('message %s of stream %s has no reports', "offset", stream_id), null,
                            'Take the offset from reported_messages().');
  end if;
  if reported.outcome is not distinct from outcome then
    return false;
  end if;
  update sealcast.report_cases c
  set outcome = resolve_report.outcome, resolved_at = clock_timestamp(), resolved_by = sealcast.caller_id()
  where c.stream_id = stream_id and c."offset" = "offset";
  perform sealcast_internal.log_act('resolve_report', stream_id, reported.sender_id, reason,
    jsonb_build_object('outcome', reported.outcome),
    jsonb_build_object('outcome', outcome, 'offset', "offset", 'reporters', reported.reporters));
  return true;
end $$;
comment on function sealcast.resolve_report(uuid, bigint, text, text) is
  'Closes the reports of a message with the outcome dismissed or acted, and enters it in the moderation log. For moderators, other than the sender of the message; only owners close reports of messages of owners and moderators. Returns false when the reports have this outcome already';
