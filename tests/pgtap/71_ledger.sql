-- Tests the ledger: entries balance and are never changed, balances follow the entries, and each reference moves money
-- once.
begin;
\ir economy.psql
select plan(60);

-- Deposits.
select sealcast_economy.deposit(:guest, 1000, 'USD', 'payment 1') as first \gset
select is(pg_temp.balances(), null, 'before the transaction ends, the balances are unchanged');
select is(sealcast_economy.locked_balance('wallet', :guest, 'USD'), 1000::bigint, 'locked_balance() includes the entries of this transaction');
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'wallet 1000, outside -1000', 'a deposit moves money from outside to the wallet');
select is(sealcast_economy.deposit(:guest, 1000, 'USD', 'payment 1'), :first::bigint, 'a repeated deposit returns the same transfer');
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'wallet 1000, outside -1000', 'a repeated deposit adds nothing');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast_economy.deposit(%L, %s, ''USD'', ''payment 1'')', u, amount)),
          'PT409 reference_reused', 'another ' || what || ' under a used reference is refused')
from (values ('user', :vip::uuid, 1000), ('amount', :guest, 1001)) v (what, u, amount);
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast_economy.deposit(%s)', arguments)), 'PT400 invalid_request', 'deposit() refuses ' || arguments)
from unnest(array[
  $$null, 1, 'USD', 'r'$$, $$'00000000-0000-0000-0000-000000000000', 1, 'USD', 'r'$$, $$gen_random_uuid(), 0, 'USD', 'r'$$,
  $$gen_random_uuid(), -5, 'USD', 'r'$$, $$gen_random_uuid(), 9007199254740992, 'USD', 'r'$$, $$gen_random_uuid(), null, 'USD', 'r'$$,
  $$gen_random_uuid(), 1, 'XXX', 'r'$$, $$gen_random_uuid(), 1, null, 'r'$$, $$gen_random_uuid(), 1, 'USD', ''$$,
  $$gen_random_uuid(), 1, 'USD', null$$, $$gen_random_uuid(), 1, 'USD', repeat('r', 201)$$]) arguments;

-- A user with two currencies.
insert into sealcast_economy.currencies (currency) values ('EUR');
savepoint euros;
select sealcast_economy.deposit(:guest, 7, 'EUR', repeat('r', 200)) \g /dev/null
select pg_temp.settle() \g /dev/null
select is(array[sealcast_economy.locked_balance('wallet', :guest, 'USD'), sealcast_economy.locked_balance('wallet', :guest, 'EUR')], '{1000,7}'::bigint[],
          'a wallet has a balance of its own in each currency, and a reference may have 200 characters');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast_economy.deposit(%L, 1000, ''EUR'', ''payment 1'')', :guest)),
          'PT409 reference_reused', 'another currency under a used reference is refused');
select sealcast_economy.deposit(:moderator, 5, 'USD', 'in'), sealcast_economy.withdraw(:moderator, 5, 'USD', 'out', 'wallet') \g /dev/null
select pg_temp.settle() \g /dev/null
select is((select count(*) from sealcast_economy.accounts where owner_id = :moderator), 0::bigint, 'amounts that cancel out within a transaction make no account');
rollback to euros;

-- Withdrawals.
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast_economy.withdraw(%L, 1001, ''USD'', ''payout 1'', ''wallet'')', :guest)),
          'PT402 insufficient_funds', 'a withdrawal beyond the balance is refused');
select is((select count(*) from sealcast_economy.transfers where reference = 'payout 1'), 0::bigint, 'a refused withdrawal leaves no transfer');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast_economy.withdraw(%L, 1, ''USD'', ''payout 1'')', :guest)),
          'PT402 insufficient_funds', 'money of the wallet is not in the earnings');
select sealcast_economy.withdraw(:guest, 1000, 'USD', 'payout 1', 'wallet') as payout \gset
select is(sealcast_economy.withdraw(:guest, 1000, 'USD', 'payout 1', 'wallet'), :payout::bigint, 'a repeated withdrawal returns the same transfer, also from an empty wallet');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast_economy.withdraw(%L, 1, ''USD'', ''payout 2'', ''wallet'')', :guest)),
          'PT402 insufficient_funds', 'a withdrawal counts for the next one of the same transaction');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast_economy.withdraw(%L, 1, ''USD'', ''payout 2'', %L)', :guest, kind)),
          'PT400 invalid_request', format('a withdrawal from an account of the kind %s is refused', kind)) from unnest('{hold,platform,outside}'::text[]) kind;
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast_economy.withdraw(%L, 1000, ''USD'', ''payout 1'', ''earnings'')', :guest)),
          'PT409 reference_reused', 'a withdrawal from another account under a used reference is refused');
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), null, 'after the withdrawal, all balances are 0');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast_economy.deposit(%L, 1000, ''USD'', ''payout 1'')', :guest)),
          'PT409 reference_reused', 'a deposit under the reference of a withdrawal is refused');
