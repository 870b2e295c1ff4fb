-- The ledger: double entry in integer minor units. Invariants: transfers and their entries are never changed; a balance
-- is the sum of its entries.
--
-- A transaction may post many transfers, to accounts to which other transactions post as well. So it updates the
-- balances when it commits: once per account, by the sum, in an order that is the same for all transactions. No
-- transaction locks a busy account for longer than a commit, and no two transactions wait for each other.

create table sealcast_economy.currencies (
  currency text primary key check (currency ~ '^[A-Z]{3}$'),
  by_default boolean not null default false,
  smallest_gift bigint not null default 1 check (smallest_gift >= 1),
  largest_gift bigint not null default 10000000 check (largest_gift between smallest_gift and 9007199254740991),
  platform_basis_points integer not null default 3000 check (platform_basis_points between 0 and 10000)
);
comment on table sealcast_economy.currencies is 'The currencies of gifts: how large a gift may be, and which part of it the platform keeps';
comment on column sealcast_economy.currencies.by_default is 'Whether gifts that name no currency are in this currency; true for at most one currency';
comment on column sealcast_economy.currencies.platform_basis_points is
  'The part of the platform, in hundredths of a percent, rounded down: the creator gets the remainder';
create unique index currencies_by_default on sealcast_economy.currencies (by_default) where by_default;

-- The order in which a transaction locks accounts. The wallets that admission locks come first; the accounts that
-- everybody pays into come last.
create type sealcast_economy.account_kind as enum ('wallet', 'earnings', 'hold', 'platform', 'outside');

create table sealcast_economy.accounts (
  kind sealcast_economy.account_kind not null,
  owner_id uuid not null,
  currency text not null,
  balance bigint not null,
  primary key (kind, owner_id, currency),
  constraint accounts_owner
    check ((kind in ('platform', 'outside')) = (owner_id = '00000000-0000-0000-0000-000000000000')),
  -- All money of users has come from outside, so only the account outside is negative.
  constraint accounts_funded check (balance >= 0 or kind = 'outside')
) with (fillfactor = 80);
comment on table sealcast_economy.accounts is 'Balances in minor units: the sums of the entries of each account, updated when entries are posted';

create table sealcast_economy.transfers (
  transfer_id bigint generated always as identity primary key,
  kind text not null check (kind in ('deposit', 'withdrawal', 'hold', 'capture', 'release')),
  sender_id uuid,
  txn_id uuid,
  reference text check (length(reference) between 1 and 200),
  made_at timestamptz not null default clock_timestamp(),
  constraint transfers_cause check (
    case when kind in ('deposit', 'withdrawal') then num_nulls(sender_id, txn_id) = 2 and reference is not null
         else num_nulls(sender_id, txn_id) = 0 and reference is null end),
  constraint transfers_gift unique (sender_id, txn_id, kind)
);
comment on table sealcast_economy.transfers is
  'The causes of money movements: a gift (sender_id, txn_id), or a reference that the caller chose. Append-only';

create unique index transfers_reference on sealcast_economy.transfers (reference) where reference is not null;

create table sealcast_economy.entries (
  transfer_id bigint not null,
  kind sealcast_economy.account_kind not null,
  owner_id uuid not null,
  currency text not null,
  amount bigint not null check (amount <> 0 and amount between -9007199254740991 and 9007199254740991),
  primary key (transfer_id, kind, owner_id, currency)
);
comment on table sealcast_economy.entries is
  'The amount that a transfer added to an account (above 0) or took from it (below 0). The entries of a transfer sum to zero in each currency. Append-only';
create index entries_account on sealcast_economy.entries (owner_id, kind, transfer_id);

create function sealcast_economy.refuse_change() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception '%.% is append-only', tg_table_schema, tg_table_name
    using errcode = 'object_not_in_prerequisite_state', hint = 'Post another transfer that corrects it.';
end $$;
create trigger append_only before update or delete or truncate on sealcast_economy.transfers
  for each statement execute function sealcast_economy.refuse_change();
create trigger append_only before update or delete or truncate on sealcast_economy.entries
  for each statement execute function sealcast_economy.refuse_change();

