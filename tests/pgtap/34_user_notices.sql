-- Tests the notices to users: which changes are recorded for whom, what a notice states, and what a sidecar reads.
begin;
\ir scene.psql
select plan(49);

\set nil '''00000000-0000-0000-0000-000000000000'''
delete from sealcast_internal.user_notices;
-- Returns the changes since the last call, and forgets these.
create function pg_temp.noticed() returns text language sql as $$
  with gone as (delete from sealcast_internal.user_notices returning *)
  select string_agg(format('%s %s %s', subject, right(stream_id::text, 1), right(user_id::text, 1)), ', ' order by subject, user_id) from gone $$;
-- Returns the content of a notice.
create function pg_temp.notice(subject text, stream_id uuid, user_id uuid) returns jsonb language sql as $$
  select sealcast_internal.seal_notice(subject, stream_id, user_id)::jsonb -> 'd' $$;
create function pg_temp.ms(at timestamptz) returns bigint language sql as $$ select floor(extract(epoch from at) * 1000)::bigint $$;
\set soon '''2100-01-01 00:00:00Z'''

-- Restrictions.
select sealcast.mute(:room, :guest, :soon, 'too loud', 'the third time') \g /dev/null
select is(pg_temp.noticed(), 'mute 1 4', 'a mute concerns its user');
select is(pg_temp.notice('mute', :room, :guest), jsonb_build_object('kind', 'muted', 'stream_id', :room, 'user_id', :guest, 'until', pg_temp.ms(:soon),
          'reason', 'too loud', 'role', null), 'the notice has the end and the reason, and not the note');
select sealcast.mute(:room, :guest, null, 'still') \g /dev/null
select is(pg_temp.noticed(), 'mute 1 4, mute 1 4', 'a mute that replaces another one');
select is(pg_temp.notice('mute', :room, :guest) - '{stream_id,user_id}'::text[], '{"kind":"muted","until":null,"reason":"still","role":null}', 'without an end');
select is(pg_temp.notice('ban', :room, :guest) ->> 'kind', 'unbanned', 'a mute is no ban');
select is(pg_temp.notice('mute', :cave, :guest) ->> 'kind', 'unmuted', 'nor a mute of another stream');
select is(pg_temp.notice('mute', :room, :vip) ->> 'kind', 'unmuted', 'nor one of another user');
select is(pg_temp.notice('mute', :nil, :guest) ->> 'kind', 'unmuted', 'nor one of all streams');
select sealcast.unmute(:room, :guest) \g /dev/null
select is(pg_temp.noticed(), 'mute 1 4', 'a mute that is lifted');
select is(pg_temp.notice('mute', :room, :guest) - '{stream_id,user_id}'::text[], '{"kind":"unmuted","until":null,"reason":null,"role":null}', 'is over');
select sealcast.unmute(:room, :guest) \g /dev/null
select is(pg_temp.noticed(), null, 'where nothing is lifted, nothing has changed');
select sealcast.ban(null, :guest, null, 'everywhere') \g /dev/null
select is(pg_temp.noticed(), 'ban 0 4', 'a ban from all streams');
select is(pg_temp.notice('ban', :nil, :guest) - 'user_id', '{"kind":"banned","stream_id":null,"until":null,"reason":"everywhere","role":null}', 'names no stream');
select sealcast.unban(null, :guest) \g /dev/null
select is(pg_temp.noticed(), 'ban 0 4', 'lifted again');

-- Several restrictions: the one that ends last counts.
insert into sealcast.restrictions (user_id, stream_id, kind, until, reason) values
  (:guest, :room, 'mute', :soon, 'short'), (:guest, :room, 'mute', '2200-01-01', 'long'), (:vip, :room, 'ban', null, null);
select is(pg_temp.noticed(), 'ban 1 3, mute 1 4', 'an insert into the table concerns each user once');
select is(pg_temp.notice('mute', :room, :guest) ->> 'reason', 'long', 'the notice states the restriction that ends last');
update sealcast.restrictions set until = now() - interval '1 s' where user_id = :guest and reason = 'long';
select is(pg_temp.noticed(), 'mute 1 4', 'another end is a change');
select is(pg_temp.notice('mute', :room, :guest) ->> 'reason', 'short', 'a restriction that has ended does not count');
update sealcast.restrictions set note = 'seen', reason = null where user_id = :guest;
select is(pg_temp.noticed(), null, 'other texts are none');
delete from sealcast.restrictions where user_id in (:guest, :vip);
select is(pg_temp.noticed(), 'ban 1 3, mute 1 4, mute 1 4', 'deleted restrictions in force');
savepoint undone;
select sealcast.ban(:cave, :vip) \g /dev/null
rollback to undone;
select is(pg_temp.noticed(), null, 'an act that is rolled back has changed nothing');

-- Roles.
select sealcast.set_role(:room, :guest, 'vip') \g /dev/null
select is(pg_temp.noticed(), 'role 1 4', 'a role that is given');
select is(pg_temp.notice('role', :room, :guest) - '{stream_id,user_id}'::text[], '{"kind":"role_changed","until":null,"reason":null,"role":"vip"}', 'is named');
update sealcast.stream_roles set granted_at = now() where user_id = :guest;
select is(pg_temp.noticed(), null, 'the same role is no change');
update sealcast.stream_roles set role = 'friend' where user_id = :guest;
select is(pg_temp.noticed(), 'role 1 4', 'another role');
select sealcast.set_role(:room, :guest, null) \g /dev/null
select is(pg_temp.noticed(), 'role 1 4', 'a role that is taken');
select is(pg_temp.notice('role', :room, :guest) -> 'role', 'null', 'is null');

