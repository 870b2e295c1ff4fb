-- Tests gifts: d is checked, the money is held with the message and captured once, and a hold without a message is
-- released.
begin;
\ir economy.psql
select plan(68);
\set txn '''c0000000-0000-4000-8000-000000000001'''
\set txn2 '''c0000000-0000-4000-8000-000000000002'''

select is((select (admit_hook::text, tier, tier0_amount) from sealcast.message_types where t = 'gift'),
          ('sealcast_economy.gift_hook(uuid,uuid,text,uuid,json)'::text, 1::smallint, 10000::bigint), 'register() adds the type gift, which is never sampled');
select sealcast_economy.deposit(:guest, 1000, 'USD', 'payment') \g /dev/null
select pg_temp.settle() \g /dev/null

-- A gift.
select is(pg_temp.admit(:room, 'gift', :guest, '{"amount":333}', :txn), '200', 'a gift with enough money is admitted');
select is(pg_temp.admit(:room, 'gift', :guest, '{"amount":333}', :txn), '200 replayed', 'a repeat returns the original');
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'wallet 667, hold 333, outside -1000', 'a repeat takes no second hold');
select is((select (h.stream_id, h.recipient_id, h.currency, h.amount, h.platform_amount) from sealcast_economy.holds h),
          (:room::uuid, :creator::uuid, 'USD'::text, 333::bigint, 99::bigint), 'the hold has the recipient and the part of the platform');
select ok(exists (select from sealcast_economy.holds h join sealcast.messages m using (ts, message_id) where m.txn_id = :txn), 'the hold has the id of its message');
select is(pg_temp.audit() ~ format('gift: %s %s is 333 held, not 333 captured', :guest, :txn), true, 'the audit shows a gift that is not captured yet');
select sealcast_economy.gift_on_event(pg_temp.event(:txn)) \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'wallet 667, earnings 234, platform 99, outside -1000', 'the capture pays the recipient and the platform, and the recipient gets the remainder');
select sealcast_economy.gift_on_event(pg_temp.event(:txn)) \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'wallet 667, earnings 234, platform 99, outside -1000', 'a second capture changes nothing');
select is((select count(*) from sealcast_economy.holds), 0::bigint, 'after the capture, there is no hold');
select is((select array_agg(kind order by transfer_id) from sealcast_economy.transfers where txn_id = :txn), '{hold,capture}', 'a captured gift has two transfers');
select is(pg_temp.audit() ~ 'gift:', false, 'the audit does not show a captured gift');

-- Refusals.
select is(pg_temp.admit(:room, 'gift', :guest, '{"amount":668}', :txn2), '402 insufficient_funds', 'a gift beyond the balance is refused');
select is(pg_temp.admit(:room, 'gift', :vip, '{"amount":1}'), '402 insufficient_funds', 'a gift without a wallet is refused');
select is(state || ' ' || detail || '|' || hint, 'PT402 insufficient_funds|Add funds, then send the gift again with the same txn_id.', 'send_message() raises the refusal')
from pg_temp.try('sealcast_user', :guest, format('select sealcast.send_message(%L, ''gift'', ''{"amount":668}'', %L)', :room, :txn2));
select is((select count(*) from sealcast_economy.transfers where txn_id = :txn2), 0::bigint, 'a refusal leaves no transfer');
select is((select count(*) from sealcast_economy.holds), 0::bigint, 'a refusal leaves no hold');
select is((select array_agg(concat_ws(' ', v.status, v.code) order by item)
           from sealcast.admit(array_fill(:room::uuid, array[4]), '{gift,gift,chat,gift}', array_fill(:guest::uuid, array[4]),
             array[:txn2, 'c0000000-0000-4000-8000-000000000003', 'c0000000-0000-4000-8000-000000000004', 'c0000000-0000-4000-8000-000000000005']::uuid[],
             '{"{\"amount\":400}","{\"amount\":268}","{}","{\"amount\":267}"}') v),
          array['200', '402 insufficient_funds', '200', '200'], 'the gifts of a batch share the balance');
select pg_temp.settle() \g /dev/null
select is(pg_temp.balances(), 'earnings 234, hold 667, platform 99, outside -1000', 'a batch can spend the last unit of the balance');
select is((select count(*) from sealcast_economy.holds), 2::bigint, 'each admitted gift of a batch has its hold');

-- A batch that is rolled back.
savepoint batch;
select sealcast_economy.deposit(:guest, 50, 'USD', 'more') \g /dev/null
select pg_temp.admit(:room, 'gift', :guest, '{"amount":50}', 'c0000000-0000-4000-8000-000000000006') \g /dev/null
rollback to batch;
select pg_temp.settle() \g /dev/null
select is((select count(*) from sealcast_economy.holds), 2::bigint, 'a batch that was rolled back leaves no hold');
select is(pg_temp.balances(), 'earnings 234, hold 667, platform 99, outside -1000', 'a batch that was rolled back moves no money');

