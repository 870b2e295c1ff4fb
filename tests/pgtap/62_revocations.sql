-- Tests the revocations of reader tokens: who loses a right to read, and how the sidecar reads and ends them.
begin;
\ir scene.psql
select plan(24);

update sealcast_internal.relay_leases set holder = 'a', epoch = 3, lease_until = now() + interval '1 h';
-- Returns the users with revocations, and forgets these.
create function pg_temp.revoked() returns uuid[] language sql as $$
  with gone as (delete from sealcast_internal.revocations returning user_id)
  select coalesce(array_agg(distinct user_id), '{}') from gone $$;

select sealcast.ban(:cave, :vip) \g /dev/null
select is(pg_temp.revoked(), '{}', 'without Ably, nothing is recorded');
select sealcast_internal.begin_delivery('post', '{0}', '{3}', '{0}') \g /dev/null
select sealcast.ban(:cave, :vip) \g /dev/null
select is(pg_temp.revoked(), '{}', 'with other transports, nothing is recorded');
select sealcast_internal.begin_delivery('ably', '{0}', '{3}', '{0}') \g /dev/null

-- Bans.
select sealcast.ban(:cave, :vip) \g /dev/null
select results_eq($$select user_id, round(extract(epoch from due_at - now()) / 180) from sealcast_internal.revocations order by due_at$$,
                  format('values (%1$L::uuid, 0::numeric), (%1$L, 1)', :vip), 'the tokens of a banned member are revoked now, and again after three minutes');
select is(pg_temp.revoked(), array[:vip]::uuid[], 'only those of the banned user');
select sealcast.unban(:cave, :vip) \g /dev/null
select is(pg_temp.revoked(), '{}', 'a ban that is lifted revokes nothing');
select sealcast.mute(:cave, :vip) \g /dev/null
select is(pg_temp.revoked(), '{}', 'a mute revokes nothing');
select sealcast.ban(:room, :guest) \g /dev/null
select is(pg_temp.revoked(), '{}', 'a ban takes no right to read from a user without a role');
select sealcast.ban(:attic, :vip) \g /dev/null
select is(pg_temp.revoked(), '{}', 'nor in a stream where the user has no role');
select sealcast.ban(:room, :vip) \g /dev/null
select is(pg_temp.revoked(), array[:vip]::uuid[], 'a ban in a public stream takes the vip channel from a member');
select sealcast.ban(null, :vip) \g /dev/null
select is(pg_temp.revoked(), array[:vip]::uuid[], 'a ban in all streams counts');
select is(pg_temp.outcome('sealcast_admin', null, format($$insert into sealcast.restrictions (user_id, stream_id, kind) values (%L, %L, 'ban') returning 1$$, :owner, :cave)), 'ok',
          'sealcast_admin bans by SQL');
select is(pg_temp.revoked(), array[:owner]::uuid[], 'a ban by SQL counts');
update sealcast.restrictions set lifted_at = now() where user_id = :owner;
select is(pg_temp.revoked(), '{}', 'lifting it by SQL does not');
update sealcast.restrictions set lifted_at = null where user_id = :owner;
select is(pg_temp.revoked(), array[:owner]::uuid[], 'a ban that is put in force again counts');
savepoint undone;
select sealcast.ban(:cave, :vip) \g /dev/null
rollback to undone;
select is(pg_temp.revoked(), '{}', 'a ban that is rolled back revokes nothing');

-- Roles.
select sealcast.set_role(:cave, :guest, 'vip') \g /dev/null
select sealcast.set_role(:cave, :guest, 'guest') \g /dev/null
select is(pg_temp.revoked(), '{}', 'another role keeps the right to read');
select sealcast.set_role(:cave, :guest, null) \g /dev/null
select is(pg_temp.revoked(), array[:guest]::uuid[], 'the tokens of a user who loses the role are revoked');
update sealcast.stream_roles set user_id = :guest where stream_id = :cave and user_id = :vip;
select is(pg_temp.revoked(), array[:vip]::uuid[], 'a role that is moved to another user is lost');
delete from sealcast.streams where stream_id = :cave;
select is(pg_temp.revoked(), '{}', 'the roles that go with their stream revoke nothing: nobody can read it any more');

-- What the sidecar reads and ends.
insert into sealcast_internal.revocations (user_id, due_at)
values (:guest, now() - interval '61 min'), (:vip, now() - interval '59 min'), (:owner, now() - interval '1 min'), (:vip, now() + interval '1 min');
select results_eq($$select user_id from sealcast_internal.due_revocations('{0,1,2,3}', 100)$$, format('values (%L::uuid), (%L)', :vip, :owner),
                  'revocations are due in order, within an hour');
select is((select count(*) from sealcast_internal.due_revocations('{0,1,2,3}', 1)), 1::bigint, 'as many as asked for');
select is((select array_agg(user_id) from sealcast_internal.due_revocations(array[sealcast_internal.shard_of(:owner)], 100)
           where sealcast_internal.shard_of(user_id) <> sealcast_internal.shard_of(:owner)), null, 'only those of users in the given shards');
select is((select count(*) from sealcast_internal.due_revocations('{}', 100)), 0::bigint, 'without shards, none');
select sealcast_internal.end_revocations(array(select revocation_id from sealcast_internal.due_revocations('{0,1,2,3}', 1))) \g /dev/null
select results_eq($$select user_id from sealcast_internal.due_revocations('{0,1,2,3}', 100)$$, format('values (%L::uuid)', :owner), 'a revocation that has ended is not due any more');
select * from finish();
rollback;