-- Streams.
update sealcast.streams set metadata = '{"a":1}', payee_id = :owner where stream_id = :room;
select is(pg_temp.noticed(), null, 'most changes of a stream concern no reader');
update sealcast.streams set closed_at = now() where stream_id = :room;
select is(pg_temp.noticed(), 'closed 1 0', 'a closed stream concerns all its readers');
select is(pg_temp.notice('closed', :room, :nil), jsonb_build_object('kind', 'stream_closed', 'stream_id', :room, 'user_id', null, 'until', null, 'reason', null, 'role', null), 'the notice names no user');
update sealcast.streams set closed_at = :soon where stream_id = :room;
select is(pg_temp.notice('closed', :room, :nil) ->> 'kind' || ' ' || (pg_temp.notice('closed', :room, :nil) ->> 'until'), 'stream_closes ' || pg_temp.ms(:soon), 'a stream that will close says when');
update sealcast.streams set closed_at = null where stream_id = :room;
select is(pg_temp.notice('closed', :room, :nil) ->> 'kind', 'stream_reopened', 'and when it is open again');
delete from sealcast_internal.user_notices;
update sealcast.streams set visibility = 'private' where stream_id = :room;
select is(pg_temp.noticed() || ' ' || (pg_temp.notice('visibility', :room, :nil) ->> 'kind'), 'visibility 1 0 stream_private', 'a stream becomes private');
update sealcast.streams set visibility = 'public' where stream_id = :room;
select is(pg_temp.noticed() || ' ' || (pg_temp.notice('visibility', :room, :nil) ->> 'kind'), 'visibility 1 0 stream_public', 'and public');
select sealcast.mute(:attic, :guest) \g /dev/null
delete from sealcast_internal.user_notices;
delete from sealcast.streams where stream_id = :attic;
select is(pg_temp.noticed(), 'deleted 3 0', 'a deleted stream is one change, whatever its roles and restrictions were');
select is(pg_temp.notice('deleted', :attic, :nil) ->> 'kind', 'stream_deleted', 'of all its readers');

-- What a notice is.
select is(e ->> 't' || ' ' || (e ->> 's') || ' ' || (e ->> 'stream_id') || ' ' || sealcast.verify_detail(e), 'user_notice ' || :nil || ' ' || :room || ' ok', 'a notice is an envelope of the system')
from (select sealcast_internal.seal_notice('mute', :room, :guest)::jsonb as e) n;
select is(array(select envelope::jsonb #>> '{d,kind}' from sealcast_internal.seal_notices('{ban,role}', array[:room, :room]::uuid[], array[:guest, :owner]::uuid[]) order by item),
          '{unbanned,role_changed}', 'several are sealed at once, in order');
select is((select count(*) from sealcast.messages), 0::bigint, 'a notice is no message');

-- What a sidecar reads: the rows that one snapshot sees and another does not.
insert into sealcast_internal.user_notices (xid, stream_id, user_id, subject)
select x::text::xid8, :room, :guest, 'mute' from unnest('{5,7,7,8,12}'::integer[]) x;
create function pg_temp.page(since pg_snapshot, as_of pg_snapshot, after_xid xid8 default null, after_id bigint default null, max_rows integer default 9) returns text language sql as $$
  select string_agg(xid::text, ' ') from sealcast_internal.new_notices(since, as_of, after_xid, after_id, max_rows) $$;
select is(pg_temp.page('7:9:7', '12:12:'), '7 7', 'a transaction that was in progress is new, and none that was committed is');
select is(pg_temp.page('6:6:', '7:13:7'), '8 12', 'a transaction in progress waits, and the others do not');
select is(pg_temp.page('6:6:', '13:13:', max_rows => 2), '7 7', 'as many as asked for');
select is(pg_temp.page('6:6:', '13:13:', '7', (select max(notice_id) - 2 from sealcast_internal.user_notices), 2), '8 12', 'and the page after them');
delete from sealcast_internal.user_notices;

-- What a user gets who begins to read.
create function pg_temp.of_reader(stream_id uuid, user_id uuid) returns text language sql as $$
  select string_agg(e::jsonb #>> '{d,kind}', ' ') from sealcast_internal.notices_of(stream_id, user_id) e $$;
select is((a).noticed, false, 'most users have no notices') from sealcast_internal.stream_access(:room, :guest) a;
select sealcast.mute(:room, :guest), sealcast.ban(null, :guest), sealcast.mute(:cave, :guest), sealcast.set_role(:room, :moderator, 'owner') \g /dev/null
select is(pg_temp.of_reader(:room, :guest), 'banned muted', 'the restrictions in force in the stream and in all streams');
select sealcast.unmute(:room, :guest) \g /dev/null
select is(pg_temp.of_reader(:room, :guest), 'banned unmuted', 'and those that have ended within the last hour');
update sealcast_internal.user_notices set noticed_at = now() - interval '61 min';
select is(pg_temp.of_reader(:room, :guest), 'banned', 'not older ones');
delete from sealcast_internal.user_notices;
select is((a).noticed, true, 'a restriction in force is enough') from sealcast_internal.stream_access(:room, :guest) a;
select is(pg_temp.of_reader(:room, :moderator), null, 'another user gets none');
select * from finish();
rollback;