-- The amounts that this transaction has posted and not yet added to balances. They are deleted before it commits, so no
-- other transaction sees them.
create table sealcast_economy.unsettled_balances (
  xact xid8 not null default pg_current_xact_id(),
  kind sealcast_economy.account_kind not null,
  owner_id uuid not null,
  currency text not null,
  amount bigint not null,
  primary key (xact, kind, owner_id, currency)
) with (fillfactor = 50);

-- A deferred trigger runs with the rights of the role that commits: hence SECURITY DEFINER.
-- The first call applies all rows of the transaction and deletes them, so the calls for the other rows find nothing.
create function sealcast_economy.settle_balances() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  mine record;
begin
  if not exists (select from sealcast_economy.unsettled_balances u
                 where u.xact = new.xact and u.kind = new.kind and u.owner_id = new.owner_id and u.currency = new.currency) then
    return null;
  end if;
  for mine in
    with taken as (
      delete from sealcast_economy.unsettled_balances u where u.xact = new.xact
      returning u.kind, u.owner_id, u.currency, u.amount)
    select * from taken where amount <> 0 order by kind, owner_id, currency
  loop
    update sealcast_economy.accounts a set balance = a.balance + mine.amount
    where a.kind = mine.kind and a.owner_id = mine.owner_id and a.currency = mine.currency;
    if not found then
      insert into sealcast_economy.accounts as a (kind, owner_id, currency, balance)
        values (mine.kind, mine.owner_id, mine.currency, mine.amount)
      on conflict (kind, owner_id, currency) do update set balance = a.balance + excluded.balance;
    end if;
  end loop;
  return null;
end $$;
create constraint trigger settled after insert on sealcast_economy.unsettled_balances
  deferrable initially deferred for each row execute function sealcast_economy.settle_balances();

-- Returns the balance of the account, with the entries of this transaction. The lock keeps it so until the transaction
-- ends.
create function sealcast_economy.locked_balance(kind sealcast_economy.account_kind, owner_id uuid, currency text)
  returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
begin
  -- Locks the other currencies of the owner too: a transaction that locks several accounts must follow the order of
  -- settle_balances().
  perform from sealcast_economy.accounts a
  where a.kind = locked_balance.kind and a.owner_id = locked_balance.owner_id
  order by a.currency for no key update;
  return coalesce((select a.balance from sealcast_economy.accounts a
                   where a.kind = locked_balance.kind and a.owner_id = locked_balance.owner_id
                     and a.currency = locked_balance.currency), 0)
       + coalesce((select u.amount from sealcast_economy.unsettled_balances u
                   where u.xact = pg_current_xact_id() and u.kind = locked_balance.kind
                     and u.owner_id = locked_balance.owner_id and u.currency = locked_balance.currency), 0);
end $$;

create type sealcast_economy.posting as (
  kind sealcast_economy.account_kind,
  owner_id uuid,
  amount bigint
);

-- Writes one transfer and returns its id. Returns null when the gift already has a transfer of this kind, or the
-- reference a transfer of any kind.
create function sealcast_economy.post(transfer_kind text, currency text, postings sealcast_economy.posting[],
                                      sender_id uuid default null, txn_id uuid default null, reference text default null)
  returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  posted bigint;
begin
  perform sealcast_internal.require_triggers();
  insert into sealcast_economy.transfers as x (kind, sender_id, txn_id, reference)
    values (transfer_kind, post.sender_id, post.txn_id, post.reference)
  on conflict do nothing returning x.transfer_id into posted;
  if posted is not null then
    if (select sum(p.amount) from unnest(postings) p) <> 0 then
      raise exception 'transfer % does not balance: its entries sum to % %', posted,
                      (select sum(p.amount) from unnest(postings) p), currency
        using errcode = 'check_violation', hint = 'Post all entries of a transfer together.';
    end if;
    insert into sealcast_economy.entries (transfer_id, kind, owner_id, currency, amount)
    select posted, p.kind, p.owner_id, post.currency, p.amount from unnest(postings) p where p.amount <> 0;
    insert into sealcast_economy.unsettled_balances as u (kind, owner_id, currency, amount)
    select p.kind, p.owner_id, post.currency, p.amount from unnest(postings) p where p.amount <> 0
    on conflict on constraint unsettled_balances_pkey do update set amount = u.amount + excluded.amount;
  end if;
  return posted;
end $$;
