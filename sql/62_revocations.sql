-- Revocations: users who have lost a right to read, and whose reader tokens an outside service must revoke
-- (docs/tokens.md). Triggers add them in the transaction that takes the right. So no way to ban a user is missed, and
-- neither is a ban while no sidecar runs.

create table sealcast_internal.revocations (
  revocation_id bigint generated always as identity primary key,
  user_id uuid not null,
  due_at timestamptz not null
);
create index on sealcast_internal.revocations (due_at);
comment on table sealcast_internal.revocations is
  'The users whose reader tokens the sidecar must revoke. A row is deleted when the service has revoked them, or an hour after due_at';

-- Records that the user has lost a right. Ably alone can revoke tokens: without it, the function does nothing. A token
-- request that was signed before can become a token until two minutes later (docs/tokens.md). Therefore the tokens are
-- revoked a second time, after these minutes and one more for the difference of clocks.
create function sealcast_internal.revoke_tokens(user_id uuid) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  insert into sealcast_internal.revocations (user_id, due_at)
  select revoke_tokens.user_id, clock_timestamp() + t.later from unnest('{0 min,3 min}'::interval[]) t (later)
  where exists (select from sealcast.deliveries d where d.transport = 'ably');
end;

create function sealcast_internal.revoke_tokens_of_banned() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- A ban takes no right to read from a user without a role.
  if exists (select from sealcast.stream_roles r
             where r.user_id = new.user_id and r.stream_id = coalesce(new.stream_id, r.stream_id)) then
    perform sealcast_internal.revoke_tokens(new.user_id);
  end if;
  return null;
end $$;
create trigger revoke_tokens_of_banned after insert or update on sealcast.restrictions
  for each row when (new.kind = 'ban' and new.lifted_at is null) execute function sealcast_internal.revoke_tokens_of_banned();

create function sealcast_internal.revoke_tokens_of_member() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- A deleted stream has nothing more to read. The revocations of its many members would delay those of bans.
  if not sealcast_internal.went_with_stream(old.stream_id) then
    perform sealcast_internal.revoke_tokens(old.user_id);
  end if;
  return null;
end $$;
create trigger revoke_tokens_of_member after delete or update of stream_id, user_id on sealcast.stream_roles
  for each row execute function sealcast_internal.revoke_tokens_of_member();

-- Returns the oldest revocations that are due, for the users whose ids belong to the given shards. Ably's revocable
-- tokens are valid for one hour at most, so that an older revocation has no purpose.
create function sealcast_internal.due_revocations(shards integer[], max_rows integer, out revocation_id bigint, out user_id uuid)
  returns setof record
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select r.revocation_id, r.user_id from sealcast_internal.revocations r
  where r.due_at between clock_timestamp() - interval '1 hour' and clock_timestamp()
    and sealcast_internal.shard_of(r.user_id) = any (shards)
  order by r.due_at, r.revocation_id limit max_rows;
end;

create function sealcast_internal.end_revocations(revocation_ids bigint[]) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from sealcast_internal.revocations r where r.revocation_id = any (revocation_ids);
end;
comment on function sealcast_internal.end_revocations(bigint[]) is
  'Records that the service has revoked the tokens, or can never do so';