-- The key of a gift was trimmed. Without the ledger, a repeat would be paid again.
delete from sealcast.txn_keys where txn_id = :txn;
select sealcast_economy.deposit(:guest, 1000, 'USD', 'payment 2') \g /dev/null
select is(pg_temp.admit(:room, 'gift', :guest, '{"amount":333}', :txn), '409 txn_id_reused', 'the ledger refuses a gift whose key was trimmed');

-- The payload.
insert into sealcast_economy.currencies (currency, smallest_gift, largest_gift, platform_basis_points) values ('EUR', 10, 500, 0), ('JPY', 1, 9007199254740991, 10000);
select is(pg_temp.admit(:room, 'gift', :guest, d), '400 invalid_request', 'a gift is refused with d = ' || d)
from unnest(array['{}', '{"amount":0}', '{"amount":-1}', '{"amount":1.5}', '{"amount":"5"}', '{"amount":null}', '{"amount":10000001}', '{"amount":1e21}',
  '{"amount":5,"currency":"usd"}', '{"amount":5,"currency":null}', '{"amount":5,"currency":["USD"]}', '{"amount":9,"currency":"EUR"}', '{"amount":501,"currency":"EUR"}',
  '{"amount":5,"to":"me"}', '{"amount":5,"to":null}', '{"amount":5,"to":"00000000-0000-0000-0000-000000000000"}', '{"amount":5,"to":"b0000000-0000-4000-8000-000000000004"}',
  '{"amount":5,"To":"b0000000-0000-4000-8000-000000000001"}', '{"amount":5,"note":"hi"}']) d;
select is(pg_temp.admit(:cave, 'gift', :owner, '{"amount":5}'), '400 invalid_request', 'an owner cannot give to themselves by leaving out `to`');

-- Who gets a gift without `to`.
savepoint payee;
insert into sealcast.stream_roles (stream_id, user_id, role, granted_at) values (:room, :guest, 'owner', '2020-01-01Z');
select is((select (status, message)::text from sealcast.admit(array[:room::uuid], '{gift}', array[:vip::uuid], array[gen_random_uuid()], '{"{\"amount\":5}"}')),
          '(400,"to is missing, and the stream has several owners and no payee")', 'a gift without `to` is refused when the stream has several owners and no payee');
select sealcast.set_payee(:room, :creator) \g /dev/null
select sealcast.set_role(:room, :vip, 'owner'), sealcast.set_role(:room, :vip, 'owner') \g /dev/null
select sealcast_economy.deposit(:moderator, 5, 'USD', 'coins') \g /dev/null
select is(pg_temp.admit(:room, 'gift', :moderator, '{"amount":5}'), '200', 'a gift without `to` is admitted for the payee');
select is((select h.recipient_id from sealcast_economy.holds h where h.sender_id = :moderator), :creator::uuid, 'the payee gets the gift, whoever became an owner when');
rollback to payee;
delete from sealcast.stream_roles where role = 'owner' and stream_id = :room;
select is((select (message, hint)::text from sealcast.admit(array[:room::uuid], '{gift}', array[:guest::uuid], array[gen_random_uuid()], '{"{\"amount\":5}"}')),
          '("to is missing, and the stream has no owner","Send the user id of the recipient as to.")', 'a gift without a recipient is refused with a hint');
select is((select (message, hint)::text from sealcast.admit(array[:room::uuid], '{gift}', array[:guest::uuid], array[gen_random_uuid()], '{"{\"amount\":10000001}"}')),
          '("amount is invalid","Send a whole number of minor units of USD, 1 to 10000000.")', 'a gift that is too large is refused with the limits of its currency');
select is((select count(*) from sealcast_economy.holds), 2::bigint, 'refused gifts leave no hold');

-- Other currencies and recipients, and the smallest and largest part of the platform.
select sealcast_economy.deposit(:guest, 500, 'EUR', 'euros') \g /dev/null
select sealcast_economy.deposit(:guest, 9007199254740991, 'JPY', 'yen') \g /dev/null
select is(pg_temp.admit(:room, 'gift', :guest, format('{"amount":500,"currency":"EUR","to":"%s"}', upper(:vip)), 'c0000000-0000-4000-8000-000000000007'), '200', 'a gift to another user in another currency is admitted');
select is(pg_temp.admit(:room, 'gift', :guest, format('{"amount":9007199254740991,"currency":"JPY","to":"%s"}', :vip), 'c0000000-0000-4000-8000-000000000008'), '200', 'a gift of the largest amount is admitted');
select sealcast_economy.gift_on_event(pg_temp.event(txn_id)) from sealcast_economy.holds \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.balance('earnings', :vip, 'EUR'), 500::bigint, 'with a part of 0, the recipient gets the whole gift');
select is(pg_temp.balance('platform', :system, 'JPY'), 9007199254740991, 'with a part of 100 percent, the platform gets the whole gift');
select is(sealcast_economy.platform_part(9007199254740991, 9999), 9006298534815516, 'the largest amounts are split exactly');
select is(pg_temp.audit() ~ '(gift|balance|transfer):', false, 'the audit finds nothing in the ledger');

