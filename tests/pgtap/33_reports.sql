-- Tests reports: what a report keeps, its limits, the queue of moderators, closing, and what is trimmed.
begin;
\ir scene.psql
select plan(58);

-- Posts a message and gives it the next offset of the stream, as the relay does.
create function pg_temp.post(stream uuid, sender uuid, d text default '{"content":"x"}') returns bigint language plpgsql as $$
declare
  next_offset constant bigint := coalesce(sealcast_internal.last_offset(stream), 0) + 1;
begin
  perform pg_temp.admit(stream, 'chat', sender, d);
  insert into sealcast.stream_runs (stream_id, "offset", messages, logged_at, ts, first_id)
  select stream, next_offset, 1, m.ts, m.ts, m.message_id from sealcast.messages m order by m.message_id desc limit 1;
  return next_offset;
end $$;
create function pg_temp.report(sub text, stream uuid, at bigint, more text default '') returns text language sql as $$
  select coalesce(result, state || ' ' || split_part(detail, ':', 1))
  from pg_temp.try('sealcast_user', sub, format('select sealcast.report_message(%L, %s%s)', stream, coalesce(at::text, 'null'), more)) $$;
select pg_temp.post(:room, :vip), pg_temp.post(:room, :moderator), pg_temp.post(:room, :guest), pg_temp.post(:cave, :vip) \g /dev/null

-- A report.
select is(pg_temp.report(:guest, :room, 1, ', ''it is spam'', ''spam'''), 'true', 'a user reports a message');
select is((select envelope from sealcast.report_cases), (select sealcast.envelope(m) from sealcast.messages m where sender_id = :vip and stream_id = :room),
          'the case has the envelope, byte for byte');
select is((select (sender_id, reporters, outcome) from sealcast.report_cases), (:vip::uuid, 1, null::text), 'the case has the sender and the number of reporters');
select is((select (reporter_id, category, reason) from sealcast.reports), (:guest::uuid, 'spam'::text, 'it is spam'::text), 'the report has the reporter, the category and the reason');
create temp table first_report as select * from sealcast.reports;
select is(pg_temp.report(:guest, :room, 1, ', ''again'', ''other'''), 'false', 'a repeat of a report returns false');
select results_eq('select * from sealcast.reports', 'select * from first_report', 'a repeat of a report changes nothing');
select is((select reporters from sealcast.report_cases), 1, 'a repeat of a report does not count');
select is(pg_temp.report(:owner, :room, 1), 'true', 'a second user reports the message, without a reason');
select is((select reporters from sealcast.report_cases), 2, 'each reporter counts once');

-- Who may not report, and what cannot be reported.
select sealcast.mute(:room, :moderator), sealcast.ban(:attic, :guest) \g /dev/null
create temp table attempts (sub text, stream uuid, at bigint, more text, expected text, why text);
insert into attempts values
  (null, :room, 1, '', 'PT401 unauthenticated', 'a caller without a session may not report'),
  (:vip, :room, 1, '', 'PT403 role_required', 'nobody reports their own message'),
  (:moderator, :room, 1, '', 'true', 'a muted user may report'),
  (:guest, :room, 2, '', 'true', 'a message of a moderator can be reported'),
  (:guest, :attic, 1, '', 'PT404 message_not_found', 'a message that does not exist cannot be reported'),
  (:guest, :cave, 1, '', 'PT403 role_required', 'a user without a role may not report in a private stream'),
  (:owner, :cave, 1, '', 'true', 'a member reports in a private stream'),
  (:guest, :nowhere, 1, '', 'PT404 stream_not_found', 'a stream must exist'),
  (:guest, null, 1, '', 'PT404 stream_not_found', 'a stream must be given'),
  (:guest, :room, 4, '', 'PT404 message_not_found', 'an offset that was not given yet cannot be reported'),
  (:guest, :room, 0, '', 'PT400 invalid_request', 'offset 0 is refused'),
  (:guest, :room, null, '', 'PT400 invalid_request', 'a null offset is refused'),
  (:guest, :room, 9223372036854775807, '', 'PT400 invalid_request', 'the largest bigint is refused'),
  (:owner, :room, 3, ', repeat(''é'', 500)', 'true', 'a reason may have 500 characters'),
  (:moderator, :room, 3, ', repeat(''é'', 501)', 'PT400 invalid_request', 'a reason of 501 characters is refused'),
  (:moderator, :room, 3, ', null, ''No Name''', 'PT400 invalid_request', 'an invalid category is refused');
