-- Privileges: PUBLIC has none, users read their own rows, and only the functions move money.

select sealcast_internal.revoke_all_grants('sealcast_economy');
revoke all on type sealcast_economy.account_kind, sealcast_economy.posting, sealcast_economy.earning from public;
grant usage on schema sealcast_economy to sealcast_admin, sealcast_user;
grant usage on type sealcast_economy.account_kind to sealcast_admin, sealcast_user;

grant execute on function
  sealcast_economy.level_of(bigint), sealcast_economy.xp_for_level(integer),
  sealcast_economy.top_chatters(uuid, date, integer), sealcast_economy.messages_per_minute(uuid, timestamptz, timestamptz)
  to sealcast_admin, sealcast_user;
grant execute on function
  sealcast_economy.deposit(uuid, bigint, text, text),
  sealcast_economy.withdraw(uuid, bigint, text, text, sealcast_economy.account_kind),
  sealcast_economy.release_expired_holds(timestamptz, integer), sealcast_economy.trim_aggregates(interval, integer),
  sealcast_economy.audit(date, date)
  to sealcast_admin;
-- Workers apply these handlers through apply_events(). They cannot call them, because they have no USAGE on the schema.
grant execute on function
  sealcast_economy.xp_on_events(sealcast.event[]), sealcast_economy.gift_on_event(sealcast.event),
  sealcast_economy.aggregates_on_events(sealcast.event[])
  to sealcast_service;

grant select, insert, update, delete on sealcast_economy.currencies, sealcast_economy.xp_rules to sealcast_admin;
grant select on all tables in schema sealcast_economy to sealcast_admin;
revoke all on sealcast_economy.unsettled_balances from sealcast_admin;
grant select on sealcast_economy.currencies, sealcast_economy.xp_rules, sealcast_economy.xp, sealcast_economy.xp_days,
  sealcast_economy.accounts, sealcast_economy.transfers, sealcast_economy.entries, sealcast_economy.holds to sealcast_user;

do $$
declare
  relation regclass;
begin
  for relation in select c.oid from pg_class c where c.relnamespace = 'sealcast_economy'::regnamespace and c.relkind = 'r' loop
    execute format('alter table %s enable row level security', relation);
    execute format('create policy admin_all on %s to sealcast_admin using (true) with check (true)', relation);
  end loop;
end $$;

create policy readable on sealcast_economy.currencies for select to sealcast_user using (true);
create policy readable on sealcast_economy.xp_rules for select to sealcast_user using (true);
create policy own on sealcast_economy.xp for select to sealcast_user using (user_id = (select sealcast.caller_id()));
create policy own on sealcast_economy.xp_days for select to sealcast_user using (user_id = (select sealcast.caller_id()));
create policy own on sealcast_economy.accounts for select to sealcast_user using (owner_id = (select sealcast.caller_id()));
create policy own on sealcast_economy.entries for select to sealcast_user using (owner_id = (select sealcast.caller_id()));
create policy own on sealcast_economy.holds for select to sealcast_user using (sender_id = (select sealcast.caller_id()));
-- A user sees a transfer when the user sees one of its entries.
create policy own on sealcast_economy.transfers for select to sealcast_user
  using (exists (select from sealcast_economy.entries e where e.transfer_id = transfers.transfer_id));