savepoint other_default;
update sealcast_economy.currencies set by_default = false where currency = 'USD';
update sealcast_economy.currencies set by_default = true where currency = 'EUR';
select is((select currency from sealcast_economy.read_gift(:room, :guest, format('{"amount":10,"to":"%s"}', :vip)::json)), 'EUR', 'a gift that names no currency is in the default currency');
rollback to other_default;

-- Without a hold there is nothing to capture.
select throws_ok(format('select sealcast_economy.gift_on_event((''gift'', %L, %L, %L, 0, 1, ''{"amount":1}'', null)::sealcast.event)', :room, :guest, gen_random_uuid()), 'P0002', null, 'a gift without a hold is an error');

-- Holds without a committed message are released.
select sealcast_economy.gift_hook(:room, :guest, 'gift', 'c0000000-0000-4000-8000-000000000010', format('{"amount":100,"to":"%s"}', :vip)::json) \g /dev/null
select pg_temp.admit(:room, 'gift', :guest, format('{"amount":100,"to":"%s"}', :vip), 'c0000000-0000-4000-8000-000000000011') \g /dev/null
select is(sealcast_economy.release_expired_holds(now() - interval '1 hour'), 0::bigint, 'a young hold is not released');
delete from sealcast.txn_keys where txn_id = 'c0000000-0000-4000-8000-000000000011';
select is(sealcast_economy.release_expired_holds(clock_timestamp()), 1::bigint, 'an old hold without a message is released');
select pg_temp.settle() \g /dev/null
select is((select array_agg(txn_id) from sealcast_economy.holds), '{c0000000-0000-4000-8000-000000000011}', 'the hold of a committed gift is kept, even when its key was trimmed');
select is((pg_temp.balance('wallet', :guest), pg_temp.balance('hold', :guest)), (900::bigint, 100::bigint), 'a released hold returns the money to the wallet');
select throws_ok(format('select sealcast_economy.gift_on_event((''gift'', %L, %L, ''c0000000-0000-4000-8000-000000000010'', 0, 1, ''{"amount":1}'', null)::sealcast.event)', :room, :guest),
                 'P0002', null, 'a released gift cannot be captured');

savepoint holds;
select sealcast_economy.gift_hook(:room, :guest, 'gift', gen_random_uuid(), format('{"amount":%s,"to":"%s"}', amount, :vip)::json) from unnest('{1,2,3}'::int[]) amount \g /dev/null
update sealcast_economy.holds set held_at = now() - case amount when 1 then interval '3 h' when 2 then interval '5 h' else interval '4 h' end where amount < 4;
select pg_temp.admit(:room, 'chat', :guest, '{}', txn_id) from sealcast_economy.holds where amount = 2 \g /dev/null
select is(sealcast_economy.release_expired_holds(now() - interval '2 hours', 1), 1::bigint, 'a call releases max_rows holds at most');
select is(array_agg(amount order by amount), '{1,2}', 'the oldest hold is released first, but not one whose txn_id has a message')
from sealcast_economy.holds where amount < 4;
rollback to holds;

-- No trigger fires in the replica role.
select sealcast_economy.deposit(:guest, 1000, 'USD', 'for the replica role') \g /dev/null
select pg_temp.settle() \g /dev/null
select is(pg_temp.admit(:room, 'gift', :guest, format('{"amount":10,"to":"%s"}', :creator), 'f0000000-0000-4000-8000-000000000001'), '200', 'a gift is admitted');
set local session_replication_role = replica;
select is((select concat_ws(' ', v.status, v.code) from sealcast.admit(array[:room::uuid], '{gift}', array[:guest::uuid], array[gen_random_uuid()], array[format('{"amount":10,"to":"%s"}', :creator)]) v),
          '500 admit_hook_failed', 'in the replica role, a gift is refused');
select throws_like($$select sealcast_economy.gift_on_event(pg_temp.event('f0000000-0000-4000-8000-000000000001'))$$, 'session_replication_role is replica%', 'in the replica role, a gift is not captured, and the error names the setting');
select is(pg_temp.admit(:room, 'chat', :guest, '{}'), '200', 'in the replica role, messages without money are admitted');
set local session_replication_role = origin;
select * from finish();
rollback;