select is(pg_temp.report(sub, stream, at, more), expected, why) from attempts;
select pg_temp.post(:attic, :vip) from (select sealcast_internal.last_offset(:attic)) x \g /dev/null
update sealcast.streams set closed_at = null where stream_id = :attic;
select pg_temp.post(:attic, :vip) \g /dev/null
select is(pg_temp.report(:guest, :attic, 1), 'PT403 user_banned', 'a banned user may not report');

-- What happens to the message later does not change the case.
delete from sealcast.messages where stream_id = :room and sender_id = :vip;
select is(pg_temp.report('b0000000-0000-4000-8000-000000000009', :room, 1), 'PT404 message_not_found', 'a message that is gone cannot be reported');
select is((select envelope::json -> 'd' ->> 'content' from sealcast.report_cases where (stream_id, "offset") = (:room, 1)), 'x', 'the case keeps the message that is gone');

-- The queue: most reporters first, then the oldest.
create function pg_temp.queue(more text default '', who text default 'b0000000-0000-4000-8000-000000000001') returns text language sql as $$
  select coalesce(result, state || ' ' || split_part(detail, ':', 1)) from pg_temp.try('sealcast_user', who,
    format($f$select string_agg("offset" || ':' || reporters, ' ') from sealcast.reported_messages('a0000000-0000-4000-8000-000000000001'%s)$f$, more)) $$;
select is(pg_temp.queue(), '1:3 2:1 3:1', 'the queue begins with the message that most users reported, then the oldest case');
select is(pg_temp.queue(', "limit" => 2'), '1:3 2:1', 'limit bounds the page');
select is(pg_temp.queue(', after => 2'), '3:1', 'after continues behind a message');
select is(pg_temp.queue(', "limit" => 501'), 'PT400 invalid_request', 'a limit above 500 is refused');
select results_eq(format($$select categories, reasons, envelope::text, outcome from sealcast.reported_messages(%L, 1)$$, :room),
  format($$select '{"none": 2, "spam": 1}'::jsonb, '{it is spam}'::text[], envelope, null::text from sealcast.report_cases where (stream_id, "offset") = (%L, 1)$$, :room),
  'the queue shows the categories, the reasons and the envelope');
update sealcast.report_cases set envelope = json_build_object('d', repeat('x', 700000))::text where stream_id = :room;
select is(pg_temp.queue(), '1:3 2:1', 'a page ends with the message that brings it to 1 MiB');
select is(pg_temp.queue(who => :vip), 'PT403 role_required', 'a user of another role may not read the queue');
select is((pg_temp.try('sealcast_user', :owner, 'select count(*) from sealcast.report_cases')).result, '4', 'an owner reads the cases of both streams from the table');
select is((pg_temp.try('sealcast_user', :moderator, 'select count(*) from sealcast.report_cases')).result, '3', 'a moderator reads only the cases of the moderated stream');
select is((pg_temp.try('sealcast_user', :guest, 'select count(*) from sealcast.report_cases')).result, '0', 'a reporter reads no case');
select is((pg_temp.try('sealcast_user', :owner, 'select count(*) from sealcast.reports')).state, '42501', 'an owner may not read who reported');
select is((pg_temp.try('sealcast_admin', null, 'select count(*) from sealcast.reports')).result, '6', 'sealcast_admin reads who reported');

-- Closing.
create function pg_temp.close(sub text, at bigint, outcome text) returns text language sql as $$
  select coalesce(result, state || ' ' || split_part(detail, ':', 1)) from pg_temp.try('sealcast_user', sub,
    format('select sealcast.resolve_report(%L, %s, %L, ''looked at'')', 'a0000000-0000-4000-8000-000000000001', at, outcome)) $$;