select is(pg_temp.outcome('sealcast_admin', null, format('select sealcast_economy.withdraw(%L, 1000, ''USD'', ''payment 1'', ''wallet'')', :guest)),
          'PT409 reference_reused', 'a withdrawal under the reference of a deposit is refused');
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), null, 'a refused reference moves no money');

-- Append-only.
select is(pg_temp.outcome('none', null, statement), '55000', 'transfers and entries are append-only: ' || statement)
from unnest(array['update sealcast_economy.entries set amount = 5', 'delete from sealcast_economy.entries', 'truncate sealcast_economy.entries',
  'update sealcast_economy.transfers set reference = null', 'delete from sealcast_economy.transfers where false',
  'truncate sealcast_economy.transfers cascade']) statement;

-- Transfers that do not balance. An error here rolls back its own statement only.
create function pg_temp.post_now(postings sealcast_economy.posting[]) returns void language plpgsql as $$
begin
  perform sealcast_economy.post('deposit', 'USD', postings, reference => gen_random_uuid()::text);
  set constraints all immediate;
  set constraints all deferred;
end $$;
select throws_like(format('select pg_temp.post_now(array[(''wallet'', %L, 5), (''outside'', %L, -4)]::sealcast_economy.posting[])', :vip, :system),
                   'transfer % does not balance: its entries sum to 1 USD', 'a transfer that does not balance is refused');
select throws_ok(format('select pg_temp.post_now(array[(%L, %L, -1), (''outside'', %L, 1)]::sealcast_economy.posting[])', kind, owner, :system),
                 '23514', 'new row for relation "accounts" violates check constraint "accounts_funded"', format('the balance of an account of the kind %s cannot be negative', kind))
from (values ('wallet', :vip::uuid), ('earnings', :vip), ('hold', :vip), ('platform', :system)) v (kind, owner);
select throws_ok(format('insert into sealcast_economy.transfers (kind, sender_id, txn_id, reference) values (%L, %L, %L, %L)', kind, sender, sender, reference),
                 '23514', null, format('a %s %s is refused', kind, what))
from (values ('deposit', null::uuid, null, 'without a reference'), ('deposit', :vip, 'r', 'with a sender'), ('capture', null, null, 'without a gift'),
             ('capture', :vip, 'r', 'with a reference')) v (kind, sender, reference, what);
select throws_ok(format('select pg_temp.post_now(array[(''platform'', %L, 1), (''outside'', %L, -1)]::sealcast_economy.posting[])', :vip, :system),
                 '23514', null, 'the account of the platform cannot belong to a user');
select is(pg_temp.audit(), 'sound', 'after the refusals, the audit finds nothing');

-- Entries after a savepoint that is rolled back.
select sealcast_economy.deposit(:vip, 7, 'USD', 'kept') \g /dev/null
savepoint s;
select sealcast_economy.deposit(:vip, 100, 'USD', 'undone') \g /dev/null
rollback to s;
select sealcast_economy.deposit(:vip, 1, 'USD', 'kept too') \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'wallet 8, outside -8', 'entries that were rolled back are not in the balances');
-- A session cannot gain money by checking constraints early.
set constraints all immediate;
select sealcast_economy.deposit(:vip, 2, 'USD', 'at once') \g /dev/null
select is(pg_temp.balances(), 'wallet 10, outside -10', 'with immediate constraints, balances follow at once');
select is((select count(*) from sealcast_economy.unsettled_balances), 0::bigint, 'no amounts are left unsettled');
select is(pg_temp.audit(), 'sound', 'the audit finds nothing');

-- Wrong balances.
update sealcast_economy.accounts set balance = balance + 1 where kind = 'wallet' and owner_id = :vip;
insert into sealcast_economy.accounts values ('hold', :vip, 'USD', 3);
select is(pg_temp.audit(), format('balance: hold %1$s USD is 3, not 0; balance: hold %1$s USD is 3, not 0, the open holds; balance: wallet %1$s USD is 11, not 10', :vip),
          'the audit finds balances that are not the sums of their entries');

-- The way of a restore: rows that come without their functions change no balance, and the audit finds what is missing.
insert into sealcast_economy.entries values (-1, 'wallet', :guest, 'USD', 4), (-1, 'outside', :system, 'USD', -4);
select is((select count(*) from sealcast_economy.unsettled_balances), 0::bigint, 'entries that are inserted by a restore are not added to balances');
select is(array(select found || ' of ' || expected from sealcast_economy.audit() where what = 'transfer'), '{none of a row of transfers}'::text[],
          'the audit finds entries without their transfer');

-- No trigger fires in the replica role, so balances would not change.
select pg_temp.balances() as before \gset
set local session_replication_role = replica;
select throws_ok(format('select sealcast_economy.deposit(%L, 5, ''USD'', ''as a replica'')', :guest), '55000', null, 'a deposit is refused where balances would not change');
set local session_replication_role = origin;
select is((pg_temp.balances(), (select count(*) from sealcast_economy.unsettled_balances)), (:'before'::text, 0::bigint), 'the refused deposit changes nothing');
select * from finish();
rollback;