select sealcast.unmute(:room, :moderator) \g /dev/null
select is(pg_temp.close(:moderator, 9, 'acted'), 'PT404 message_not_found', 'a message without reports cannot be closed');
select is(pg_temp.close(:moderator, 1, 'later'), 'PT400 invalid_request', 'another outcome is refused');
select is(pg_temp.close(:moderator, 2, 'dismissed'), 'PT403 role_required', 'a moderator does not close the reports of their own message');
select is(pg_temp.close(:moderator, 1, 'dismissed'), 'true', 'a moderator closes the reports of a message');
select is((select (outcome, resolved_by) from sealcast.report_cases where (stream_id, "offset") = (:room, 1)), ('dismissed'::text, :moderator::uuid), 'the case has the outcome and the moderator');
select is(pg_temp.queue() || ' | ' || pg_temp.queue(', resolved => true'), '2:1 3:1 | 1:3', 'a closed case leaves the queue, and is shown with resolved');
select is(pg_temp.close(:owner, 1, 'dismissed'), 'false', 'the same outcome again returns false');
select is(pg_temp.close(:owner, 1, 'acted'), 'true', 'the outcome can be changed');
select results_eq(format('select user_id, actor_id, reason, before, after from sealcast.moderation_log_of(%L) where act = ''resolve_report''', :room),
  format($$values (%1$L::uuid, %2$L::uuid, 'looked at', '{"outcome": "dismissed"}'::jsonb, '{"offset": 1, "outcome": "acted", "reporters": 3}'::jsonb),
                  (%1$L, %3$L, 'looked at', '{"outcome": null}', '{"offset": 1, "outcome": "dismissed", "reporters": 3}')$$, :vip, :owner, :moderator),
  'each closing is in the moderation log, a repeat is not');
-- A report after the closing counts and does not open the case again.
update sealcast.report_cases set outcome = 'dismissed' where (stream_id, "offset") = (:room, 3);
select is(pg_temp.report(:vip, :room, 3), 'true', 'a message whose reports are closed can be reported');
select is((select (outcome, reporters) from sealcast.report_cases where (stream_id, "offset") = (:room, 3)), ('dismissed'::text, 2), 'a later report counts, and the case stays closed');

-- Limits: 20 reports per hour, and 1000 reporters of a message.
insert into sealcast.reports (stream_id, "offset", reporter_id, reported_at)
select gen_random_uuid(), 1, :vip, clock_timestamp() - interval '59 minutes' from generate_series(1, 19) n;
select is(t.state || ' ' || t.detail, 'PT429 rate_limited: at most 20 reports per hour', 'the 21st report within an hour is refused')
from pg_temp.try('sealcast_user', :vip, format('select sealcast.report_message(%L, 2)', :room)) t;
select matches(t.hint, '^(5\d{4}|60000) ms: Wait', 'the hint has the time until a report is allowed again')
from pg_temp.try('sealcast_user', :vip, format('select sealcast.report_message(%L, 2)', :room)) t;
update sealcast.reports set reported_at = reported_at - interval '2 minutes' where reporter_id = :vip;
select is(pg_temp.report(:vip, :room, 2), 'true', 'after an hour a report does not count any more');
update sealcast.report_cases set reporters = 1000 where (stream_id, "offset") = (:room, 2);
select is(pg_temp.report(:owner, :room, 2) || (select reporters from sealcast.report_cases where (stream_id, "offset") = (:room, 2)), 'true1000',
          'a message that 1000 users have reported takes no further report');

-- Retention, and the deletion of a stream.
update sealcast.report_cases set last_reported_at = now() - interval '185 days' where (stream_id, "offset") = (:room, 1);
update sealcast.report_cases set last_reported_at = now() - interval '183 days' where (stream_id, "offset") = (:room, 2);
select results_eq($$select action, object from pg_temp.maintain()$$, $$values ('trimmed', '1 rows of sealcast.report_cases')$$, 'a case is trimmed 184 days after its last report');
select is((select count(*) from sealcast.reports where (stream_id, "offset") = (:room, 1)), 0::bigint, 'its reports go with it');
delete from sealcast.streams where stream_id = :room;
select is((select count(*) from sealcast.reports where stream_id = :room) + (select count(*) from sealcast.report_cases where stream_id = :room), 0::bigint,
          'a deleted stream takes its reports with it');
select * from finish();
rollback;
